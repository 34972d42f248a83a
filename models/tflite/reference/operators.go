package reference

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/models/tflite"
)

// arity is how many inputs each operator has.
var arity = map[tflite.Op]int{
	tflite.Conv2D: 3, tflite.DepthwiseConv2D: 3, tflite.Add: 2, tflite.Mul: 2, tflite.MaxPool2D: 1, tflite.Mean: 2,
	tflite.Logistic: 1, tflite.Softmax: 1, tflite.Pad: 2, tflite.Concatenation: 2, tflite.Slice: 3, tflite.Reshape: 2,
	tflite.Transpose: 2, tflite.Quantize: 1, tflite.Dequantize: 1,
}

// prepare checks an operator's shapes and options and reads its constants, so
// that its step can't fail.
func (it *Interpreter) prepare(op tflite.Operator, made map[int]bool) (step, error) {
	n, ok := arity[op.Op]
	if !ok {
		return nil, errors.New("not one that this package runs")
	}
	if len(op.Inputs) != n || len(op.Outputs) != 1 || slices.Contains(op.Inputs, -1) {
		return nil, fmt.Errorf("%d inputs and %d outputs", len(op.Inputs), len(op.Outputs))
	}
	x, out := &it.model.Tensors[op.Inputs[0]], &it.model.Tensors[op.Outputs[0]]
	for _, t := range []*tflite.Tensor{x, out} {
		switch {
		case t.Type == tflite.Float32:
		case (t.Type == tflite.Int8 || t.Type == tflite.Uint8) && len(t.Quant.Scale) == 1 && t.Quant.Scale[0] > 0:
		default:
			return nil, fmt.Errorf("tensor %s is %v with %d scales", t.Name, t.Type, len(t.Quant.Scale))
		}
	}
	if !made[op.Inputs[0]] || made[op.Outputs[0]] {
		return nil, errors.New("out of order")
	}
	value := func() []float32 { return it.values[op.Inputs[0]] }
	switch op.Op {
	case tflite.Conv2D, tflite.DepthwiseConv2D:
		return it.prepareConv(op, x, out)
	case tflite.MaxPool2D:
		o, ok := op.Options.(tflite.PoolOptions)
		if !ok {
			return nil, errors.New("no options")
		}
		w, err := newWindow(x.Shape, out.Shape, o.Height, o.Width, o.StrideH, o.StrideW, o.Padding)
		if err != nil {
			return nil, err
		}
		if x.Shape[3] != out.Shape[3] {
			return nil, shapeError(x, out)
		}
		return func(out []float32) { w.maxPool(value(), out); activate(out, o.Activation) }, nil
	case tflite.Add, tflite.Mul:
		return it.prepareBinary(op, x, out, made)
	case tflite.Mean:
		axes, err := it.integers(op.Inputs[1], 2)
		if err != nil {
			return nil, err
		}
		if len(x.Shape) != 4 || !slices.Equal(axes, []int{1, 2}) || out.Elements() != x.Shape[0]*x.Shape[3] || x.Elements() == 0 {
			return nil, shapeError(x, out)
		}
		return func(out []float32) { mean(value(), out) }, nil
	case tflite.Pad:
		return it.preparePad(op, x, out)
	case tflite.Slice:
		return it.prepareSlice(op, x, out)
	case tflite.Transpose:
		return it.prepareTranspose(op, x, out)
	case tflite.Concatenation:
		y := &it.model.Tensors[op.Inputs[1]]
		o, ok := op.Options.(tflite.ConcatOptions)
		last := len(x.Shape) - 1
		if !ok || last < 0 || o.Axis != last || !made[op.Inputs[1]] || len(y.Shape) != len(x.Shape) ||
			!slices.Equal(x.Shape[:last], y.Shape[:last]) || out.Elements() != x.Elements()+y.Elements() {
			return nil, shapeError(x, out)
		}
		a, b := x.Shape[last], y.Shape[last]
		return func(out []float32) {
			x, y := value(), it.values[op.Inputs[1]]
			for i := 0; len(out) > 0 && a+b > 0; i++ {
				copy(out, x[i*a:(i+1)*a])
				copy(out[a:], y[i*b:(i+1)*b])
				out = out[a+b:]
			}
		}, nil
	}
	if x.Elements() != out.Elements() || len(x.Shape) == 0 {
		return nil, shapeError(x, out)
	}
	switch op.Op {
	case tflite.Logistic:
		return func(out []float32) {
			for i, v := range value() {
				out[i] = float32(1 / (1 + math.Exp(-float64(v))))
			}
		}, nil
	case tflite.Softmax:
		return func(out []float32) { softmax(value(), out, x.Shape[len(x.Shape)-1]) }, nil
	}
	return func(out []float32) { copy(out, value()) }, nil // Reshape, Quantize, Dequantize
}

func shapeError(x, out *tflite.Tensor) error {
	return fmt.Errorf("shapes %v to %v", x.Shape, out.Shape)
}

func activate(v []float32, a tflite.Activation) {
	switch a {
	case tflite.FusedReLU:
		for i := range v {
			v[i] = max(v[i], 0)
		}
	case tflite.FusedReLU6:
		for i := range v {
			v[i] = min(max(v[i], 0), 6)
		}
	}
}

func (it *Interpreter) prepareBinary(op tflite.Operator, x, out *tflite.Tensor, made map[int]bool) (step, error) {
	y := &it.model.Tensors[op.Inputs[1]]
	o, ok := op.Options.(tflite.ActivationOptions)
	size := y.Elements()
	// The second input is as large as the first, or has one value a channel.
	broadcast := size > 0 && len(x.Shape) > 0 && size == x.Shape[len(x.Shape)-1]
	if !ok || !made[op.Inputs[1]] || x.Elements() != out.Elements() || (size != x.Elements() && !broadcast) || size == 0 {
		return nil, shapeError(x, out)
	}
	return func(out []float32) {
		x, y := it.values[op.Inputs[0]], it.values[op.Inputs[1]]
		for at := 0; at < len(x); at += size {
			a, b, c := x[at:at+size], y[:size], out[at:at+size]
			if op.Op == tflite.Add {
				for i := range a {
					c[i] = a[i] + b[i]
				}
			} else {
				for i := range a {
					c[i] = a[i] * b[i]
				}
			}
		}
		activate(out, o.Activation)
	}, nil
}

func mean(x, out []float32) {
	channels := len(out)
	sums := make([]float64, channels)
	for at := 0; at+channels <= len(x); at += channels {
		for c, v := range x[at : at+channels] {
			sums[c] += float64(v)
		}
	}
	for c, s := range sums {
		out[c] = float32(s / float64(len(x)/channels))
	}
}

func softmax(x, out []float32, classes int) {
	for at := 0; at+classes <= len(x) && classes > 0; at += classes {
		top := slices.Max(x[at : at+classes])
		var sum float64
		for i, v := range x[at : at+classes] {
			e := math.Exp(float64(v - top))
			out[at+i] = float32(e)
			sum += e
		}
		for i := range classes {
			out[at+i] = float32(float64(out[at+i]) / sum)
		}
	}
}

func (it *Interpreter) preparePad(op tflite.Operator, x, out *tflite.Tensor) (step, error) {
	p, err := it.integers(op.Inputs[1], 8)
	if err != nil {
		return nil, err
	}
	if len(x.Shape) != 4 || len(out.Shape) != 4 || slices.Min(p) < 0 || p[0]+p[1]+p[6]+p[7] != 0 || x.Shape[0] != 1 || out.Shape[0] != 1 ||
		out.Shape[1] != x.Shape[1]+p[2]+p[3] || out.Shape[2] != x.Shape[2]+p[4]+p[5] || out.Shape[3] != x.Shape[3] {
		return nil, shapeError(x, out)
	}
	row, outRow, left := x.Shape[2]*x.Shape[3], out.Shape[2]*out.Shape[3], p[4]*x.Shape[3]
	return func(out []float32) {
		clear(out)
		x := it.values[op.Inputs[0]]
		for r := 0; (r+1)*row <= len(x) && row > 0; r++ {
			copy(out[(r+p[2])*outRow+left:], x[r*row:(r+1)*row])
		}
	}, nil
}

func (it *Interpreter) prepareSlice(op tflite.Operator, x, out *tflite.Tensor) (step, error) {
	rank := len(x.Shape)
	begin, err := it.integers(op.Inputs[1], rank)
	if err != nil {
		return nil, err
	}
	size, err := it.integers(op.Inputs[2], rank)
	if err != nil {
		return nil, err
	}
	if rank == 0 || !slices.Equal(size, out.Shape) {
		return nil, shapeError(x, out)
	}
	// Only the channels are cut.
	last := rank - 1
	for d := range last {
		if begin[d] != 0 || size[d] != x.Shape[d] {
			return nil, shapeError(x, out)
		}
	}
	channels, from, n := x.Shape[last], begin[last], size[last]
	if from < 0 || n < 1 || n > channels || from > channels-n {
		return nil, shapeError(x, out)
	}
	return func(out []float32) {
		x := it.values[op.Inputs[0]]
		for at := from; len(out) > 0; at += channels {
			copy(out[:n], x[at:at+n])
			out = out[n:]
		}
	}, nil
}

func (it *Interpreter) prepareTranspose(op tflite.Operator, x, out *tflite.Tensor) (step, error) {
	rank := len(x.Shape)
	perm, err := it.integers(op.Inputs[1], rank)
	if err != nil {
		return nil, err
	}
	strides := make([]int, rank)
	stride := 1
	for d := rank - 1; d >= 0; d-- {
		strides[d] = stride
		stride *= x.Shape[d]
	}
	for d, from := range slices.Sorted(slices.Values(perm)) {
		if from != d || len(out.Shape) != rank {
			return nil, shapeError(x, out)
		}
	}
	for d, from := range perm {
		if out.Shape[d] != x.Shape[from] {
			return nil, shapeError(x, out)
		}
	}
	shape := out.Shape
	return func(out []float32) {
		x := it.values[op.Inputs[0]]
		index, at := make([]int, rank), 0
		for i := range out {
			out[i] = x[at]
			for d := rank - 1; d >= 0; d-- {
				index[d]++
				at += strides[perm[d]]
				if index[d] < shape[d] {
					break
				}
				at -= index[d] * strides[perm[d]]
				index[d] = 0
			}
		}
	}, nil
}

package convert

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// Int8Options vary the eight-bit model.
type Int8Options struct {
	// FloatIO gives the model float input and output, with the conversion in the
	// graph.
	FloatIO bool
	// NoBiasCorrection leaves the biases as they are; otherwise they make up for
	// what rounding the weights does to the mean of each channel, where the
	// ranges carry means.
	NoBiasCorrection bool
	// FullPairs lets weights take any code; see rowCoder for what is otherwise
	// held back, and for which processors.
	FullPairs bool
}

// Int8 makes the eight-bit model. The ranges must hold every activation of the
// graph.
func Int8(g *graph.Graph, ranges quantize.ActivationRanges, o Int8Options) (*tflite.Model, error) {
	if err := ranges.Check(g); err != nil {
		return nil, fmt.Errorf("converting %s: %w", g.Name, err)
	}
	l := newLowering(g, codes(g, ranges))
	l.fullPairs = o.FullPairs
	if !o.NoBiasCorrection {
		l.means = ranges.Means
	}
	input := l.activation(g.Input)
	if o.FloatIO {
		outer := l.add(tflite.Tensor{Name: g.Input.Name + "/float", Type: tflite.Float32, Shape: g.Input.Shape})
		l.model.Operators = append(l.model.Operators,
			tflite.Operator{Op: tflite.Quantize, Version: 1, Inputs: []int{outer}, Outputs: []int{input}})
		input = outer
	}
	nodes, inner := g.Nodes, g.Output
	if last := nodes[len(nodes)-1]; o.FloatIO && last.Op == graph.Softmax {
		// In float it keeps its resolution, and XNNPACK takes it.
		nodes, inner = nodes[:len(nodes)-1], last.Inputs[0]
	}
	for _, n := range nodes {
		if err := l.node(n); err != nil {
			return nil, fmt.Errorf("converting %s: %v: %w", g.Name, n, err)
		}
	}
	output := l.index[inner]
	if o.FloatIO {
		output = l.dequantize(inner)
		if inner != g.Output {
			probabilities := l.add(tflite.Tensor{Name: g.Output.Name, Type: tflite.Float32, Shape: g.Output.Shape})
			l.model.Operators = append(l.model.Operators, tflite.Operator{
				Op: tflite.Softmax, Version: 1, Inputs: []int{output}, Outputs: []int{probabilities},
				Options: tflite.SoftmaxOptions{Beta: 1},
			})
			output = probabilities
		}
	}
	l.model.Inputs, l.model.Outputs = []int{input}, []int{output}
	l.sign()
	return l.model, nil
}

// dequantize appends the conversion of an activation to float.
func (l *lowering) dequantize(t *graph.Tensor) int {
	outer := l.add(tflite.Tensor{Name: t.Name + "/float", Type: tflite.Float32, Shape: t.Shape})
	l.model.Operators = append(l.model.Operators,
		tflite.Operator{Op: tflite.Dequantize, Version: 2, Inputs: []int{l.index[t]}, Outputs: []int{outer}})
	return outer
}

// The codes of int8 activations.
const (
	codeMin = -128
	codeMax = 127
)

// probability is the quantisation that the specification fixes for the outputs
// of Logistic and Softmax.
var probability = tflite.PerTensor(1.0/256, codeMin)

// codes chooses scale and zero point of each activation. Operators that only
// move values, or that are specified so, have one quantisation for input and
// output: all that they connect gets the union of its ranges.
func codes(g *graph.Graph, ranges quantize.ActivationRanges) map[*graph.Tensor]tflite.Quantization {
	parent := map[*graph.Tensor]*graph.Tensor{}
	var find func(t *graph.Tensor) *graph.Tensor
	find = func(t *graph.Tensor) *graph.Tensor {
		if parent[t] == nil || parent[t] == t {
			return t
		}
		parent[t] = find(parent[t])
		return parent[t]
	}
	for _, n := range g.Nodes {
		switch n.Op {
		case graph.MaxPool, graph.Pad, graph.Concat, graph.Slice, graph.Reshape, graph.Transpose:
			for _, in := range n.Inputs {
				// The earlier tensor leads, so that what is only moved keeps the
				// range of its maker and padding can't widen it.
				if a, b := find(in), find(n.Output); a != b {
					parent[b] = a
				}
			}
		}
	}
	union := map[*graph.Tensor]quantize.Range{}
	for _, t := range g.Tensors() {
		// A moved value has its maker's range; only makers count.
		if t.By != nil && moves(t.By.Op) {
			continue
		}
		root := find(t)
		r, ok := union[root]
		if !ok {
			r = ranges.Tensors[t.Name]
		}
		union[root] = quantize.Range{Min: min(r.Min, ranges.Tensors[t.Name].Min), Max: max(r.Max, ranges.Tensors[t.Name].Max)}
	}
	out := map[*graph.Tensor]tflite.Quantization{}
	for _, t := range g.Tensors() {
		root := find(t)
		if root.By != nil && (root.By.Op == graph.Logistic || root.By.Op == graph.Softmax) {
			out[t] = probability
			continue
		}
		out[t] = asymmetric(union[root])
	}
	return out
}

// moves tells the operators that make no new values.
func moves(op graph.Op) bool {
	switch op {
	case graph.MaxPool, graph.Pad, graph.Concat, graph.Slice, graph.Reshape, graph.Transpose:
		return true
	}
	return false
}

// asymmetric spreads the codes over a range that is widened to hold zero, which
// gets a code of its own: padding and ReLU need it exactly.
func asymmetric(r quantize.Range) tflite.Quantization {
	low, high := min(float64(r.Min), 0), max(float64(r.Max), 0)
	scale := (high - low) / (codeMax - codeMin)
	if scale < math.SmallestNonzeroFloat32*(1<<24) {
		scale = 1 // nothing but zeros
	}
	zero := math.Round(codeMin - low/scale)
	return tflite.PerTensor(float32(scale), int64(min(max(zero, codeMin), codeMax)))
}

// leastFactor bounds input scale × weight scale / output scale from below:
// XNNPACK takes no less than 2^−32, and such a channel adds nothing anyway.
const leastFactor = 1.0 / (1 << 24)

// maxBias keeps a 32-bit accumulator from overflowing on its bias.
const maxBias = 1 << 30

// quantized appends a convolution's int8 filter and int32 bias.
func (l *lowering) quantized(n *graph.Node) (weights, bias int, err error) {
	in, out := l.codes[n.Inputs[0]], l.codes[n.Output]
	channels := n.Output.Channels()
	each := len(n.Weights) / channels
	wq := tflite.Quantization{Scale: make([]float32, channels), ZeroPoint: make([]int64, channels)}
	bq := tflite.Quantization{Scale: make([]float32, channels), ZeroPoint: make([]int64, channels)}
	// Rows of a convolution's filter are output channels; of a depthwise filter
	// columns are.
	coder := rowCoder{row: make([]float64, each), codes: make([]float64, each)}
	at := func(c, i int) int { return c*each + i }
	if n.Op == graph.Depthwise {
		wq.Axis, at = 3, func(c, i int) int { return i*channels + c }
	} else if !l.fullPairs {
		coder.group = n.Inputs[0].Channels()
	}
	data, biases := make([]byte, len(n.Weights)), make([]byte, 4*channels)
	means := l.means[n.Inputs[0].Name]
	least := leastFactor * float64(out.Scale[0]) / float64(in.Scale[0])
	for c := range channels {
		for i := range each {
			coder.row[i] = float64(n.Weights[at(c, i)])
		}
		value := float64(n.Bias[c])
		wq.Scale[c] = float32(max(coder.scale(), least, math.Abs(value)/(maxBias*float64(in.Scale[0]))))
		scale := float64(wq.Scale[c])
		coder.encode(scale)
		for i, code := range coder.codes {
			data[at(c, i)] = byte(int8(code))
			if means != nil {
				from := c
				if n.Op == graph.Conv {
					from = i % len(means)
				}
				value -= (code*scale - coder.row[i]) * float64(means[from])
			}
		}
		bq.Scale[c] = in.Scale[0] * wq.Scale[c]
		code := math.RoundToEven(value / float64(bq.Scale[c]))
		if math.Abs(code) > math.MaxInt32 || code != code {
			return 0, 0, fmt.Errorf("bias %d, %v, does not fit 32 bits", c, value)
		}
		binary.LittleEndian.PutUint32(biases[4*c:], uint32(int32(code)))
	}
	name := n.Output.Name
	weights = l.add(tflite.Tensor{Name: name + "/weights", Type: tflite.Int8, Shape: weightShape(n), Data: data, Quant: wq})
	bias = l.add(tflite.Tensor{Name: name + "/bias", Type: tflite.Int32, Shape: []int{channels}, Data: biases, Quant: bq})
	return weights, bias, nil
}

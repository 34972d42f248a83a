package reference

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// Interpreter runs one model. It is not safe for concurrent use.
type Interpreter struct {
	model *tflite.Model
	steps []step
	// values are the tensors' as real numbers, whatever they are stored as.
	values [][]float32
	// lastUse is the last step that reads a tensor, after which its memory serves
	// another; outputs are never given back.
	lastUse []int
	free    map[int][][]float32
}

// step computes an operator's output from the current values.
type step func(out []float32)

// maxValues bounds an activation; a 4096×4096 picture of three channels fits.
const maxValues = 1 << 26

// New prepares a model. It fails if the model has operators or shapes that
// classifiers don't have.
func New(m *tflite.Model) (*Interpreter, error) {
	it := &Interpreter{model: m, values: make([][]float32, len(m.Tensors)), lastUse: make([]int, len(m.Tensors)), free: map[int][][]float32{}}
	if len(m.Inputs) != 1 {
		return nil, fmt.Errorf("running %s: %d inputs, only one is supported", m.Description, len(m.Inputs))
	}
	for i := range m.Tensors {
		if m.Tensors[i].Elements() > maxValues {
			return nil, fmt.Errorf("running %s: tensor %s of shape %v is too large", m.Description, m.Tensors[i].Name, m.Tensors[i].Shape)
		}
	}
	made := map[int]bool{m.Inputs[0]: true}
	for i, op := range m.Operators {
		s, err := it.prepare(op, made)
		if err != nil {
			return nil, fmt.Errorf("running %s: operator %d, %v: %w", m.Description, i, op.Op, err)
		}
		it.steps = append(it.steps, s)
		made[op.Outputs[0]] = true
		for _, t := range op.Inputs {
			if t >= 0 {
				it.lastUse[t] = i
			}
		}
	}
	for _, o := range m.Outputs {
		if !made[o] {
			return nil, fmt.Errorf("running %s: output %s is never computed", m.Description, m.Tensors[o].Name)
		}
		it.lastUse[o] = len(m.Operators)
	}
	return it, nil
}

// Open is a quantize.OpenRunner.
func Open(model []byte) (quantize.Runner, error) {
	m, err := tflite.Unmarshal(model)
	if err != nil {
		return nil, err
	}
	return New(m)
}

// Close lets go of the model.
func (it *Interpreter) Close() error {
	it.values, it.free = nil, nil
	return nil
}

// Run takes the input as real numbers and returns the outputs likewise; they are
// valid until the next Run.
func (it *Interpreter) Run(input []float32) ([][]float32, error) {
	m := it.model
	in := m.Inputs[0]
	if it.values == nil {
		return nil, errors.New("running a closed model")
	}
	if len(input) != m.Tensors[in].Elements() {
		return nil, fmt.Errorf("running %s: input has %d values, not %d", m.Description, len(input), m.Tensors[in].Elements())
	}
	for _, o := range m.Outputs {
		it.release(o)
	}
	it.values[in] = slices.Clone(input)
	round(it.values[in], &m.Tensors[in])
	for i, s := range it.steps {
		op := m.Operators[i]
		o := op.Outputs[0]
		out := it.take(m.Tensors[o].Elements())
		s(out)
		round(out, &m.Tensors[o])
		it.values[o] = out
		for _, t := range op.Inputs {
			if t >= 0 && it.lastUse[t] == i && !m.Tensors[t].Constant() {
				it.release(t)
			}
		}
	}
	outputs := make([][]float32, len(m.Outputs))
	for i, o := range m.Outputs {
		outputs[i] = it.values[o]
	}
	return outputs, nil
}

func (it *Interpreter) take(n int) []float32 {
	if list := it.free[n]; len(list) > 0 {
		it.free[n] = list[:len(list)-1]
		return list[len(list)-1]
	}
	return make([]float32, n)
}

func (it *Interpreter) release(t int) {
	if v := it.values[t]; v != nil {
		it.free[len(v)] = append(it.free[len(v)], v)
		it.values[t] = nil
	}
}

// round replaces values by what their codes in the tensor stand for.
func round(values []float32, t *tflite.Tensor) {
	low, high := float32(-128), float32(127)
	switch t.Type {
	case tflite.Int8:
	case tflite.Uint8:
		low, high = 0, 255
	default:
		return
	}
	scale, zero := t.Quant.Scale[0], float32(t.Quant.ZeroPoint[0])
	inverse := 1 / scale
	for i, v := range values {
		q := float32(math.RoundToEven(float64(v*inverse))) + zero
		values[i] = (min(max(q, low), high) - zero) * scale
	}
}

// constant reads a tensor's data as real numbers. Elements of a per-channel
// tensor take the scale of their index in the quantised dimension.
func (it *Interpreter) constant(index int) ([]float32, error) {
	t := &it.model.Tensors[index]
	if t.Floats != nil {
		return t.Floats, nil
	}
	if t.Data == nil {
		return nil, fmt.Errorf("tensor %s is not constant", t.Name)
	}
	out := make([]float32, t.Elements())
	switch t.Type {
	case tflite.Float32:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	case tflite.Int8, tflite.Uint8, tflite.Int32:
		q := t.Quant
		if len(q.Scale) == 0 {
			return nil, fmt.Errorf("tensor %s has no scale", t.Name)
		}
		inner := 1
		if len(q.Scale) > 1 {
			if q.Axis < 0 || q.Axis >= len(t.Shape) || t.Shape[q.Axis] != len(q.Scale) {
				return nil, fmt.Errorf("tensor %s of shape %v has %d scales", t.Name, t.Shape, len(q.Scale))
			}
			for _, d := range t.Shape[q.Axis+1:] {
				inner *= d
			}
		}
		for i := range out {
			var code int64
			switch t.Type {
			case tflite.Int8:
				code = int64(int8(t.Data[i]))
			case tflite.Uint8:
				code = int64(t.Data[i])
			default:
				code = int64(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
			}
			c := i / inner % len(q.Scale)
			out[i] = float32(float64(code-q.ZeroPoint[c]) * float64(q.Scale[c]))
		}
	default:
		return nil, fmt.Errorf("tensor %s is %v", t.Name, t.Type)
	}
	return out, nil
}

// integers reads an operator's constant list of numbers, such as a shape.
func (it *Interpreter) integers(index, n int) ([]int, error) {
	t := &it.model.Tensors[index]
	if t.Data == nil || t.Type != tflite.Int32 || t.Elements() != n {
		return nil, fmt.Errorf("tensor %s is not %d constant integers", t.Name, n)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = int(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
	}
	return out, nil
}

package tflite

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// MaxFile bounds the size in bytes of a model that ReadFile takes; the largest
// classifiers of the field are a third of it.
const MaxFile = 1 << 30

// ReadFile reads a .tflite file.
func ReadFile(path string) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFile {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", path, MaxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Unmarshal reads a model. Constants alias b, which must not change afterwards.
// Any b is safe to pass: what isn't a model gives an error.
func Unmarshal(b []byte) (*Model, error) {
	f := newFlat(b)
	m, err := readModel(f)
	if f.err != nil {
		err = f.err
	}
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, fmt.Errorf("reading .tflite: %w", err)
	}
	return m, nil
}

func readModel(f *flat) (*Model, error) {
	root := f.root(fileIdentifier)
	if v := root.uint32(0); f.err == nil && v != schemaVersion {
		return nil, fmt.Errorf("schema version %d, only %d is read", v, schemaVersion)
	}
	buffers := root.tables(4)
	buffer := func(index int) ([]byte, error) {
		if index < 0 || index >= len(buffers) {
			return nil, fmt.Errorf("buffer %d of %d", index, len(buffers))
		}
		// Models of over 2 GB keep constants behind the FlatBuffer.
		if buffers[index].uint32(1) > 1 {
			return nil, errors.New("constants outside the FlatBuffer are not read")
		}
		return buffers[index].data(0), nil
	}
	subgraphs := root.tables(2)
	if len(subgraphs) == 0 {
		if f.err != nil {
			return nil, f.err
		}
		return nil, errors.New("no subgraph")
	}
	graph := subgraphs[0]
	m := &Model{
		Description: root.text(3), Name: graph.text(4), Subgraphs: len(subgraphs),
		Inputs: graph.ints(1), Outputs: graph.ints(2),
	}
	for _, t := range graph.tables(0) {
		tensor, err := readTensor(t, buffer)
		if err != nil {
			return nil, fmt.Errorf("tensor %d (%.60s): %w", len(m.Tensors), tensor.Name, err)
		}
		m.Tensors = append(m.Tensors, tensor)
	}
	codes := root.tables(1)
	for i, t := range graph.tables(3) {
		code := t.uint32(0)
		if code < 0 || code >= len(codes) {
			return nil, fmt.Errorf("operator %d: code %d of %d", i, code, len(codes))
		}
		m.Operators = append(m.Operators, readOperator(t, codes[code]))
	}
	for _, t := range root.tables(6) {
		data, err := buffer(t.uint32(1))
		if err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		m.Metadata = append(m.Metadata, NamedBuffer{t.text(0), data})
	}
	for _, t := range root.tables(7) {
		// A signature of another subgraph says nothing about this one.
		if t.uint32(4) == 0 {
			m.Signatures = append(m.Signatures, Signature{t.text(2), readBindings(t.tables(0)), readBindings(t.tables(1))})
		}
	}
	return m, nil
}

func readBindings(list []table) []Binding {
	var out []Binding
	for _, t := range list {
		out = append(out, Binding{t.text(0), t.uint32(1)})
	}
	return out
}

func readTensor(t table, buffer func(int) ([]byte, error)) (Tensor, error) {
	out := Tensor{Name: t.text(3), Type: TensorType(t.int8(1)), Shape: t.ints(0)}
	if q, ok := t.table(4); ok {
		out.Quant = Quantization{Scale: q.floats(2), ZeroPoint: q.longs(3), Axis: q.int32(6, 0)}
		// Converters leave out the zero points of symmetric weights at times.
		if len(out.Quant.ZeroPoint) == 0 && len(out.Quant.Scale) > 0 {
			out.Quant.ZeroPoint = make([]int64, len(out.Quant.Scale))
		}
	}
	elements := 1
	for _, d := range out.Shape {
		if d < 0 || (d > 0 && elements > math.MaxInt32/d) {
			return out, fmt.Errorf("shape %v", out.Shape)
		}
		elements *= d
	}
	data, err := buffer(t.uint32(2))
	if err != nil {
		return out, err
	}
	if len(data) > 0 {
		if size := out.Type.Size(); size == 0 || elements != len(data)/size || len(data)%size != 0 {
			return out, fmt.Errorf("%d bytes of data for %v of %v", len(data), out.Shape, out.Type)
		}
		out.Data = data
	}
	return out, nil
}

func readOperator(t, code table) Operator {
	// Older writers fill the byte field only, newer ones both; the larger counts.
	op := Op(max(int(code.int8(0)), code.int32(3, 0)))
	out := Operator{Op: op, Version: code.int32(2, 1), CustomCode: code.text(1), Inputs: t.ints(1), Outputs: t.ints(2)}
	if o, ok := t.table(4); ok && t.int8(3) == int8(unionTypes[op]) {
		out.Options = readOptions(op, o)
	}
	return out
}

func readOptions(op Op, o table) any {
	switch op {
	case Conv2D:
		return ConvOptions{
			Padding: Padding(o.int8(0)), StrideW: o.int32(1, 0), StrideH: o.int32(2, 0),
			Activation: Activation(o.int8(3)), DilationW: o.int32(4, 1), DilationH: o.int32(5, 1),
		}
	case DepthwiseConv2D:
		return ConvOptions{
			Padding: Padding(o.int8(0)), StrideW: o.int32(1, 0), StrideH: o.int32(2, 0), DepthMultiplier: o.int32(3, 0),
			Activation: Activation(o.int8(4)), DilationW: o.int32(5, 1), DilationH: o.int32(6, 1),
		}
	case MaxPool2D, AveragePool2D:
		return PoolOptions{
			Padding: Padding(o.int8(0)), StrideW: o.int32(1, 0), StrideH: o.int32(2, 0),
			Width: o.int32(3, 0), Height: o.int32(4, 0), Activation: Activation(o.int8(5)),
		}
	case Add, Sub, Mul, FullyConnected:
		return ActivationOptions{Activation(o.int8(0))}
	case Concatenation:
		return ConcatOptions{o.int32(0, 0), Activation(o.int8(1))}
	case Mean:
		return ReduceOptions{o.int8(0) != 0}
	case Reshape:
		return ReshapeOptions{o.ints(0)}
	case Softmax:
		return SoftmaxOptions{o.float32(0)}
	}
	return nil
}

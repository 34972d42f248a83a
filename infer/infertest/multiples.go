package infertest

import (
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Multiples is a model whose tensor i (from 0, the input) is i+1 times the input: every layer
// adds the input to what came before. It is for runtimes that give several outputs, which
// may include inner tensors.
type Multiples struct {
	// Width is the number of values, Layers that of additions.
	Width, Layers int
	// Outputs are tensors' numbers, in the order of the file's subgraph.
	Outputs []int
	// Signature, if any, has the outputs by names, in the order of the file's signature.
	Signature []NamedTensor
}

// NamedTensor is what a signature calls a tensor.
type NamedTensor struct {
	Name   string
	Tensor int
}

// Build returns the model as a .tflite file of float32 tensors.
func (m Multiples) Build() []byte {
	b := flatbuffers.NewBuilder(1024)
	buffers := []flatbuffers.UOffsetT{buffer(b, nil)}
	var tensors, operators []flatbuffers.UOffsetT
	for i := range m.Layers + 1 {
		tensors = append(tensors, tensor(b, Tensor{Shape: []int{1, m.Width}, Type: TypeFloat32}, 0, fmt.Sprintf("tensor%d", i)))
		if i > 0 {
			operators = append(operators, operator(b, []int32{int32(i - 1), 0}, []int32{int32(i)}, optionsAdd))
		}
	}
	var outputs []int32
	for _, t := range m.Outputs {
		outputs = append(outputs, int32(t))
	}
	graph := subgraph(b, tensors, []int32{0}, outputs, operators...)
	var signatures flatbuffers.UOffsetT
	if len(m.Signature) > 0 {
		signatures = vector(b, []flatbuffers.UOffsetT{signature(b, []NamedTensor{{"input", 0}}, m.Signature)})
	}
	return finish(b, opAdd, graph, buffers, signatures)
}

func signature(b *flatbuffers.Builder, inputs, outputs []NamedTensor) flatbuffers.UOffsetT {
	bindings := func(list []NamedTensor) flatbuffers.UOffsetT {
		var tables []flatbuffers.UOffsetT
		for _, t := range list {
			name := b.CreateString(t.Name)
			b.StartObject(2) // TensorMap
			b.PrependUOffsetTSlot(0, name, 0)
			b.PrependUint32Slot(1, uint32(t.Tensor), 0)
			tables = append(tables, b.EndObject())
		}
		return vector(b, tables)
	}
	in, out, key := bindings(inputs), bindings(outputs), b.CreateString("serving_default")
	b.StartObject(5) // SignatureDef
	b.PrependUOffsetTSlot(0, in, 0)
	b.PrependUOffsetTSlot(1, out, 0)
	b.PrependUOffsetTSlot(2, key, 0)
	return b.EndObject()
}

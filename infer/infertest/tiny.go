// Package infertest holds what every runtime behind infer.Interpreter is tested
// with: a conformance suite, and models small enough to be built in the test.
package infertest

import (
	"encoding/binary"
	"math"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/glimpsed/glimpsed/infer"
)

// Tensor describes an input or output of a Tiny model.
type Tensor struct {
	Shape []int
	// Type is TensorFlow Lite's TensorType: see the constants.
	Type      int8
	Scale     float32
	ZeroPoint int64
}

// Values of TensorType in TensorFlow Lite's schema, version 3.
const (
	TypeFloat32 int8 = 0
	TypeInt32   int8 = 2
	TypeUint8   int8 = 3
	TypeInt8    int8 = 9
)

// DType is the type's name in infer; only for those that infer knows.
func (t Tensor) DType() infer.DType {
	return map[int8]infer.DType{TypeFloat32: infer.Float32, TypeUint8: infer.Uint8, TypeInt8: infer.Int8}[t.Type]
}

// Tiny is a model of one fully connected layer: output = weights x input.
type Tiny struct {
	// Inputs has one entry for a classifier; more than one makes a model that adds the first two.
	Inputs []Tensor
	Output Tensor
	// Weights are the layer's, output by output, in the type of the model: int8 bits of scale
	// WeightScale for int8 models, uint8 with zero point 128 for uint8 models, else float32.
	Weights     []float32
	WeightScale float32
}

// Numbers of fields in the tables of TensorFlow Lite's schema (schema.fbs, version 3).
const (
	opFullyConnected = 9
	opAdd            = 0
	optionsFC        = 8
	optionsAdd       = 11
)

// Build returns the model as a .tflite file.
func (m Tiny) Build() []byte {
	b := flatbuffers.NewBuilder(1024)
	tensors := append(append([]Tensor{}, m.Inputs...), m.Output)
	inputs := len(m.Inputs)
	buffers := []flatbuffers.UOffsetT{buffer(b, nil)}
	if len(m.Weights) > 0 {
		n := len(m.Weights) / m.Output.Shape[len(m.Output.Shape)-1]
		weights := Tensor{Shape: []int{m.Output.Shape[len(m.Output.Shape)-1], n}, Type: m.Inputs[0].Type, Scale: m.WeightScale}
		if weights.Type == TypeUint8 {
			weights.ZeroPoint = 128
		}
		tensors = append(tensors, weights)
		buffers = append(buffers, buffer(b, m.weightBytes()))
	}
	var tables []flatbuffers.UOffsetT
	for i, t := range tensors {
		buf := uint32(0)
		if i > inputs {
			buf = 1
		}
		tables = append(tables, tensor(b, t, buf, "tensor"+string(rune('0'+i))))
	}
	inIndexes := make([]int32, inputs)
	for i := range inIndexes {
		inIndexes[i] = int32(i)
	}
	opInputs, op, kind := inIndexes, int32(opAdd), byte(optionsAdd)
	if len(m.Weights) > 0 {
		opInputs, op, kind = []int32{0, int32(inputs + 1), -1}, opFullyConnected, optionsFC
	}
	operator := operator(b, opInputs, []int32{int32(inputs)}, kind)
	graph := subgraph(b, tables, inIndexes, []int32{int32(inputs)}, operator)

	return finish(b, op, graph, buffers, 0)
}

// finish writes the table of the whole model, whose operators are all of one kind. signatures
// is a vector, or 0.
func finish(b *flatbuffers.Builder, op int32, graph flatbuffers.UOffsetT, buffers []flatbuffers.UOffsetT, signatures flatbuffers.UOffsetT) []byte {
	b.StartObject(4) // OperatorCode
	b.PrependInt8Slot(0, int8(op), 0)
	b.PrependInt32Slot(2, 1, 1)
	b.PrependInt32Slot(3, op, 0)
	code := b.EndObject()
	description := b.CreateString("glimpsed test model")
	codes, graphs, buffersVec := vector(b, []flatbuffers.UOffsetT{code}), vector(b, []flatbuffers.UOffsetT{graph}), vector(b, buffers)

	b.StartObject(8) // Model
	b.PrependUint32Slot(0, 3, 0)
	b.PrependUOffsetTSlot(1, codes, 0)
	b.PrependUOffsetTSlot(2, graphs, 0)
	b.PrependUOffsetTSlot(3, description, 0)
	b.PrependUOffsetTSlot(4, buffersVec, 0)
	b.PrependUOffsetTSlot(7, signatures, 0)
	b.FinishWithFileIdentifier(b.EndObject(), []byte("TFL3"))
	return b.FinishedBytes()
}

func (m Tiny) weightBytes() []byte {
	var data []byte
	for _, w := range m.Weights {
		switch m.Inputs[0].Type {
		case TypeFloat32:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(w))
		case TypeUint8:
			data = append(data, byte(128+int(w)))
		default:
			data = append(data, byte(int8(w)))
		}
	}
	return data
}

func buffer(b *flatbuffers.Builder, data []byte) flatbuffers.UOffsetT {
	var at flatbuffers.UOffsetT
	if data != nil {
		b.Prep(16, len(data)+4) // the data begins at a multiple of 16
		at = b.CreateByteVector(data)
	}
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, at, 0)
	return b.EndObject()
}

func tensor(b *flatbuffers.Builder, t Tensor, buf uint32, name string) flatbuffers.UOffsetT {
	nameAt := b.CreateString(name)
	shape := make([]int32, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = int32(d)
	}
	shapeAt := int32s(b, shape)
	var quantAt flatbuffers.UOffsetT
	if t.Scale != 0 {
		b.StartVector(4, 1, 4)
		b.PrependFloat32(t.Scale)
		scales := b.EndVector(1)
		b.StartVector(8, 1, 8)
		b.PrependInt64(t.ZeroPoint)
		zeros := b.EndVector(1)
		b.StartObject(7) // QuantizationParameters
		b.PrependUOffsetTSlot(2, scales, 0)
		b.PrependUOffsetTSlot(3, zeros, 0)
		quantAt = b.EndObject()
	}
	b.StartObject(10) // Tensor
	b.PrependUOffsetTSlot(0, shapeAt, 0)
	b.PrependInt8Slot(1, t.Type, 0)
	b.PrependUint32Slot(2, buf, 0)
	b.PrependUOffsetTSlot(3, nameAt, 0)
	b.PrependUOffsetTSlot(4, quantAt, 0)
	return b.EndObject()
}

func operator(b *flatbuffers.Builder, inputs, outputs []int32, kind byte) flatbuffers.UOffsetT {
	in, out := int32s(b, inputs), int32s(b, outputs)
	b.StartObject(4) // FullyConnectedOptions or AddOptions, all defaults
	options := b.EndObject()
	b.StartObject(9) // Operator
	b.PrependUOffsetTSlot(1, in, 0)
	b.PrependUOffsetTSlot(2, out, 0)
	b.PrependByteSlot(3, kind, 0)
	b.PrependUOffsetTSlot(4, options, 0)
	return b.EndObject()
}

func subgraph(b *flatbuffers.Builder, tensors []flatbuffers.UOffsetT, inputs, outputs []int32, operators ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	tensorsAt, in, out := vector(b, tensors), int32s(b, inputs), int32s(b, outputs)
	ops := vector(b, operators)
	name := b.CreateString("main")
	b.StartObject(5)
	b.PrependUOffsetTSlot(0, tensorsAt, 0)
	b.PrependUOffsetTSlot(1, in, 0)
	b.PrependUOffsetTSlot(2, out, 0)
	b.PrependUOffsetTSlot(3, ops, 0)
	b.PrependUOffsetTSlot(4, name, 0)
	return b.EndObject()
}

func vector(b *flatbuffers.Builder, offsets []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(offsets), 4)
	for i := len(offsets) - 1; i >= 0; i-- {
		b.PrependUOffsetT(offsets[i])
	}
	return b.EndVector(len(offsets))
}

func int32s(b *flatbuffers.Builder, values []int32) flatbuffers.UOffsetT {
	b.StartVector(4, len(values), 4)
	for i := len(values) - 1; i >= 0; i-- {
		b.PrependInt32(values[i])
	}
	return b.EndVector(len(values))
}

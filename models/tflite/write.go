package tflite

import (
	"fmt"
	"slices"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Marshal encodes the model. Errors are mistakes of whoever built it: an index
// out of range or options of another operator.
func (m *Model) Marshal() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("writing .tflite: %w", err)
	}
	size := 1 << 16
	for i := range m.Tensors {
		size += len(m.Tensors[i].Data) + 4*len(m.Tensors[i].Floats) + 512
	}
	// Growing would copy all weights, so the builder gets its size at once. It fills it from the
	// end: a multiple of the alignment makes the file begin aligned, as runtimes want it in memory.
	size += size / 64
	return newWriter((size + bufferAlign - 1) / bufferAlign * bufferAlign).model(m)
}

func (m *Model) check() error {
	index := func(what string, list []int, least int) error {
		for _, i := range list {
			if i < least || i >= len(m.Tensors) {
				return fmt.Errorf("%s refers to tensor %d of %d", what, i, len(m.Tensors))
			}
		}
		return nil
	}
	if err := index("input", m.Inputs, 0); err != nil {
		return err
	}
	if err := index("output", m.Outputs, 0); err != nil {
		return err
	}
	for i, op := range m.Operators {
		what := fmt.Sprintf("operator %d (%v)", i, op.Op)
		if err := index(what, op.Inputs, -1); err != nil {
			return err
		}
		if err := index(what, op.Outputs, 0); err != nil {
			return err
		}
	}
	for i := range m.Tensors {
		t := &m.Tensors[i]
		if t.Data != nil && len(t.Data) != t.Elements()*t.Type.Size() {
			return fmt.Errorf("tensor %s: %d bytes of data for %v of %v", t.Name, len(t.Data), t.Shape, t.Type)
		}
		if t.Floats != nil && (t.Data != nil || t.Type != Float32 || len(t.Floats) != t.Elements()) {
			return fmt.Errorf("tensor %s: %d floats for %v of %v", t.Name, len(t.Floats), t.Shape, t.Type)
		}
		if len(t.Quant.Scale) != len(t.Quant.ZeroPoint) {
			return fmt.Errorf("tensor %s: %d scales and %d zero points", t.Name, len(t.Quant.Scale), len(t.Quant.ZeroPoint))
		}
	}
	for _, s := range m.Signatures {
		for _, b := range append(append([]Binding(nil), s.Inputs...), s.Outputs...) {
			if err := index("signature "+s.Key, []int{b.Tensor}, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	schemaVersion  = 3
	fileIdentifier = "TFL3"
	// bufferAlign is the schema's alignment of constants in bytes.
	bufferAlign = 16
)

// writer adds to flatbuffers.Builder what the schema's tables have in common.
// FlatBuffers are written back to front: whatever a table refers to comes first.
type writer struct {
	*flatbuffers.Builder
	// zeros are the vectors of zero points already written, by length: symmetric
	// weights and biases have nothing else, and tables may share.
	zeros map[int]offset
}

func newWriter(size int) writer {
	return writer{flatbuffers.NewBuilder(size), map[int]offset{}}
}

type offset = flatbuffers.UOffsetT

func (w writer) offsets(list []offset) offset {
	w.StartVector(flatbuffers.SizeUOffsetT, len(list), flatbuffers.SizeUOffsetT)
	for i := len(list) - 1; i >= 0; i-- {
		w.PrependUOffsetT(list[i])
	}
	return w.EndVector(len(list))
}

func (w writer) ints(list []int) offset {
	w.StartVector(4, len(list), 4)
	for i := len(list) - 1; i >= 0; i-- {
		w.PrependInt32(int32(list[i]))
	}
	return w.EndVector(len(list))
}

func (w writer) longs(list []int64) offset {
	w.StartVector(8, len(list), 8)
	for i := len(list) - 1; i >= 0; i-- {
		w.PrependInt64(list[i])
	}
	return w.EndVector(len(list))
}

func (w writer) zeroPoints(list []int64) offset {
	if slices.ContainsFunc(list, func(z int64) bool { return z != 0 }) {
		return w.longs(list)
	}
	at, ok := w.zeros[len(list)]
	if !ok {
		at = w.longs(list)
		w.zeros[len(list)] = at
	}
	return at
}

func (w writer) floats(list []float32) offset {
	w.StartVector(4, len(list), 4)
	for i := len(list) - 1; i >= 0; i-- {
		w.PrependFloat32(list[i])
	}
	return w.EndVector(len(list))
}

// buffer writes a constant, aligned as the schema wants it.
func (w writer) buffer(b []byte) offset {
	w.Prep(bufferAlign, len(b))
	return w.bufferTable(w.CreateByteVector(b))
}

func (w writer) floatBuffer(list []float32) offset {
	w.StartVector(4, len(list), bufferAlign)
	for i := len(list) - 1; i >= 0; i-- {
		w.PrependFloat32(list[i])
	}
	return w.bufferTable(w.EndVector(4 * len(list))) // a vector of bytes to readers
}

func (w writer) bufferTable(data offset) offset {
	w.StartObject(1)
	w.PrependUOffsetTSlot(0, data, 0)
	return w.EndObject()
}

func (w writer) model(m *Model) ([]byte, error) {
	// Buffer 0 is empty by the schema's convention: it means "no data".
	buffers := []offset{w.bufferTable(0)}
	addBuffer := func(buffer offset) int {
		buffers = append(buffers, buffer)
		return len(buffers) - 1
	}

	var metadata []offset
	for _, entry := range m.Metadata {
		index := addBuffer(w.buffer(entry.Data))
		name := w.CreateString(entry.Name)
		w.StartObject(2)
		w.PrependUOffsetTSlot(0, name, 0)
		w.PrependUint32Slot(1, uint32(index), 0)
		metadata = append(metadata, w.EndObject())
	}

	tensors := make([]offset, len(m.Tensors))
	for i := range m.Tensors {
		t, index := &m.Tensors[i], 0
		switch {
		case t.Data != nil:
			index = addBuffer(w.buffer(t.Data))
		case t.Floats != nil:
			index = addBuffer(w.floatBuffer(t.Floats))
		}
		tensors[i] = w.tensor(t, index)
	}

	codes, operators, err := w.operators(m)
	if err != nil {
		return nil, err
	}
	tensorList, inputs, outputs := w.offsets(tensors), w.ints(m.Inputs), w.ints(m.Outputs)
	operatorList, name := w.offsets(operators), w.CreateString(m.Name)
	w.StartObject(5)
	w.PrependUOffsetTSlot(0, tensorList, 0)
	w.PrependUOffsetTSlot(1, inputs, 0)
	w.PrependUOffsetTSlot(2, outputs, 0)
	w.PrependUOffsetTSlot(3, operatorList, 0)
	w.PrependUOffsetTSlot(4, name, 0)
	subgraphs := w.offsets([]offset{w.EndObject()})

	var signatures []offset
	for _, s := range m.Signatures {
		signatures = append(signatures, w.signature(s))
	}
	codeList, description, bufferList := w.offsets(codes), w.CreateString(m.Description), w.offsets(buffers)
	metadataList, signatureList := w.offsets(metadata), w.offsets(signatures)
	w.StartObject(8)
	w.PrependUint32Slot(0, schemaVersion, 0)
	w.PrependUOffsetTSlot(1, codeList, 0)
	w.PrependUOffsetTSlot(2, subgraphs, 0)
	w.PrependUOffsetTSlot(3, description, 0)
	w.PrependUOffsetTSlot(4, bufferList, 0)
	w.PrependUOffsetTSlot(6, metadataList, 0)
	w.PrependUOffsetTSlot(7, signatureList, 0)
	w.FinishWithFileIdentifier(w.EndObject(), []byte(fileIdentifier))
	return w.FinishedBytes(), nil
}

func (w writer) tensor(t *Tensor, buffer int) offset {
	shape, name := w.ints(t.Shape), w.CreateString(t.Name)
	var quant offset
	if len(t.Quant.Scale) > 0 {
		scale, zero := w.floats(t.Quant.Scale), w.zeroPoints(t.Quant.ZeroPoint)
		w.StartObject(7)
		w.PrependUOffsetTSlot(2, scale, 0)
		w.PrependUOffsetTSlot(3, zero, 0)
		w.PrependInt32Slot(6, int32(t.Quant.Axis), 0)
		quant = w.EndObject()
	}
	w.StartObject(9)
	w.PrependUOffsetTSlot(0, shape, 0)
	w.PrependInt8Slot(1, int8(t.Type), 0)
	w.PrependUint32Slot(2, uint32(buffer), 0)
	w.PrependUOffsetTSlot(3, name, 0)
	w.PrependUOffsetTSlot(4, quant, 0)
	w.PrependBoolSlot(8, true, false) // has_rank: tells a scalar from an unknown shape
	return w.EndObject()
}

func (w writer) signature(s Signature) offset {
	bindings := func(list []Binding) offset {
		var out []offset
		for _, b := range list {
			name := w.CreateString(b.Name)
			w.StartObject(2)
			w.PrependUOffsetTSlot(0, name, 0)
			w.PrependUint32Slot(1, uint32(b.Tensor), 0)
			out = append(out, w.EndObject())
		}
		return w.offsets(out)
	}
	inputs, outputs, key := bindings(s.Inputs), bindings(s.Outputs), w.CreateString(s.Key)
	w.StartObject(5)
	w.PrependUOffsetTSlot(0, inputs, 0)
	w.PrependUOffsetTSlot(1, outputs, 0)
	w.PrependUOffsetTSlot(2, key, 0)
	return w.EndObject()
}

// operators writes the operators and the table of their kinds, where each pair
// of operator and version stands once.
func (w writer) operators(m *Model) (codes, operators []offset, err error) {
	type kind struct {
		op      Op
		version int
		custom  string
	}
	kinds := map[kind]int{}
	for i, op := range m.Operators {
		k := kind{op.Op, max(1, op.Version), op.CustomCode}
		index, ok := kinds[k]
		if !ok {
			index = len(codes)
			kinds[k] = index
			codes = append(codes, w.operatorCode(k.op, k.version, k.custom))
		}
		union, options, err := w.options(op)
		if err != nil {
			return nil, nil, fmt.Errorf("operator %d: %w", i, err)
		}
		inputs, outputs := w.ints(op.Inputs), w.ints(op.Outputs)
		w.StartObject(5)
		w.PrependUint32Slot(0, uint32(index), 0)
		w.PrependUOffsetTSlot(1, inputs, 0)
		w.PrependUOffsetTSlot(2, outputs, 0)
		w.PrependByteSlot(3, union, 0)
		w.PrependUOffsetTSlot(4, options, 0)
		operators = append(operators, w.EndObject())
	}
	return codes, operators, nil
}

// lastByteOp is the last operator number that also fits the byte field which
// readers before schema version 3a look at.
const lastByteOp = 127

func (w writer) operatorCode(op Op, version int, custom string) offset {
	var code offset
	if custom != "" {
		code = w.CreateString(custom)
	}
	w.StartObject(4)
	w.PrependInt8Slot(0, int8(min(op, lastByteOp)), 0)
	w.PrependUOffsetTSlot(1, code, 0)
	w.PrependInt32Slot(2, int32(version), 1)
	w.PrependInt32Slot(3, int32(op), 0)
	return w.EndObject()
}

// unionTypes are the numbers of the operators' tables in the schema's
// BuiltinOptions union; Logistic has none.
var unionTypes = map[Op]byte{
	Conv2D: 1, DepthwiseConv2D: 2, MaxPool2D: 5, AveragePool2D: 5, FullyConnected: 8, Softmax: 9, Concatenation: 10,
	Add: 11, Reshape: 17, Mul: 21, Pad: 22, Transpose: 26, Mean: 27, Sub: 28, Squeeze: 30, Dequantize: 38, Slice: 48,
	Quantize: 89, HardSwish: 91,
}

func (w writer) options(op Operator) (union byte, table offset, err error) {
	union = unionTypes[op.Op]
	wrong := fmt.Errorf("%v with options %T", op.Op, op.Options)
	switch o := op.Options.(type) {
	case nil:
		if union == 0 {
			return 0, 0, nil
		}
		w.StartObject(0)
	case ConvOptions:
		w.StartObject(7)
		w.PrependInt8Slot(0, int8(o.Padding), 0)
		w.PrependInt32Slot(1, int32(o.StrideW), 0)
		w.PrependInt32Slot(2, int32(o.StrideH), 0)
		switch op.Op {
		case Conv2D:
			w.PrependInt8Slot(3, int8(o.Activation), 0)
			w.PrependInt32Slot(4, int32(o.DilationW), 1)
			w.PrependInt32Slot(5, int32(o.DilationH), 1)
		case DepthwiseConv2D:
			w.PrependInt32Slot(3, int32(o.DepthMultiplier), 0)
			w.PrependInt8Slot(4, int8(o.Activation), 0)
			w.PrependInt32Slot(5, int32(o.DilationW), 1)
			w.PrependInt32Slot(6, int32(o.DilationH), 1)
		default:
			return 0, 0, wrong
		}
	case PoolOptions:
		if union != unionTypes[MaxPool2D] {
			return 0, 0, wrong
		}
		w.StartObject(6)
		w.PrependInt8Slot(0, int8(o.Padding), 0)
		w.PrependInt32Slot(1, int32(o.StrideW), 0)
		w.PrependInt32Slot(2, int32(o.StrideH), 0)
		w.PrependInt32Slot(3, int32(o.Width), 0)
		w.PrependInt32Slot(4, int32(o.Height), 0)
		w.PrependInt8Slot(5, int8(o.Activation), 0)
	case ActivationOptions:
		if op.Op != Add && op.Op != Sub && op.Op != Mul && op.Op != FullyConnected {
			return 0, 0, wrong
		}
		w.StartObject(1)
		w.PrependInt8Slot(0, int8(o.Activation), 0)
	case ConcatOptions:
		if op.Op != Concatenation {
			return 0, 0, wrong
		}
		w.StartObject(2)
		w.PrependInt32Slot(0, int32(o.Axis), 0)
		w.PrependInt8Slot(1, int8(o.Activation), 0)
	case ReduceOptions:
		if op.Op != Mean {
			return 0, 0, wrong
		}
		w.StartObject(1)
		w.PrependBoolSlot(0, o.KeepDims, false)
	case ReshapeOptions:
		if op.Op != Reshape {
			return 0, 0, wrong
		}
		shape := w.ints(o.Shape)
		w.StartObject(1)
		w.PrependUOffsetTSlot(0, shape, 0)
	case SoftmaxOptions:
		if op.Op != Softmax {
			return 0, 0, wrong
		}
		w.StartObject(1)
		w.PrependFloat32Slot(0, o.Beta, 0)
	default:
		return 0, 0, wrong
	}
	return union, w.EndObject(), nil
}

package tflite

import "fmt"

// Model is the first subgraph of a .tflite file with its constants.
type Model struct {
	Description string
	// Name is the subgraph's.
	Name    string
	Tensors []Tensor
	// Operators are in the order of execution.
	Operators []Operator
	// Inputs and Outputs are indices into Tensors.
	Inputs, Outputs []int
	Signatures      []Signature
	// Metadata holds named buffers; the standard description of inputs and
	// outputs is one of them, see Metadata.
	Metadata []NamedBuffer
	// Subgraphs counts the subgraphs of a file that was read; a Model has one.
	Subgraphs int
}

// NamedBuffer is an entry of a model's metadata table.
type NamedBuffer struct {
	Name string
	Data []byte
}

// Signature names a subgraph's inputs and outputs for callers.
type Signature struct {
	Key             string
	Inputs, Outputs []Binding
}

// Binding gives a tensor a name within a signature.
type Binding struct {
	Name   string
	Tensor int
}

// Tensor is an activation, or a constant if it has data.
type Tensor struct {
	Name  string
	Type  TensorType
	Shape []int
	// Data is little-endian and row-major; nil for activations.
	Data []byte
	// Floats may stand for Data in a float32 tensor that is yet to be written, so
	// that large weights are held only once. Reading never sets it.
	Floats []float32
	Quant  Quantization
}

// Constant says whether the tensor has data.
func (t *Tensor) Constant() bool { return t.Data != nil || t.Floats != nil }

// Elements is the product of the shape.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Quantization says that a stored value q stands for Scale·(q − ZeroPoint). With
// one scale it holds for the whole tensor; with more there is one for each index
// of dimension Axis. No scale means that the tensor is not quantised.
type Quantization struct {
	Scale     []float32
	ZeroPoint []int64
	Axis      int
}

// PerTensor is the quantisation of an activation.
func PerTensor(scale float32, zeroPoint int64) Quantization {
	return Quantization{Scale: []float32{scale}, ZeroPoint: []int64{zeroPoint}}
}

// TensorType is the type of a tensor's elements, numbered as in the schema.
type TensorType int8

// The element types that models read or written here use.
const (
	Float32 TensorType = 0
	Float16 TensorType = 1
	Int32   TensorType = 2
	Uint8   TensorType = 3
	Int64   TensorType = 4
	Bool    TensorType = 6
	Int16   TensorType = 7
	Int8    TensorType = 9
	Float64 TensorType = 10
)

var tensorTypes = map[TensorType]struct {
	name string
	size int
}{
	Float32: {"float32", 4}, Float16: {"float16", 2}, Int32: {"int32", 4}, Uint8: {"uint8", 1}, Int64: {"int64", 8},
	Bool: {"bool", 1}, Int16: {"int16", 2}, Int8: {"int8", 1}, Float64: {"float64", 8},
}

func (t TensorType) String() string {
	if d, ok := tensorTypes[t]; ok {
		return d.name
	}
	return fmt.Sprintf("type %d", int8(t))
}

// Size is the size of an element in bytes, 0 for types this package doesn't
// know.
func (t TensorType) Size() int { return tensorTypes[t].size }

// Op is a built-in operator, numbered as in the schema.
type Op int32

// The operators that this package writes.
const (
	Add             Op = 0
	AveragePool2D   Op = 1
	Concatenation   Op = 2
	Conv2D          Op = 3
	DepthwiseConv2D Op = 4
	Dequantize      Op = 6
	FullyConnected  Op = 9
	Logistic        Op = 14
	MaxPool2D       Op = 17
	Mul             Op = 18
	Relu            Op = 19
	Relu6           Op = 21
	Reshape         Op = 22
	Softmax         Op = 25
	Custom          Op = 32
	Pad             Op = 34
	Transpose       Op = 39
	Mean            Op = 40
	Sub             Op = 41
	Squeeze         Op = 43
	Slice           Op = 65
	Quantize        Op = 114
	HardSwish       Op = 117
)

var opNames = map[Op]string{
	Add: "ADD", AveragePool2D: "AVERAGE_POOL_2D", Concatenation: "CONCATENATION", Conv2D: "CONV_2D",
	DepthwiseConv2D: "DEPTHWISE_CONV_2D", Dequantize: "DEQUANTIZE", FullyConnected: "FULLY_CONNECTED",
	Logistic: "LOGISTIC", MaxPool2D: "MAX_POOL_2D", Mul: "MUL", Relu: "RELU", Relu6: "RELU6", Reshape: "RESHAPE",
	Softmax: "SOFTMAX", Custom: "CUSTOM", Pad: "PAD", Transpose: "TRANSPOSE", Mean: "MEAN", Sub: "SUB",
	Squeeze: "SQUEEZE", Slice: "SLICE", Quantize: "QUANTIZE", HardSwish: "HARD_SWISH",
}

func (o Op) String() string {
	if name, ok := opNames[o]; ok {
		return name
	}
	return fmt.Sprintf("BUILTIN_%d", int32(o))
}

// Operator is one step of the graph.
type Operator struct {
	Op Op
	// Version is the least version of the operator's kernel that knows the types
	// and options used; runtimes refuse versions they don't have.
	Version int
	// CustomCode names the kernel where Op is Custom.
	CustomCode string
	// Inputs and Outputs are indices into Model.Tensors; -1 is an optional input
	// left out.
	Inputs, Outputs []int
	// Options is nil, or one of the ...Options types of this package.
	Options any
}

// Padding says how a window meets the picture's edge.
type Padding int8

// Same pads with zeros so that the output is the input's size over the stride,
// rounded up, the odd row and column at the end; Valid doesn't pad.
const (
	Same  Padding = 0
	Valid Padding = 1
)

// Activation is a function fused into an operator.
type Activation int8

// The activations that classifiers fuse.
const (
	NoActivation   Activation = 0
	FusedReLU      Activation = 1
	FusedReLUN1To1 Activation = 2
	FusedReLU6     Activation = 3
)

func (a Activation) String() string {
	switch a {
	case NoActivation:
		return ""
	case FusedReLU:
		return "RELU"
	case FusedReLUN1To1:
		return "RELU_N1_TO_1"
	case FusedReLU6:
		return "RELU6"
	}
	return fmt.Sprintf("ACTIVATION_%d", int8(a))
}

// ConvOptions belong to Conv2D (filter [out, height, width, in]) and
// DepthwiseConv2D (filter [1, height, width, out]).
type ConvOptions struct {
	Padding              Padding
	StrideW, StrideH     int
	DilationW, DilationH int
	// DepthMultiplier is the number of outputs for each input channel of a
	// depthwise convolution, 0 otherwise.
	DepthMultiplier int
	Activation      Activation
}

// PoolOptions belong to MaxPool2D and AveragePool2D.
type PoolOptions struct {
	Padding          Padding
	StrideW, StrideH int
	Width, Height    int
	Activation       Activation
}

// ActivationOptions belong to Add, Sub, Mul and FullyConnected.
type ActivationOptions struct{ Activation Activation }

// ConcatOptions belong to Concatenation.
type ConcatOptions struct {
	Axis       int
	Activation Activation
}

// ReduceOptions belong to Mean.
type ReduceOptions struct{ KeepDims bool }

// ReshapeOptions belong to Reshape.
type ReshapeOptions struct{ Shape []int }

// SoftmaxOptions belong to Softmax.
type SoftmaxOptions struct{ Beta float32 }

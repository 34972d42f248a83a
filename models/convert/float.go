package convert

import (
	"encoding/binary"
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// SignatureKey is the key of the written models' one signature, TensorFlow's
// name for what a model is served for; its input is InputName and its output
// OutputName.
const (
	SignatureKey = "serving_default"
	InputName    = "image"
	OutputName   = "scores"
)

// Float makes the float32 model.
func Float(g *graph.Graph) (*tflite.Model, error) {
	return Inner(g, []*graph.Tensor{g.Output})
}

// Inner makes the float32 model with the given activations as its outputs, in
// that order. It has a signature only if its output is the graph's.
func Inner(g *graph.Graph, outputs []*graph.Tensor) (*tflite.Model, error) {
	l := newLowering(g, nil)
	l.activation(g.Input)
	for _, n := range g.Nodes {
		if err := l.node(n); err != nil {
			return nil, fmt.Errorf("converting %s: %v: %w", g.Name, n, err)
		}
	}
	l.model.Inputs = []int{l.index[g.Input]}
	for _, t := range outputs {
		l.model.Outputs = append(l.model.Outputs, l.index[t])
	}
	if len(outputs) == 1 && outputs[0] == g.Output {
		l.sign()
	}
	return l.model, nil
}

// lowering is a model in the making.
type lowering struct {
	graph *graph.Graph
	model *tflite.Model
	index map[*graph.Tensor]int
	// codes has the quantisation of each activation; nil makes a float model.
	codes map[*graph.Tensor]tflite.Quantization
	// means are those of ActivationRanges, for bias correction.
	means     map[string][]float32
	fullPairs bool
}

func newLowering(g *graph.Graph, codes map[*graph.Tensor]tflite.Quantization) *lowering {
	return &lowering{
		graph: g, index: map[*graph.Tensor]int{}, codes: codes,
		model: &tflite.Model{Name: "main", Description: g.Name},
	}
}

func (l *lowering) sign() {
	l.model.Signatures = []tflite.Signature{{
		Key:     SignatureKey,
		Inputs:  []tflite.Binding{{Name: InputName, Tensor: l.model.Inputs[0]}},
		Outputs: []tflite.Binding{{Name: OutputName, Tensor: l.model.Outputs[0]}},
	}}
}

func (l *lowering) add(t tflite.Tensor) int {
	l.model.Tensors = append(l.model.Tensors, t)
	return len(l.model.Tensors) - 1
}

func (l *lowering) activation(t *graph.Tensor) int {
	out := tflite.Tensor{Name: t.Name, Type: tflite.Float32, Shape: t.Shape}
	if l.codes != nil {
		out.Type, out.Quant = tflite.Int8, l.codes[t]
	}
	l.index[t] = l.add(out)
	return l.index[t]
}

func (l *lowering) ints(name string, shape []int, values ...int) int {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, uint32(int32(v)))
	}
	return l.add(tflite.Tensor{Name: name, Type: tflite.Int32, Shape: shape, Data: data})
}

func (l *lowering) floats(name string, shape []int, values []float32) int {
	return l.add(tflite.Tensor{Name: name, Type: tflite.Float32, Shape: shape, Floats: values})
}

// int8Version is the version of each operator's kernel that takes int8, with a
// scale a channel for convolutions; version 1 takes floats.
var int8Version = map[tflite.Op]int{
	tflite.Conv2D: 3, tflite.DepthwiseConv2D: 3, tflite.Add: 2, tflite.Mul: 2, tflite.MaxPool2D: 2, tflite.Mean: 2,
	tflite.Logistic: 2, tflite.Softmax: 2, tflite.Pad: 2, tflite.Concatenation: 2, tflite.Slice: 2, tflite.Transpose: 2,
	tflite.Reshape: 1,
}

var fused = map[graph.Activation]tflite.Activation{
	graph.Linear: tflite.NoActivation, graph.ReLU: tflite.FusedReLU, graph.ReLU6: tflite.FusedReLU6,
}

// node appends a node's operator, with its constants before its output.
func (l *lowering) node(n *graph.Node) error {
	op := tflite.Operator{Version: 1}
	for _, t := range n.Inputs {
		i, ok := l.index[t]
		if !ok {
			return fmt.Errorf("input %s comes later", t.Name)
		}
		op.Inputs = append(op.Inputs, i)
	}
	activation, ok := fused[n.Activation]
	if !ok {
		return fmt.Errorf("activation %d can't be fused", n.Activation)
	}
	padding := tflite.Valid
	if n.Same {
		padding = tflite.Same
	}
	name, rank := n.Output.Name, len(n.Inputs[0].Shape)
	switch n.Op {
	case graph.Conv, graph.Depthwise:
		options := tflite.ConvOptions{
			Padding: padding, StrideW: n.Stride, StrideH: n.Stride, DilationW: 1, DilationH: 1, Activation: activation,
		}
		op.Op = tflite.Conv2D
		if n.Op == graph.Depthwise {
			op.Op, options.DepthMultiplier = tflite.DepthwiseConv2D, 1
		}
		op.Options = options
		weights, bias, err := l.weights(n)
		if err != nil {
			return err
		}
		op.Inputs = append(op.Inputs, weights, bias)
	case graph.Add:
		op.Op, op.Options = tflite.Add, tflite.ActivationOptions{Activation: activation}
	case graph.Mul:
		op.Op, op.Options = tflite.Mul, tflite.ActivationOptions{Activation: activation}
	case graph.MaxPool:
		op.Op, op.Options = tflite.MaxPool2D, tflite.PoolOptions{
			Padding: padding, StrideW: n.Stride, StrideH: n.Stride, Width: n.Kernel, Height: n.Kernel, Activation: activation,
		}
	case graph.Mean:
		op.Op, op.Options = tflite.Mean, tflite.ReduceOptions{KeepDims: true}
		op.Inputs = append(op.Inputs, l.ints(name+"/axes", []int{2}, 1, 2))
	case graph.Logistic:
		op.Op = tflite.Logistic
	case graph.Softmax:
		op.Op, op.Options = tflite.Softmax, tflite.SoftmaxOptions{Beta: 1}
	case graph.Pad:
		op.Op = tflite.Pad
		op.Inputs = append(op.Inputs, l.ints(name+"/amounts", []int{4, 2}, 0, 0, n.Before, n.After, n.Before, n.After, 0, 0))
	case graph.Concat:
		op.Op, op.Options = tflite.Concatenation, tflite.ConcatOptions{Axis: rank - 1, Activation: activation}
	case graph.Slice:
		op.Op = tflite.Slice
		op.Inputs = append(op.Inputs, l.ints(name+"/begin", []int{rank}, n.Begin...), l.ints(name+"/size", []int{rank}, n.Size...))
	case graph.Reshape:
		op.Op, op.Options = tflite.Reshape, tflite.ReshapeOptions{Shape: n.Output.Shape}
		op.Inputs = append(op.Inputs, l.ints(name+"/shape", []int{len(n.Output.Shape)}, n.Output.Shape...))
	case graph.Transpose:
		op.Op = tflite.Transpose
		op.Inputs = append(op.Inputs, l.ints(name+"/perm", []int{rank}, n.Perm...))
	default:
		return fmt.Errorf("no TensorFlow Lite operator for it")
	}
	if l.codes != nil {
		op.Version = int8Version[op.Op]
	}
	op.Outputs = []int{l.activation(n.Output)}
	l.model.Operators = append(l.model.Operators, op)
	return nil
}

// weightShape is that of TensorFlow Lite's filters: [out, height, width, in], or
// [1, height, width, channels] of a depthwise convolution.
func weightShape(n *graph.Node) []int {
	if n.Op == graph.Depthwise {
		return []int{1, n.Kernel, n.Kernel, n.Output.Channels()}
	}
	return []int{n.Output.Channels(), n.Kernel, n.Kernel, n.Inputs[0].Channels()}
}

// weights appends a convolution's filter and bias.
func (l *lowering) weights(n *graph.Node) (weights, bias int, err error) {
	name := n.Output.Name
	if l.codes != nil {
		return l.quantized(n)
	}
	weights = l.floats(name+"/weights", weightShape(n), n.Weights)
	return weights, l.floats(name+"/bias", []int{len(n.Bias)}, n.Bias), nil
}

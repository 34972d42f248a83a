package graph

import "fmt"

// Op is the kind of a Node. Each is one TensorFlow Lite operator.
type Op uint8

const (
	// Conv is a convolution, Weights [out, height, width, in].
	Conv Op = iota
	// Depthwise is a convolution of each channel by itself, Weights
	// [1, height, width, channels].
	Depthwise
	// Add and Mul work element by element; Mul's second input may be [1,1,1,C].
	Add
	// Mul is like Add.
	Mul
	// MaxPool takes the maximum of a window.
	MaxPool
	// Mean averages over height and width, which stay as dimensions of 1.
	Mean
	// Logistic is the sigmoid.
	Logistic
	// Softmax is over the last dimension.
	Softmax
	// Pad puts zeros around height and width.
	Pad
	// Concat joins along the last dimension.
	Concat
	// Slice takes Size elements from Begin on, for each dimension.
	Slice
	// Reshape keeps the elements' order.
	Reshape
	// Transpose reorders the dimensions by Perm.
	Transpose
)

var opNames = [...]string{
	"conv", "depthwise", "add", "mul", "maxpool", "mean", "logistic", "softmax", "pad", "concat", "slice", "reshape", "transpose",
}

func (o Op) String() string { return opNames[o] }

// Activation is a function fused into a node's output.
type Activation uint8

const (
	// Linear is no activation.
	Linear Activation = iota
	// ReLU is max(x, 0).
	ReLU
	// ReLU6 is min(max(x, 0), 6).
	ReLU6
	// Swish is x·sigmoid(x). TensorFlow Lite can't fuse it: the Builder makes a
	// Logistic and a Mul of it, so no Node has it.
	Swish
)

// Tensor is an activation.
type Tensor struct {
	// Name is unique within the graph.
	Name string
	// Shape is [1, height, width, channels], or whatever a Reshape made of it.
	Shape []int
	// By is the node that makes the tensor, nil for the graph's input.
	By *Node
}

// Channels is the size of the last dimension.
func (t *Tensor) Channels() int { return t.Shape[len(t.Shape)-1] }

// Elements is the product of the shape.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Distribution is the mean and standard deviation of each channel.
type Distribution struct{ Mean, Std []float32 }

// Node is one operator.
type Node struct {
	Op     Op
	Inputs []*Tensor
	Output *Tensor
	// Activation is applied to the output of Conv, Depthwise and Add.
	Activation Activation

	// Weights and Bias belong to Conv and Depthwise, batch norm folded in.
	Weights, Bias []float32
	// Kernel is height and width of a window, Stride its step in both directions.
	Kernel, Stride int
	// Same says that a window operator pads as TensorFlow's SAME does; otherwise
	// it doesn't pad at all.
	Same bool
	// Prior is how the output was distributed before its activation while the
	// batch norm behind it was trained: it standardises to Beta and Gamma. Nil
	// where there is no batch norm.
	Prior *Distribution

	// Before and After are the rows and columns that Pad adds.
	Before, After int
	// Begin and Size belong to Slice.
	Begin, Size []int
	// Perm belongs to Transpose.
	Perm []int
}

// Graph is a network. Nodes are in an order in which they can be run.
type Graph struct {
	Name          string
	Input, Output *Tensor
	Nodes         []*Node
}

// Tensors are all activations, the input first, in the order they are made.
func (g *Graph) Tensors() []*Tensor {
	out := []*Tensor{g.Input}
	for _, n := range g.Nodes {
		out = append(out, n.Output)
	}
	return out
}

// Parameters counts weights and biases.
func (g *Graph) Parameters() int {
	sum := 0
	for _, n := range g.Nodes {
		sum += len(n.Weights) + len(n.Bias)
	}
	return sum
}

// MACs counts the multiplications with a weight that one picture takes.
func (g *Graph) MACs() int64 {
	var sum int64
	for _, n := range g.Nodes {
		if n.Op == Conv || n.Op == Depthwise {
			out := n.Output
			sum += int64(out.Elements()/out.Channels()) * int64(len(n.Weights))
		}
	}
	return sum
}

// Classes is the number of outputs.
func (g *Graph) Classes() int { return g.Output.Channels() }

// WithSoftmax appends a softmax, after which the output is probabilities instead
// of logits.
func (g *Graph) WithSoftmax() *Graph {
	out := *g
	probabilities := &Tensor{Name: "probabilities", Shape: g.Output.Shape}
	probabilities.By = &Node{Op: Softmax, Inputs: []*Tensor{g.Output}, Output: probabilities}
	out.Nodes = append(append([]*Node(nil), g.Nodes...), probabilities.By)
	out.Output = probabilities
	return &out
}

func (n *Node) String() string { return fmt.Sprintf("%v %s", n.Op, n.Output.Name) }

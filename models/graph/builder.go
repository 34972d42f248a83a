package graph

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Weights are named tensors in PyTorch's order.
type Weights interface {
	// Names lists all tensors.
	Names() []string
	// Shape finds a tensor.
	Shape(name string) ([]int, bool)
	// Floats reads its elements, which become the caller's.
	Floats(name string) ([]float32, error)
}

// Maker is implemented by Weights that have no shapes of their own but make each
// tensor as the network wants it.
type Maker interface {
	Make(name string, shape []int) []float32
}

// Builder makes a Graph node by node. Its first error sticks, after which it
// returns tensors of no meaning, so that a network reads as its paper does;
// Finish reports it.
type Builder struct {
	// Epsilon is what the network's batch norms add to the variance.
	Epsilon float32
	// SamePadding makes convolutions pad as TensorFlow's SAME does, instead of
	// by half the kernel on each side as PyTorch networks do.
	SamePadding bool

	weights Weights
	used    map[string]bool
	names   map[string]bool
	graph   Graph
	err     error
}

// PyTorchEpsilon is the default of torch.nn.BatchNorm2d.
const PyTorchEpsilon = 1e-5

// NewBuilder starts a network that takes its weights from w.
func NewBuilder(name string, w Weights) *Builder {
	return &Builder{
		Epsilon: PyTorchEpsilon, weights: w, used: map[string]bool{}, names: map[string]bool{}, graph: Graph{Name: name},
	}
}

func (b *Builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// Input declares the picture, RGB and normalised.
func (b *Builder) Input(height, width int) *Tensor {
	b.graph.Input = &Tensor{Name: "image", Shape: []int{1, height, width, 3}}
	b.names["image"] = true
	return b.graph.Input
}

// Classes is the number of rows of a classifier's weights.
func (b *Builder) Classes(weights string) int {
	shape, ok := b.weights.Shape(weights)
	if !ok || len(shape) == 0 || shape[0] < 1 {
		b.fail("weights %s are missing", weights)
		return 1
	}
	return shape[0]
}

// Finish ends the network at its output. It fails if a shape or weight did not
// fit, or if weights are left over: they then belong to another network.
func (b *Builder) Finish(output *Tensor) (*Graph, error) {
	if b.err != nil {
		return nil, fmt.Errorf("%s: %w", b.graph.Name, b.err)
	}
	var left []string
	for _, name := range b.weights.Names() {
		if !b.used[name] && !strings.HasSuffix(name, ".num_batches_tracked") {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%s: the weights hold %d tensors that this network has not, %s first: they belong to another",
			b.graph.Name, len(left), left[0])
	}
	b.graph.Output = output
	g := b.graph
	return &g, nil
}

// read takes the named weights if they have the wanted shape.
func (b *Builder) read(name string, shape ...int) []float32 {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if b.err != nil {
		return nil
	}
	if m, ok := b.weights.(Maker); ok {
		return m.Make(name, shape)
	}
	got, ok := b.weights.Shape(name)
	if !ok {
		b.fail("weights %s are missing", name)
		return nil
	}
	if !slices.Equal(got, shape) {
		b.fail("weights %s have shape %v, the network needs %v", name, got, shape)
		return nil
	}
	b.used[name] = true
	v, err := b.weights.Floats(name)
	if err != nil {
		b.fail("weights %s: %w", name, err)
		return nil
	}
	if len(v) != size {
		b.fail("weights %s have %d elements, not %d", name, len(v), size)
		return nil
	}
	for i, x := range v {
		if x != x || math.IsInf(float64(x), 0) {
			b.fail("weights %s: element %d is %v", name, i, x)
			return nil
		}
	}
	return v
}

// add appends a node; its output takes the wanted name, or one made unique.
func (b *Builder) add(n *Node, name string, shape ...int) *Tensor {
	for i := 2; b.names[name]; i++ {
		if unique := fmt.Sprintf("%s_%d", name, i); !b.names[unique] {
			name = unique
		}
	}
	b.names[name] = true
	n.Output = &Tensor{Name: name, Shape: shape, By: n}
	if b.err == nil {
		b.graph.Nodes = append(b.graph.Nodes, n)
	}
	return n.Output
}

// Layer says what a convolution is.
type Layer struct {
	// Weights is the prefix of ".weight" and, where Norm is empty, ".bias".
	Weights string
	// Norm is the prefix of the batch norm's tensors.
	Norm string
	// Out is the number of output channels; 0 makes the convolution depthwise.
	Out int
	// Kernel is the window's side, 1 if not given; Stride likewise.
	Kernel, Stride int
	Activation     Activation
}

// Conv adds a convolution with its batch norm and activation.
func (b *Builder) Conv(x *Tensor, l Layer) *Tensor {
	if b.err != nil {
		return x
	}
	kernel, stride := max(1, l.Kernel), max(1, l.Stride)
	in, out := x.Channels(), l.Out
	op, perGroup := Conv, in
	if out == 0 {
		op, out, perGroup = Depthwise, in, 1
	}
	w := b.read(l.Weights+".weight", out, perGroup, kernel, kernel)
	n := &Node{Op: op, Kernel: kernel, Stride: stride}
	if l.Norm == "" {
		n.Bias = b.read(l.Weights+".bias", out)
	} else {
		n.Bias, n.Prior = b.fold(w, l.Norm, out)
	}
	if b.err != nil {
		return x
	}
	if op == Conv {
		n.Weights = channelsLast(w, out, in, kernel*kernel)
	} else {
		n.Weights = channelsLast(w, 1, out, kernel*kernel)
	}
	name := strings.TrimPrefix(l.Weights, "_")
	var height, width int
	x, n.Same, height, width = b.window(x, kernel, stride, name)
	n.Inputs = []*Tensor{x}
	if l.Activation != Swish {
		n.Activation = l.Activation
	}
	y := b.add(n, name, 1, height, width, out)
	if l.Activation == Swish {
		return b.swish(y)
	}
	return y
}

// fold multiplies a batch norm into the weights [out, ...] and returns the bias
// and distribution it leaves: γ·(x − μ)/√(σ² + ε) + β (Ioffe and Szegedy, 2015).
func (b *Builder) fold(w []float32, norm string, out int) ([]float32, *Distribution) {
	gamma, beta := b.read(norm+".weight", out), b.read(norm+".bias", out)
	mean, variance := b.read(norm+".running_mean", out), b.read(norm+".running_var", out)
	if b.err != nil {
		return nil, nil
	}
	bias := make([]float32, out)
	std := make([]float32, out)
	each := len(w) / out
	for c := range out {
		if variance[c] < 0 {
			b.fail("weights %s.running_var: element %d is %v", norm, c, variance[c])
			return nil, nil
		}
		// In float64, so that the folded network differs from PyTorch's by the
		// rounding of one multiplication only.
		factor := float64(gamma[c]) / math.Sqrt(float64(variance[c])+float64(b.Epsilon))
		for i := c * each; i < (c+1)*each; i++ {
			w[i] = float32(float64(w[i]) * factor)
		}
		bias[c] = float32(float64(beta[c]) - float64(mean[c])*factor)
		std[c] = float32(math.Abs(float64(gamma[c])))
	}
	return bias, &Distribution{Mean: beta, Std: std}
}

// channelsLast reorders [out, in, window] to [out, window, in].
func channelsLast(w []float32, out, in, window int) []float32 {
	if in == 1 || window == 1 {
		return w
	}
	r := make([]float32, len(w))
	for o := range out {
		for i := range in {
			for k := range window {
				r[(o*window+k)*in+i] = w[(o*in+i)*window+k]
			}
		}
	}
	return r
}

// window prepares a windowed operator's input and returns it with the kind of
// padding left to the operator and the output's size. PyTorch pads by half the
// kernel on every side. TensorFlow Lite's SAME puts the odd row at the end, so at
// stride 2 on even sizes the two differ; then the rows and columns that windows
// reach get an explicit Pad.
func (b *Builder) window(x *Tensor, kernel, stride int, name string) (y *Tensor, same bool, height, width int) {
	size := func(in int) (out, before, after int, same bool) {
		out = (in + stride - 1) / stride
		total := max(0, (out-1)*stride+kernel-in)
		if b.SamePadding {
			return out, total / 2, total - total/2, true
		}
		pad := kernel / 2
		n := (in+2*pad-kernel)/stride + 1
		after = max(0, (n-1)*stride+kernel-in-pad)
		return n, pad, after, n == out && total/2 == pad
	}
	height, before, after, sameH := size(x.Shape[1])
	width, beforeW, afterW, sameW := size(x.Shape[2])
	if height < 1 || width < 1 {
		b.fail("%s: a %d×%d window does not fit in %v", name, kernel, kernel, x.Shape)
		return x, false, 1, 1
	}
	if sameH && sameW {
		return x, kernel > 1 || stride > 1, height, width
	}
	if before != beforeW || after != afterW {
		b.fail("%s: input %v is not square", name, x.Shape)
		return x, false, 1, 1
	}
	n := &Node{Op: Pad, Inputs: []*Tensor{x}, Before: before, After: after}
	y = b.add(n, name+"/pad", 1, x.Shape[1]+before+after, x.Shape[2]+before+after, x.Channels())
	return y, false, height, width
}

func (b *Builder) swish(x *Tensor) *Tensor {
	return b.Mul(x, b.Sigmoid(x))
}

// Sigmoid adds 1/(1 + exp(−x)).
func (b *Builder) Sigmoid(x *Tensor) *Tensor {
	return b.add(&Node{Op: Logistic, Inputs: []*Tensor{x}}, x.Name+"/sigmoid", x.Shape...)
}

// Mul multiplies x by y, which has x's shape or one value for each channel.
func (b *Builder) Mul(x, y *Tensor) *Tensor {
	if y.Channels() != x.Channels() || y.Elements() != y.Channels() && !slices.Equal(x.Shape, y.Shape) {
		b.fail("%s: %v and %v can't be multiplied", x.Name, x.Shape, y.Shape)
	}
	return b.add(&Node{Op: Mul, Inputs: []*Tensor{x, y}}, x.Name+"/mul", x.Shape...)
}

// Add adds a shortcut to x. The activation is ReLU or Linear.
func (b *Builder) Add(x, shortcut *Tensor, a Activation) *Tensor {
	if !slices.Equal(x.Shape, shortcut.Shape) {
		b.fail("%s: %v and %v can't be added", x.Name, x.Shape, shortcut.Shape)
	}
	return b.add(&Node{Op: Add, Inputs: []*Tensor{x, shortcut}, Activation: a}, x.Name+"/add", x.Shape...)
}

// MaxPool adds a maximum over windows, padded by half the window. The padding is
// zero and not PyTorch's −∞, which is the same only behind a ReLU.
func (b *Builder) MaxPool(x *Tensor, kernel, stride int) *Tensor {
	if b.err == nil && (x.By == nil || x.By.Activation == Linear) {
		b.fail("%s: a padded maximum needs values of 0 or above", x.Name)
	}
	if b.err != nil {
		return x
	}
	name := x.Name + "/maxpool"
	x, same, height, width := b.window(x, kernel, stride, name)
	n := &Node{Op: MaxPool, Inputs: []*Tensor{x}, Kernel: kernel, Stride: stride, Same: same}
	return b.add(n, name, 1, height, width, x.Channels())
}

// GlobalAverage adds the mean over height and width, [1, 1, 1, channels].
func (b *Builder) GlobalAverage(x *Tensor) *Tensor {
	return b.add(&Node{Op: Mean, Inputs: []*Tensor{x}}, x.Name+"/mean", 1, 1, 1, x.Channels())
}

// Classifier adds the fully connected layer of weights.weight and weights.bias
// on [1, 1, 1, channels]; its output is [1, classes]. It is written as a 1×1
// convolution: for those, runtimes of every age take one scale a class.
func (b *Builder) Classifier(x *Tensor, weights string) *Tensor {
	classes, in := b.Classes(weights+".weight"), x.Channels()
	n := &Node{Op: Conv, Inputs: []*Tensor{x}, Kernel: 1, Stride: 1}
	n.Weights, n.Bias = b.read(weights+".weight", classes, in), b.read(weights+".bias", classes)
	y := b.add(n, strings.TrimPrefix(weights, "_"), 1, 1, 1, classes)
	return b.add(&Node{Op: Reshape, Inputs: []*Tensor{y}}, "logits", 1, classes)
}

// Split cuts the channels into two halves.
func (b *Builder) Split(x *Tensor) (first, second *Tensor) {
	height, width, half := x.Shape[1], x.Shape[2], x.Channels()/2
	if 2*half != x.Channels() {
		b.fail("%s: %d channels can't be halved", x.Name, x.Channels())
	}
	cut := func(from int, name string) *Tensor {
		n := &Node{Op: Slice, Inputs: []*Tensor{x}, Begin: []int{0, 0, 0, from}, Size: []int{1, height, width, half}}
		return b.add(n, name, 1, height, width, half)
	}
	return cut(0, x.Name+"/first"), cut(half, x.Name+"/second")
}

// Concat joins the channels of two tensors.
func (b *Builder) Concat(x, y *Tensor) *Tensor {
	if len(x.Shape) != 4 || len(y.Shape) != 4 || !slices.Equal(x.Shape[:3], y.Shape[:3]) {
		b.fail("%s: %v and %v can't be joined", x.Name, x.Shape, y.Shape)
	}
	return b.add(&Node{Op: Concat, Inputs: []*Tensor{x, y}}, x.Name+"/concat",
		1, x.Shape[1], x.Shape[2], x.Channels()+y.Channels())
}

// Shuffle interleaves the channels of the given number of groups (Zhang et al.,
// ShuffleNet, 2017).
func (b *Builder) Shuffle(x *Tensor, groups int) *Tensor {
	height, width, channels := x.Shape[1], x.Shape[2], x.Channels()
	if channels%groups != 0 {
		b.fail("%s: %d channels are not %d groups", x.Name, channels, groups)
		return x
	}
	name := x.Name
	// Height and width travel as one dimension: kernels that transpose four
	// dimensions are common, of five are not.
	x = b.add(&Node{Op: Reshape, Inputs: []*Tensor{x}}, name+"/groups", 1, height*width, groups, channels/groups)
	n := &Node{Op: Transpose, Inputs: []*Tensor{x}, Perm: []int{0, 1, 3, 2}}
	x = b.add(n, name+"/interleave", 1, height*width, channels/groups, groups)
	return b.add(&Node{Op: Reshape, Inputs: []*Tensor{x}}, name+"/shuffle", 1, height, width, channels)
}

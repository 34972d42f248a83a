package graph_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/graph"
)

// tensors is a state_dict in memory.
type tensors map[string]tensor

type tensor struct {
	shape  []int
	values []float32
}

func (w tensors) Names() []string {
	var out []string
	for name := range w {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (w tensors) Shape(name string) ([]int, bool) {
	t, ok := w[name]
	return t.shape, ok
}

func (w tensors) Floats(name string) ([]float32, error) {
	t, ok := w[name]
	if !ok {
		return nil, fmt.Errorf("no %s", name)
	}
	return slices.Clone(t.values), nil
}

// network is a 1×1 convolution of two channels with batch norm, and a classifier.
func network() tensors {
	return tensors{
		"conv.weight":              {[]int{2, 3, 1, 1}, []float32{1, 2, 3, 4, 5, 6}},
		"norm.weight":              {[]int{2}, []float32{2, -1}},
		"norm.bias":                {[]int{2}, []float32{0.5, 0.25}},
		"norm.running_mean":        {[]int{2}, []float32{1, 2}},
		"norm.running_var":         {[]int{2}, []float32{4, 0.25}},
		"norm.num_batches_tracked": {[]int{}, []float32{7}},
		"fc.weight":                {[]int{3, 2}, make([]float32, 6)},
		"fc.bias":                  {[]int{3}, make([]float32, 3)},
	}
}

func build(w tensors) (*graph.Graph, error) {
	b := graph.NewBuilder("test", w)
	b.Epsilon = 0
	x := b.Conv(b.Input(4, 4), graph.Layer{Weights: "conv", Norm: "norm", Out: 2, Activation: graph.ReLU})
	return b.Finish(b.Classifier(b.GlobalAverage(x), "fc"))
}

func TestFoldsBatchNorm(t *testing.T) {
	g, err := build(network())
	if err != nil {
		t.Fatal(err)
	}
	conv := g.Nodes[0]
	// γ/√σ² is 1 and −2.
	if want := []float32{1, 2, 3, -8, -10, -12}; !slices.Equal(conv.Weights, want) {
		t.Errorf("weights are %v, want %v", conv.Weights, want)
	}
	if want := []float32{0.5 - 1, 0.25 + 4}; !slices.Equal(conv.Bias, want) {
		t.Errorf("biases are %v, want %v", conv.Bias, want)
	}
	if !slices.Equal(conv.Prior.Mean, []float32{0.5, 0.25}) || !slices.Equal(conv.Prior.Std, []float32{2, 1}) {
		t.Errorf("prior is %+v", conv.Prior)
	}
	if g.Classes() != 3 || g.Parameters() != 6+2+6+3 || g.MACs() != 16*6+6 {
		t.Errorf("%d classes, %d parameters, %d MACs", g.Classes(), g.Parameters(), g.MACs())
	}
}

func TestWeightsMustFit(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name  string
		spoil func(w tensors)
		err   string
	}{
		{"missing", func(w tensors) { delete(w, "norm.bias") }, "test: weights norm.bias are missing"},
		{"no classifier", func(w tensors) { delete(w, "fc.weight") }, "weights fc.weight are missing"},
		{"shape", func(w tensors) { w["conv.weight"] = tensor{[]int{2, 3, 3, 3}, make([]float32, 54)} },
			"weights conv.weight have shape [2 3 3 3], the network needs [2 3 1 1]"},
		{"not finite", func(w tensors) { w["fc.bias"] = tensor{[]int{3}, []float32{0, nan, 0}} }, "weights fc.bias: element 1 is NaN"},
		{"variance", func(w tensors) { w["norm.running_var"] = tensor{[]int{2}, []float32{1, -1}} }, "norm.running_var: element 1 is -1"},
		{"left over", func(w tensors) { w["layer9.weight"] = tensor{} }, "hold 1 tensors that this network has not, layer9.weight first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := network()
			c.spoil(w)
			if _, err := build(w); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
		})
	}
}

// PyTorch pads on every side, TensorFlow Lite's SAME more at the end: only where
// the two differ a Pad is needed, of no more than the windows reach.
func TestPadding(t *testing.T) {
	for _, c := range []struct {
		size, kernel, stride int
		tensorflow           bool
		out, before, after   int
		same                 bool
	}{
		{size: 224, kernel: 7, stride: 2, out: 112, before: 3, after: 2},
		{size: 224, kernel: 3, stride: 2, out: 112, before: 1, after: 0},
		{size: 225, kernel: 3, stride: 2, out: 113, same: true},
		{size: 56, kernel: 3, stride: 1, out: 56, same: true},
		{size: 14, kernel: 5, stride: 2, out: 7, before: 2, after: 1},
		{size: 224, kernel: 3, stride: 2, tensorflow: true, out: 112, same: true},
		{size: 56, kernel: 1, stride: 2, out: 28, same: true},
	} {
		w := tensors{
			"conv.weight": {[]int{1, 3, c.kernel, c.kernel}, make([]float32, 3*c.kernel*c.kernel)},
			"conv.bias":   {[]int{1}, []float32{0}},
		}
		b := graph.NewBuilder("test", w)
		b.SamePadding = c.tensorflow
		x := b.Conv(b.Input(c.size, c.size), graph.Layer{Weights: "conv", Out: 1, Kernel: c.kernel, Stride: c.stride})
		g, err := b.Finish(x)
		if err != nil {
			t.Fatal(err)
		}
		first, conv := g.Nodes[0], g.Nodes[len(g.Nodes)-1]
		if conv.Output.Shape[1] != c.out || conv.Same != c.same || (len(g.Nodes) == 2) == c.same {
			t.Errorf("%+v: output %v, same %v, %d nodes", c, conv.Output.Shape, conv.Same, len(g.Nodes))
		}
		if !c.same && (first.Op != graph.Pad || first.Before != c.before || first.After != c.after) {
			t.Errorf("%+v: pad is %d and %d", c, first.Before, first.After)
		}
	}
}

func TestMaxPoolNeedsValuesOfZeroOrAbove(t *testing.T) {
	b := graph.NewBuilder("test", tensors{})
	if _, err := b.Finish(b.MaxPool(b.Input(8, 8), 3, 2)); err == nil || !strings.Contains(err.Error(), "0 or above") {
		t.Errorf("error is %v", err)
	}
}

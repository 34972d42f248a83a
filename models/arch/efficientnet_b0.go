package arch

import (
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
)

// efficientStages are table 1 of "EfficientNet: Rethinking Model Scaling for
// Convolutional Neural Networks" (Tan and Le, 2019); EfficientNet-Lite0 has the
// same.
var efficientStages = []struct{ expand, kernel, stride, width, blocks int }{
	{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1},
}

// efficientNetB0 is the baseline network of that paper, with torchvision's
// names.
func efficientNetB0(b *graph.Builder, x *graph.Tensor) *graph.Tensor {
	x = b.Conv(x, graph.Layer{
		Weights: "features.0.0", Norm: "features.0.1", Out: 32, Kernel: 3, Stride: 2, Activation: graph.Swish,
	})
	for stage, s := range efficientStages {
		for block := range s.blocks {
			stride := 1
			if block == 0 {
				stride = s.stride
			}
			x = mbConv(b, x, fmt.Sprintf("features.%d.%d.block", stage+1, block), s.expand, s.kernel, stride, s.width)
		}
	}
	x = b.Conv(x, graph.Layer{Weights: "features.8.0", Norm: "features.8.1", Out: 1280, Activation: graph.Swish})
	return b.Classifier(b.GlobalAverage(x), "classifier.1")
}

// mbConv is an inverted residual with squeeze-and-excitation: the channels are
// weighed by what the whole picture says of them (Hu et al., 2017).
func mbConv(b *graph.Builder, x *graph.Tensor, at string, expand, kernel, stride, width int) *graph.Tensor {
	y, step := x, 0
	next := func() string {
		step++
		return fmt.Sprintf("%s.%d", at, step-1)
	}
	if expand != 1 {
		w := next()
		y = b.Conv(y, graph.Layer{Weights: w + ".0", Norm: w + ".1", Out: x.Channels() * expand, Activation: graph.Swish})
	}
	w := next()
	y = b.Conv(y, graph.Layer{Weights: w + ".0", Norm: w + ".1", Kernel: kernel, Stride: stride, Activation: graph.Swish})

	w = next()
	s := b.GlobalAverage(y)
	s = b.Conv(s, graph.Layer{Weights: w + ".fc1", Out: max(1, x.Channels()/4), Activation: graph.Swish})
	s = b.Conv(s, graph.Layer{Weights: w + ".fc2", Out: y.Channels()})
	y = b.Mul(y, b.Sigmoid(s))

	w = next()
	y = b.Conv(y, graph.Layer{Weights: w + ".0", Norm: w + ".1", Out: width})
	if stride == 1 && x.Channels() == width {
		return b.Add(y, x, graph.Linear)
	}
	return y
}

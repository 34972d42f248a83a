package arch

import (
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
)

// mobileNetV2 is the network of "MobileNetV2: Inverted Residuals and Linear
// Bottlenecks" (Sandler et al., 2018), table 2, with torchvision's names.
func mobileNetV2(b *graph.Builder, x *graph.Tensor) *graph.Tensor {
	x = b.Conv(x, graph.Layer{
		Weights: "features.0.0", Norm: "features.0.1", Out: 32, Kernel: 3, Stride: 2, Activation: graph.ReLU6,
	})
	index := 1
	for _, s := range []struct{ expand, width, blocks, stride int }{
		{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
	} {
		for block := range s.blocks {
			stride := 1
			if block == 0 {
				stride = s.stride
			}
			x = invertedResidual(b, x, fmt.Sprintf("features.%d.conv", index), s.expand, s.width, stride)
			index++
		}
	}
	x = b.Conv(x, graph.Layer{
		Weights: "features.18.0", Norm: "features.18.1", Out: 1280, Activation: graph.ReLU6,
	})
	return b.Classifier(b.GlobalAverage(x), "classifier.1")
}

// invertedResidual widens, filters each channel, and narrows again without an
// activation.
func invertedResidual(b *graph.Builder, x *graph.Tensor, at string, expand, width, stride int) *graph.Tensor {
	y, step := x, 0
	if expand != 1 {
		y = b.Conv(y, graph.Layer{
			Weights: at + ".0.0", Norm: at + ".0.1", Out: x.Channels() * expand, Activation: graph.ReLU6,
		})
		step++
	}
	y = b.Conv(y, graph.Layer{
		Weights: fmt.Sprintf("%s.%d.0", at, step), Norm: fmt.Sprintf("%s.%d.1", at, step),
		Kernel: 3, Stride: stride, Activation: graph.ReLU6,
	})
	y = b.Conv(y, graph.Layer{
		Weights: fmt.Sprintf("%s.%d", at, step+1), Norm: fmt.Sprintf("%s.%d", at, step+2), Out: width,
	})
	if stride == 1 && x.Channels() == width {
		return b.Add(y, x, graph.Linear)
	}
	return y
}

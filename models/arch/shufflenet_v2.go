package arch

import (
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
)

// shuffleNetV2x1 is the 1× network of "ShuffleNet V2: Practical Guidelines for
// Efficient CNN Architecture Design" (Ma et al., 2018), table 5, with
// torchvision's names.
func shuffleNetV2x1(b *graph.Builder, x *graph.Tensor) *graph.Tensor {
	x = b.Conv(x, graph.Layer{
		Weights: "conv1.0", Norm: "conv1.1", Out: 24, Kernel: 3, Stride: 2, Activation: graph.ReLU,
	})
	x = b.MaxPool(x, 3, 2)
	for stage, s := range []struct{ width, units int }{{116, 4}, {232, 8}, {464, 4}} {
		for unit := range s.units {
			at := fmt.Sprintf("stage%d.%d", stage+2, unit)
			var first, second *graph.Tensor
			if unit == 0 {
				first, second = shuffleNarrow(b, x, at+".branch1", s.width/2), shuffleBranch(b, x, at+".branch2", s.width/2, 2)
			} else {
				first, second = b.Split(x)
				second = shuffleBranch(b, second, at+".branch2", s.width/2, 1)
			}
			x = b.Shuffle(b.Concat(first, second), 2)
		}
	}
	x = b.Conv(x, graph.Layer{Weights: "conv5.0", Norm: "conv5.1", Out: 1024, Activation: graph.ReLU})
	return b.Classifier(b.GlobalAverage(x), "fc")
}

// shuffleBranch is the convolutions of figure 3c, or of the right side of 3d at
// stride 2.
func shuffleBranch(b *graph.Builder, x *graph.Tensor, at string, width, stride int) *graph.Tensor {
	x = b.Conv(x, graph.Layer{Weights: at + ".0", Norm: at + ".1", Out: width, Activation: graph.ReLU})
	x = b.Conv(x, graph.Layer{Weights: at + ".3", Norm: at + ".4", Kernel: 3, Stride: stride})
	return b.Conv(x, graph.Layer{Weights: at + ".5", Norm: at + ".6", Out: width, Activation: graph.ReLU})
}

// shuffleNarrow is the left side of figure 3d, which halves height and width.
func shuffleNarrow(b *graph.Builder, x *graph.Tensor, at string, width int) *graph.Tensor {
	x = b.Conv(x, graph.Layer{Weights: at + ".0", Norm: at + ".1", Kernel: 3, Stride: 2})
	return b.Conv(x, graph.Layer{Weights: at + ".2", Norm: at + ".3", Out: width, Activation: graph.ReLU})
}

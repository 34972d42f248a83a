package arch

import (
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
)

// resNet18 is the 18-layer network of "Deep Residual Learning for Image
// Recognition" (He et al., 2015), table 1, with torchvision's names.
func resNet18(b *graph.Builder, x *graph.Tensor) *graph.Tensor {
	x = b.Conv(x, graph.Layer{Weights: "conv1", Norm: "bn1", Out: 64, Kernel: 7, Stride: 2, Activation: graph.ReLU})
	x = b.MaxPool(x, 3, 2)
	for stage, width := range []int{64, 128, 256, 512} {
		for block := range 2 {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			x = basicBlock(b, x, fmt.Sprintf("layer%d.%d", stage+1, block), width, stride)
		}
	}
	return b.Classifier(b.GlobalAverage(x), "fc")
}

// basicBlock is two 3×3 convolutions around which the input is added back,
// projected where the shape changes.
func basicBlock(b *graph.Builder, x *graph.Tensor, at string, width, stride int) *graph.Tensor {
	shortcut := x
	if stride != 1 || x.Channels() != width {
		shortcut = b.Conv(x, graph.Layer{
			Weights: at + ".downsample.0", Norm: at + ".downsample.1", Out: width, Stride: stride,
		})
	}
	y := b.Conv(x, graph.Layer{
		Weights: at + ".conv1", Norm: at + ".bn1", Out: width, Kernel: 3, Stride: stride, Activation: graph.ReLU,
	})
	y = b.Conv(y, graph.Layer{Weights: at + ".conv2", Norm: at + ".bn2", Out: width, Kernel: 3})
	return b.Add(y, shortcut, graph.ReLU)
}

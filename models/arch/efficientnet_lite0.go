package arch

import (
	"fmt"

	"github.com/glimpsed/glimpsed/models/graph"
)

// liteInput is the EfficientNet-Lite family's: (value − 127) / 128.
var liteInput = Preprocess{
	Resize: 256, Size: 224, Interpolation: "bicubic",
	Mean: [3]float32{127, 127, 127}, Std: [3]float32{128, 128, 128},
}

// efficientNetLite0 is EfficientNet-B0 made for integer hardware (the
// efficientnet/lite folder of tensorflow/tpu, 2020): ReLU6 for swish and no
// squeeze-and-excitation. The names are those of the PyPI package
// efficientnet-lite-pytorch.
func efficientNetLite0(b *graph.Builder, x *graph.Tensor) *graph.Tensor {
	x = b.Conv(x, graph.Layer{Weights: "_conv_stem", Norm: "_bn0", Out: 32, Kernel: 3, Stride: 2, Activation: graph.ReLU6})
	index := 0
	for _, s := range efficientStages {
		for block := range s.blocks {
			stride := 1
			if block == 0 {
				stride = s.stride
			}
			x = liteBlock(b, x, fmt.Sprintf("_blocks.%d.", index), s.expand, s.kernel, stride, s.width)
			index++
		}
	}
	x = b.Conv(x, graph.Layer{Weights: "_conv_head", Norm: "_bn1", Out: 1280, Activation: graph.ReLU6})
	return b.Classifier(b.GlobalAverage(x), "_fc")
}

func liteBlock(b *graph.Builder, x *graph.Tensor, at string, expand, kernel, stride, width int) *graph.Tensor {
	y := x
	if expand != 1 {
		y = b.Conv(y, graph.Layer{
			Weights: at + "_expand_conv", Norm: at + "_bn0", Out: x.Channels() * expand, Activation: graph.ReLU6,
		})
	}
	y = b.Conv(y, graph.Layer{
		Weights: at + "_depthwise_conv", Norm: at + "_bn1", Kernel: kernel, Stride: stride, Activation: graph.ReLU6,
	})
	y = b.Conv(y, graph.Layer{Weights: at + "_project_conv", Norm: at + "_bn2", Out: width})
	if stride == 1 && x.Channels() == width {
		return b.Add(y, x, graph.Linear)
	}
	return y
}

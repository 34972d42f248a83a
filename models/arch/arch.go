// Package arch knows the networks by name: how each is put together from the
// tensors of its published PyTorch weights, and how it wants its picture.
//
// A network is one file with one function; adding one is that file and a line in
// the table below.
package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/models/graph"
)

// Architecture is a network without its weights.
type Architecture struct {
	Name string
	// Preprocess is how the published accuracy was measured.
	Preprocess Preprocess
	// Epsilon is what the batch norms add to the variance.
	Epsilon float32
	// SamePadding says that the network came from TensorFlow.
	SamePadding bool

	build func(b *graph.Builder, picture *graph.Tensor) *graph.Tensor
}

// Preprocess says how a picture becomes the network's input.
type Preprocess struct {
	// Resize is the length in pixels that the picture's shorter side gets, and
	// Size the side of the square then cut from its centre. Resize 0 stretches
	// the whole picture to Size×Size.
	Resize, Size int
	// Interpolation is "bilinear" or "bicubic", antialiased as in Pillow.
	Interpolation string
	// Mean and Std normalise values of 0..255, for red, green and blue:
	// (value − Mean) / Std.
	Mean, Std [3]float32
}

// imageNet is the normalisation of all torchvision weights, mean (0.485, 0.456,
// 0.406) and deviation (0.229, 0.224, 0.225) of values of 0..1.
var imageNet = Preprocess{
	Resize: 256, Size: 224, Interpolation: "bilinear",
	Mean: [3]float32{123.675, 116.28, 103.53}, Std: [3]float32{58.395, 57.12, 57.375},
}

func bicubic(p Preprocess) Preprocess {
	p.Interpolation = "bicubic"
	return p
}

var architectures = []Architecture{
	{Name: "resnet18", Preprocess: imageNet, build: resNet18},
	{Name: "mobilenet_v2", Preprocess: imageNet, build: mobileNetV2},
	{Name: "shufflenet_v2_x1_0", Preprocess: imageNet, build: shuffleNetV2x1},
	{Name: "efficientnet_b0", Preprocess: bicubic(imageNet), build: efficientNetB0},
	{Name: "efficientnet_lite0", Preprocess: liteInput, Epsilon: 1e-3, SamePadding: true, build: efficientNetLite0},
}

// Names lists the known networks.
func Names() []string {
	var out []string
	for _, a := range architectures {
		out = append(out, a.Name)
	}
	return out
}

// ByName finds a network.
func ByName(name string) (Architecture, error) {
	i := slices.IndexFunc(architectures, func(a Architecture) bool { return a.Name == name })
	if i < 0 {
		return Architecture{}, fmt.Errorf("architecture %q is unknown, have %s", name, strings.Join(Names(), ", "))
	}
	return architectures[i], nil
}

// Graph puts the network together from its weights. The number of classes is
// the weights'.
func (a Architecture) Graph(w graph.Weights) (*graph.Graph, error) {
	b := graph.NewBuilder(a.Name, w)
	if a.Epsilon > 0 {
		b.Epsilon = a.Epsilon
	}
	b.SamePadding = a.SamePadding
	return b.Finish(a.build(b, b.Input(a.Preprocess.Size, a.Preprocess.Size)))
}

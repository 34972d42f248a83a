// Package seeded makes weights and pictures out of a generator of pseudo-random
// numbers, the same ones as testdata/golden.py: for tests against PyTorch, and to
// measure the speed of a network, which doesn't depend on its weights, where no
// trained ones are at hand.
package seeded

import (
	"fmt"
	"math"
	"strings"
)

// Tensor names a tensor of a state_dict.
type Tensor struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// StateDict holds the listed tensors. It implements graph.Weights.
type StateDict struct {
	// Network seeds the weights: each has its own.
	Network string
	Tensors []Tensor
}

// Names lists the tensors.
func (s StateDict) Names() []string {
	var out []string
	for _, t := range s.Tensors {
		out = append(out, t.Name)
	}
	return out
}

// Shape finds a tensor.
func (s StateDict) Shape(name string) ([]int, bool) {
	for _, t := range s.Tensors {
		if t.Name == name {
			return t.Shape, true
		}
	}
	return nil, false
}

// Floats makes a tensor's values.
func (s StateDict) Floats(name string) ([]float32, error) {
	shape, ok := s.Shape(name)
	if !ok {
		return nil, fmt.Errorf("no tensor %s", name)
	}
	return values(s.Network, name, shape), nil
}

// Network holds whatever tensors a network asks for. It implements
// graph.Weights and graph.Maker.
type Network struct {
	// Name seeds the weights.
	Name    string
	Classes int
}

// Names lists nothing: no tensor is left over.
func (n Network) Names() []string { return nil }

// Shape answers for a classifier's weights, the only ones whose size the weights
// decide.
func (n Network) Shape(string) ([]int, bool) { return []int{n.Classes}, true }

// Floats is not used, for Make is.
func (n Network) Floats(name string) ([]float32, error) {
	return nil, fmt.Errorf("tensor %s is made when its shape is known", name)
}

// Make makes a tensor of the given shape.
func (n Network) Make(name string, shape []int) []float32 { return values(n.Name, name, shape) }

// values is weights() of golden.py.
func values(network, name string, shape []int) []float32 {
	count := 1
	for _, d := range shape {
		count *= d
	}
	value := func(u float64) float64 { return 0.7 + 0.4*u }
	switch {
	case strings.HasSuffix(name, "running_var"):
		value = func(u float64) float64 { return 0.5 + u }
	case strings.HasSuffix(name, "running_mean"), strings.HasSuffix(name, "bias"):
		value = func(u float64) float64 { return 0.6 * (u - 0.5) }
	case len(shape) > 1:
		// Swish and squeeze-and-excitation let less through than ReLU.
		gain := 2.0
		if network == "efficientnet_b0" {
			gain = 2.4
		}
		reach := math.Sqrt(3 * gain / float64(count/shape[0]))
		value = func(u float64) float64 { return (2*u - 1) * reach }
	}
	out := make([]float32, count)
	for i, u := range uniform(network+"/"+name, count) {
		out[i] = float32(value(u))
	}
	return out
}

// Picture is picture() of golden.py: size×size×3 normalised values.
func Picture(index, size int) []float32 {
	const block = 32
	side := size / block
	squares := uniform(fmt.Sprintf("squares.%d", index), side*side*3)
	out := make([]float32, size*size*3)
	for i, u := range uniform(fmt.Sprintf("noise.%d", index), len(out)) {
		c, x, y := i%3, i/3%size, i/3/size
		out[i] = float32(4*squares[(y/block*side+x/block)*3+c] - 2 + (u - 0.5))
	}
	return out
}

// uniform is uniform() of golden.py: splitmix64 (Steele, Lea and Flood, 2014)
// seeded with the FNV-1a hash of name.
func uniform(name string, count int) []float64 {
	seed := uint64(0xcbf29ce484222325)
	for _, b := range []byte(name) {
		seed = (seed ^ uint64(b)) * 0x100000001b3
	}
	out := make([]float64, count)
	for i := range out {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		out[i] = float64(z>>40) / (1 << 24)
	}
	return out
}

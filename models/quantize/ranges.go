package quantize

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/glimpsed/glimpsed/models/graph"
)

// Range is an interval of values; eight-bit codes are spread evenly over it.
type Range struct {
	Min float32 `json:"min"`
	Max float32 `json:"max"`
}

// ActivationRanges are the ranges of a network's activations with the weights
// they were found for. As JSON they are some kilobytes and can be shipped with
// the weights' URL.
type ActivationRanges struct {
	Architecture string `json:"architecture"`
	// WeightsSHA256 is of the weights file, in hexadecimal.
	WeightsSHA256 string `json:"weights_sha256"`
	// Method says how the ranges were found, for people.
	Method string `json:"method"`
	// Pictures counts those used.
	Pictures int `json:"pictures"`
	// Tensors has a range for each activation by name.
	Tensors map[string]Range `json:"tensors"`
	// Means has the mean of each channel of the tensors that convolutions read;
	// with them the biases can make up for the rounding of weights. They are not
	// part of the JSON: the batch norms' do as well, and they are a hundred times
	// the size of the ranges.
	Means map[string][]float32 `json:"-"`
}

// Load reads ranges from JSON.
func Load(b []byte) (ActivationRanges, error) {
	var r ActivationRanges
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading activation ranges: %w", err)
	}
	return r, nil
}

// Check returns an error unless there is a usable range for every activation of
// the network.
func (r ActivationRanges) Check(g *graph.Graph) error {
	if r.Architecture != "" && r.Architecture != g.Name {
		return fmt.Errorf("activation ranges are %s's, not %s's", r.Architecture, g.Name)
	}
	for _, t := range g.Tensors() {
		v, ok := r.Tensors[t.Name]
		if !ok {
			return fmt.Errorf("activation ranges lack tensor %s", t.Name)
		}
		if !(v.Min <= v.Max) || math.IsInf(float64(v.Min), 0) || math.IsInf(float64(v.Max), 0) {
			return fmt.Errorf("activation range of tensor %s is [%v, %v]", t.Name, v.Min, v.Max)
		}
		if m, ok := r.Means[t.Name]; ok && len(m) != t.Channels() {
			return fmt.Errorf("tensor %s has %d channels and %d means", t.Name, t.Channels(), len(m))
		}
	}
	return nil
}

// InputRange is exactly what pixels of 0..255 become by (value − mean) / std.
func InputRange(mean, std []float32) Range {
	r := Range{Min: float32(math.Inf(1)), Max: float32(math.Inf(-1))}
	for c := range mean {
		r.Min = min(r.Min, (0-mean[c])/std[c])
		r.Max = max(r.Max, (255-mean[c])/std[c])
	}
	return r
}

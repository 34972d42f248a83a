package arch_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/models/convert"
	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/seeded"
	"github.com/glimpsed/glimpsed/models/tflite"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
)

// golden is what testdata/golden.py wrote of a network in PyTorch.
type golden struct {
	Architecture string          `json:"architecture"`
	Tensors      []seeded.Tensor `json:"tensors"`
	Logits       [][]float32     `json:"logits"`
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "golden", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g golden) graph(t *testing.T) *graph.Graph {
	t.Helper()
	a, err := arch.ByName(g.Architecture)
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.Graph(seeded.StateDict{Network: g.Architecture, Tensors: g.Tensors})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run writes a model, reads it back and runs it on a picture.
func run(t *testing.T, m *tflite.Model, picture int) []float32 {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r, err := reference.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	values, err := r.Run(seeded.Picture(picture, 224))
	if err != nil {
		t.Fatal(err)
	}
	return values[0]
}

// input is the range of seeded.Picture's values.
var input = quantize.Range{Min: -2.5, Max: 2.5}

// The float model's logits are PyTorch's; the eight-bit model, calibrated with
// one picture and tried with another, points in their direction.
func TestLogitsAreThoseOfPyTorch(t *testing.T) {
	for _, c := range []struct {
		name string
		// cosine is the least one of int8 logits with PyTorch's when calibrated.
		cosine float64
		// batchNorm is that from batch-norm statistics; 0 where the seeded ones are
		// too far from the truth to tell anything.
		batchNorm float64
		// slow networks are left out under the race detector.
		slow bool
	}{
		{name: "resnet18", cosine: 0.999, slow: true},
		{name: "mobilenet_v2", cosine: 0.995, batchNorm: 0.98, slow: true},
		{name: "shufflenet_v2_x1_0", cosine: 0.995},
		{name: "efficientnet_b0", cosine: 0.99, slow: true},
		{name: "efficientnet_lite0", cosine: 0.99, batchNorm: 0.98, slow: true},
	} {
		if c.slow && raceEnabled {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			want := readGolden(t, c.name)
			g := want.graph(t)
			float, err := convert.Float(g)
			if err != nil {
				t.Fatal(err)
			}
			if d := difference(run(t, float, 0), want.Logits[0]); d > 1e-3 {
				t.Errorf("float32 logits of picture 0 differ by %.2g of the largest", d)
			}
			calibrated, logits := calibrate(t, g, 1)
			if d := difference(logits, want.Logits[1]); d > 1e-3 {
				t.Errorf("float32 logits of picture 1 differ by %.2g of the largest", d)
			}
			compare := func(r quantize.ActivationRanges, least float64) {
				small, err := convert.Int8(g, r, convert.Int8Options{})
				if err != nil {
					t.Fatal(err)
				}
				cos := cosine(run(t, small, 0), want.Logits[0])
				t.Logf("int8 from %s: cosine of logits %.4f", r.Method, cos)
				if cos < least {
					t.Errorf("int8 from %s: cosine of logits is %.4f, want %v", r.Method, cos, least)
				}
			}
			compare(calibrated, c.cosine)
			if c.batchNorm > 0 {
				compare(quantize.FromBatchNorm(g, input), c.batchNorm)
			}
		})
	}
}

// calibrate finds ranges with one picture and returns its float logits too.
func calibrate(t *testing.T, g *graph.Graph, picture int) (quantize.ActivationRanges, []float32) {
	t.Helper()
	c := quantize.NewCalibrator(g)
	inner, err := convert.Inner(g, c.Tensors())
	if err != nil {
		t.Fatal(err)
	}
	r, err := reference.New(inner)
	if err != nil {
		t.Fatal(err)
	}
	values, err := r.Run(seeded.Picture(picture, 224))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Observe(values); err != nil {
		t.Fatal(err)
	}
	ranges, err := c.Ranges(quantize.MSE, input)
	if err != nil {
		t.Fatal(err)
	}
	return ranges, values[len(values)-1]
}

// difference is the largest difference over the largest value.
func difference(got, want []float32) float64 {
	var most, largest float64
	for i := range want {
		most = max(most, math.Abs(float64(got[i]-want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	return most / largest
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

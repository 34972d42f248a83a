package quantize

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/seeded"
)

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestRectifiedNormalDistribution(t *testing.T) {
	m, r := activate(uniform(1, 0, 1), graph.ReLU)
	// E max(x, 0) is 1/√2π, E max(x, 0)² is 1/2.
	mean := 1 / math.Sqrt(2*math.Pi)
	if !near(m.mean[0], mean, 1e-3) || !near(m.variance[0], 0.5-mean*mean, 1e-3) {
		t.Errorf("moments are %v", m)
	}
	if r.Min != 0 || r.Max != deviations {
		t.Errorf("range is %v", r)
	}
	if _, r = activate(uniform(1, 3, 1), graph.ReLU6); r != (Range{0, 6}) {
		t.Errorf("range behind ReLU6 is %v", r)
	}
	if _, r = activate(uniform(1, -1, 0.25), graph.Linear); r != (Range{-1 - deviations/2, -1 + deviations/2}) {
		t.Errorf("range of a linear layer is %v", r)
	}
}

// network has a swish, an attention, a shuffle and a sum.
func network(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("test", seeded.Network{Name: "test", Classes: 4})
	x := b.Conv(b.Input(8, 8), graph.Layer{Weights: "a", Norm: "na", Out: 6, Activation: graph.Swish})
	y := b.Mul(x, b.Sigmoid(b.Conv(b.GlobalAverage(x), graph.Layer{Weights: "gate", Out: 6})))
	first, second := b.Split(b.Conv(y, graph.Layer{Weights: "b", Norm: "nb", Out: 6, Activation: graph.ReLU}))
	z := b.Shuffle(b.Concat(second, first), 2)
	g, err := b.Finish(b.Classifier(b.GlobalAverage(b.Add(z, x, graph.ReLU)), "fc"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFromBatchNormCoversTheGraph(t *testing.T) {
	g := network(t)
	r := FromBatchNorm(g, Range{-2, 2})
	if err := r.Check(g); err != nil {
		t.Fatal(err)
	}
	if s := r.Tensors["a/mul"]; s.Min < -0.279 || s.Max <= 0 {
		t.Errorf("swish has range %v", s)
	}
	if s := r.Tensors["gate/sigmoid"]; s != (Range{0, 1}) {
		t.Errorf("sigmoid has range %v", s)
	}
	// Shuffling halves [3 4 5][0 1 2] into pairs: 3 0 4 1 5 2.
	var b, shuffled moments
	known := map[*graph.Tensor]moments{g.Input: uniform(3, 0, 1)}
	for _, n := range g.Nodes {
		known[n.Output], _ = follow(n, known, r.Tensors)
		switch {
		case n.Output.Name == "b":
			b = known[n.Output]
		case strings.HasSuffix(n.Output.Name, "/shuffle"):
			shuffled = known[n.Output]
		}
	}
	for i, from := range []int{3, 0, 4, 1, 5, 2} {
		if shuffled.mean[i] != b.mean[from] {
			t.Errorf("channel %d of the shuffle has the mean %v, want that of %d, %v", i, shuffled.mean[i], from, b.mean[from])
		}
	}
}

func TestMethods(t *testing.T) {
	// A normal distribution with one far outlier.
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 1_000_000)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	values[0] = 15
	o := newObserver(1)
	if !o.add(values[:500_000]) || !o.add(values[500_000:]) {
		t.Fatal("finite values were refused")
	}
	for _, c := range []struct {
		method         Method
		least, most    float32 // bounds of the upper end
		lowest, lowEnd float32 // bounds of the lower end
	}{
		{MinMax, 15, 15, -6, -3.5},
		{Percentile, 3.5, 4, -4, -3.5},
		{MSE, 3, 12, -6, -2.5},
	} {
		r, err := o.choose(c.method)
		if err != nil {
			t.Fatal(err)
		}
		if r.Max < c.least || r.Max > c.most || r.Min < c.lowest || r.Min > c.lowEnd {
			t.Errorf("%s chose %v", c.method, r)
		}
	}
	if _, err := o.choose("guess"); err == nil || !strings.Contains(err.Error(), `"guess" is unknown`) {
		t.Errorf("unknown method gives %v", err)
	}
	if o.add([]float32{float32(math.NaN())}) || o.add([]float32{float32(math.Inf(-1))}) {
		t.Error("a value that is not finite was accepted")
	}
}

func TestHistogramKeepsItsCountsWhenItGrows(t *testing.T) {
	o := newObserver(2)
	for _, v := range []float32{0.001, 1, 100, -1000} {
		if !o.add([]float32{v, v}) {
			t.Fatal("refused")
		}
	}
	var total float64
	for _, n := range o.counts {
		total += n
	}
	if total != 8 || o.limit < 1000 || o.low != -1000 || o.high != 100 {
		t.Errorf("%v values within ±%v, %v to %v", total, o.limit, o.low, o.high)
	}
	if m := o.means(); m[0] != m[1] || !near(float64(m[0]), -898.999/4, 1e-3) {
		t.Errorf("means are %v", m)
	}
}

func TestCalibrator(t *testing.T) {
	g := network(t)
	c := NewCalibrator(g)
	if _, err := c.Ranges(MSE, Range{}); err == nil {
		t.Error("no pictures gave ranges")
	}
	var values [][]float32
	for _, a := range c.Tensors() {
		v := make([]float32, a.Elements())
		for i := range v {
			v[i] = float32(i)
		}
		values = append(values, v)
	}
	if err := c.Observe(values); err != nil {
		t.Fatal(err)
	}
	r, err := c.Ranges(MinMax, Range{-1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(g); err != nil {
		t.Fatal(err)
	}
	if r.Tensors["a"] != (Range{0, 8*8*6 - 1}) || r.Tensors["image"] != (Range{-1, 1}) || r.Pictures != 1 {
		t.Errorf("ranges are %+v", r)
	}
	// The means of the channels of "b"'s input, whose values count up in steps of 6.
	if m := r.Means["a/mul_2"]; len(m) == 6 && m[1]-m[0] != 1 {
		t.Errorf("means are %v", m)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Load(b)
	if err != nil || back.Check(g) != nil || back.Tensors["a"] != r.Tensors["a"] {
		t.Errorf("read back %+v (%v)", back, err)
	}
	if err := c.Observe(values[1:]); err == nil || !strings.Contains(err.Error(), "activations, expected") {
		t.Errorf("a missing activation gives %v", err)
	}
	values[1][3] = float32(math.NaN())
	if err := c.Observe(values); err == nil || !strings.Contains(err.Error(), "activation "+c.Tensors()[1].Name+" is not finite") {
		t.Errorf("a value that is no number gives %v", err)
	}
	values[2] = values[2][1:]
	if err := c.Observe(values); err == nil || !strings.Contains(err.Error(), "values, expected") {
		t.Errorf("a short activation gives %v", err)
	}
}

func TestInputRangeIsThatOfPixels(t *testing.T) {
	if r := InputRange([]float32{127, 127, 127}, []float32{128, 128, 128}); r != (Range{-127.0 / 128, 1}) {
		t.Errorf("range is %v", r)
	}
}

package quantize

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/glimpsed/glimpsed/models/graph"
)

// Method is a way to choose a range from the values seen. The choice by least
// Kullback-Leibler divergence (TensorRT's entropy calibration) is not among them:
// with 256 codes rounding costs it next to nothing, it clips, and EfficientNet-Lite0
// fell from 89 to 25 %.
type Method string

const (
	// MinMax takes all values in.
	MinMax Method = "min-max"
	// Percentile leaves out one value in 10,000 at each end.
	Percentile Method = "percentile"
	// MSE takes the range with the least mean squared error of clipping and
	// rounding together.
	MSE Method = "mse"
)

// Methods lists them all.
func Methods() []Method { return []Method{MinMax, Percentile, MSE} }

// Runner runs a float model of one input. It is not safe for concurrent use.
type Runner interface {
	// Run takes the input in NHWC order and returns the outputs in the order of
	// the model's; they are valid until the next Run.
	Run(input []float32) ([][]float32, error)
	Close() error
}

// OpenRunner loads a .tflite file.
type OpenRunner func(model []byte) (Runner, error)

// Calibrator watches the activations of a network over some pictures.
type Calibrator struct {
	graph     *graph.Graph
	tensors   []*graph.Tensor
	observers []*observer
	pictures  int
}

// NewCalibrator prepares a calibration of g.
func NewCalibrator(g *graph.Graph) *Calibrator {
	c := &Calibrator{graph: g}
	for _, n := range g.Nodes {
		c.tensors = append(c.tensors, n.Output)
		c.observers = append(c.observers, newObserver(n.Output.Channels()))
	}
	return c
}

// Tensors are the activations to be watched, in the order that Observe wants
// them.
func (c *Calibrator) Tensors() []*graph.Tensor { return c.tensors }

// Observe adds one picture's activations.
func (c *Calibrator) Observe(values [][]float32) error {
	if len(values) != len(c.tensors) {
		return fmt.Errorf("calibrating: got %d activations, expected %d", len(values), len(c.tensors))
	}
	for i, v := range values {
		if len(v) != c.tensors[i].Elements() {
			return fmt.Errorf("calibrating: activation %s has %d values, expected %d", c.tensors[i].Name, len(v), c.tensors[i].Elements())
		}
	}
	if i := c.count(values); i >= 0 {
		return fmt.Errorf("calibrating: activation %s is not finite", c.tensors[i].Name)
	}
	c.pictures++
	return nil
}

// count adds the values to the observers, on all processors: it takes about as long as running
// the network. It returns the index of an activation that is not finite, or -1.
func (c *Calibrator) count(values [][]float32) int {
	var wait sync.WaitGroup
	var next, bad atomic.Int64
	bad.Store(-1)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(values)); i = next.Add(1) - 1 {
				if !c.observers[i].add(values[i]) {
					bad.Store(i)
				}
			}
		})
	}
	wait.Wait()
	return int(bad.Load())
}

// Ranges chooses a range for every activation. The input's is given: it follows
// from the normalisation.
func (c *Calibrator) Ranges(method Method, input Range) (ActivationRanges, error) {
	if c.pictures == 0 {
		return ActivationRanges{}, fmt.Errorf("calibrating: no pictures")
	}
	out := ActivationRanges{
		Architecture: c.graph.Name, Method: string(method), Pictures: c.pictures,
		Tensors: map[string]Range{c.graph.Input.Name: input}, Means: map[string][]float32{},
	}
	read := map[*graph.Tensor]bool{}
	for _, n := range c.graph.Nodes {
		read[n.Inputs[0]] = read[n.Inputs[0]] || n.Op == graph.Conv || n.Op == graph.Depthwise
	}
	for i, t := range c.tensors {
		r, err := c.observers[i].choose(method)
		if err != nil {
			return ActivationRanges{}, err
		}
		out.Tensors[t.Name] = r
		if read[t] {
			out.Means[t.Name] = c.observers[i].means()
		}
	}
	return out, nil
}

// bins is the resolution of a histogram, even, over both signs.
const bins = 4096

// observer keeps a histogram of values within ±limit, which doubles as needed,
// and the sum of each channel.
type observer struct {
	low, high float32
	limit     float32
	counts    [bins]float64
	sums      []float64
	rows      int
}

func newObserver(channels int) *observer {
	return &observer{low: float32(math.Inf(1)), high: float32(math.Inf(-1)), limit: 1.0 / 64, sums: make([]float64, channels)}
}

// add counts values; it returns false if one is not finite.
func (o *observer) add(values []float32) bool {
	for _, v := range values {
		o.low, o.high = min(o.low, v), max(o.high, v)
	}
	reach := max(-o.low, o.high)
	if !(reach <= math.MaxFloat32/4) {
		return false
	}
	for reach > o.limit {
		o.double()
	}
	factor := bins / 2 / o.limit
	channels := len(o.sums)
	for at := 0; at < len(values); at += channels {
		for c, v := range values[at : at+channels] {
			o.sums[c] += float64(v)
			o.counts[min(int(v*factor+bins/2), bins-1)]++
		}
	}
	o.rows += len(values) / channels
	return true
}

// double merges pairs of bins so that the histogram reaches twice as far.
func (o *observer) double() {
	var merged [bins]float64
	for i, n := range o.counts {
		merged[bins/4+i/2] += n
	}
	o.counts = merged
	o.limit *= 2
}

func (o *observer) means() []float32 {
	out := make([]float32, len(o.sums))
	for c, s := range o.sums {
		out[c] = float32(s / float64(o.rows))
	}
	return out
}

// centre is the value that bin i stands for.
func (o *observer) centre(i int) float64 {
	return (float64(i) + 0.5 - bins/2) * float64(o.limit) / (bins / 2)
}

func (o *observer) choose(method Method) (Range, error) {
	full := Range{min(o.low, 0), max(o.high, 0)}
	switch method {
	case MinMax:
		return full, nil
	case Percentile:
		return o.percentile(1e-4), nil
	case MSE:
		return o.search(full, o.squaredError), nil
	}
	return Range{}, fmt.Errorf("range method %q is unknown, have %v", method, Methods())
}

// percentile leaves the given fraction of values out at each end.
func (o *observer) percentile(fraction float64) Range {
	var total float64
	for _, n := range o.counts {
		total += n
	}
	out := Range{}
	step := o.limit / (bins / 2)
	for i, sum := 0, 0.0; i < bins/2; i++ {
		if sum += o.counts[i]; sum > total*fraction {
			out.Min = max(o.low, float32(i-bins/2)*step)
			break
		}
	}
	for i, sum := bins-1, 0.0; i >= bins/2; i-- {
		if sum += o.counts[i]; sum > total*fraction {
			out.Max = min(o.high, float32(i+1-bins/2)*step)
			break
		}
	}
	return out
}

// search shrinks the full range, each end by itself, to where the loss is least.
func (o *observer) search(full Range, loss func(Range) float64) Range {
	const steps = 64
	best, least := full, loss(full)
	try := func(r Range) {
		if l := loss(r); l < least {
			best, least = r, l
		}
	}
	for i := 1; i < steps; i++ {
		f := 1 - float32(i)/steps
		try(Range{full.Min * f, full.Max * f})
	}
	if full.Min < 0 && full.Max > 0 {
		both := best
		for i := range steps {
			try(Range{both.Min, full.Max * (1 - float32(i)/steps)})
		}
		both = best
		for i := range steps {
			try(Range{full.Min * (1 - float32(i)/steps), both.Max})
		}
	}
	return best
}

// levels is the number of codes of eight bits.
const levels = 256

// squaredError is the sum of squared differences between the values and what
// their codes stand for.
func (o *observer) squaredError(r Range) float64 {
	scale := float64(r.Max-r.Min) / (levels - 1)
	if scale == 0 {
		return math.Inf(1)
	}
	zero := math.Round(float64(-r.Min) / scale)
	var sum float64
	for i, n := range o.counts {
		if n == 0 {
			continue
		}
		v := o.centre(i)
		q := min(max(math.Round(v/scale)+zero, 0), levels-1)
		d := v - (q-zero)*scale
		sum += n * d * d
	}
	return sum
}

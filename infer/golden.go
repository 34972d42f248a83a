package infer

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// goldenSide is the side of a golden picture, in pixels.
const goldenSide = 256

// goldenTolerance is by how much a score may differ from the known one: other processors and runtimes round
// otherwise, by a step or two of an 8-bit output.
const goldenTolerance = 0.05

// goldenPictures are drawn, not photographed, so that every machine has the same: what a classifier says of them means nothing,
// but is always the same.
var goldenPictures = []struct {
	name  string
	pixel func(x, y float64) (r, g, b float64) // x and y 0..1, colours 0..1
}{
	{"bars", func(x, y float64) (r, g, b float64) {
		bar := 7 - int(x*8)
		return y * float64(bar>>1&1), y * float64(bar>>2&1), y * float64(bar&1)
	}},
	{"rings", func(x, y float64) (r, g, b float64) {
		d := math.Hypot(x-0.45, y-0.55)
		wave := 0.5 + 0.5*math.Cos(40*d)
		return wave, 0.7 * wave, 1 - d
	}},
	{"checks", func(x, y float64) (r, g, b float64) {
		if (int(x*8)+int(y*8))%2 == 0 {
			return 0.9, 0.9 - 0.5*x, 0.8
		}
		return 0.1, 0.2 + 0.4*y, 0.15
	}},
}

// goldenFrame draws picture i as a BGR frame.
func goldenFrame(i int) vision.Frame {
	f := vision.Frame{
		Format: vision.BGR, Width: goldenSide, Height: goldenSide, Stride: 3 * goldenSide,
		Data: make([]byte, 3*goldenSide*goldenSide), CapturedAt: time.Now(), Source: "golden picture " + goldenPictures[i].name,
	}
	for y := range goldenSide {
		for x := range goldenSide {
			r, g, b := goldenPictures[i].pixel(float64(x)/goldenSide, float64(y)/goldenSide)
			p := f.Data[y*f.Stride+3*x:]
			p[0], p[1], p[2] = byte(255*b+0.5), byte(255*g+0.5), byte(255*r+0.5)
		}
	}
	return f
}

// Golden has the classifier look at the golden pictures and returns what it says of each. Errors say what no
// working classifier does: scores that are no numbers, another answer to the same picture, or the same answer to all.
func (c *Classifier) Golden() ([]vision.Golden, error) {
	var out []vision.Golden
	same := true
	for i, picture := range goldenPictures {
		frame := goldenFrame(i)
		first, _, err := c.Classify(nil, frame)
		if err != nil {
			return nil, err
		}
		again, _, err := c.Classify(nil, frame)
		if err != nil {
			return nil, err
		}
		best := vision.Golden{Picture: picture.name, Index: first[0].Index, Score: first[0].Score}
		switch s := float64(best.Score); {
		case math.IsNaN(s) || math.IsInf(s, 0):
			return nil, fmt.Errorf("%s: the score is %v", frame.Source, best.Score)
		case again[0] != first[0]:
			return nil, fmt.Errorf("%s: it says first %s (%.3f), then %s (%.3f)", frame.Source, first[0].Label, first[0].Score, again[0].Label, again[0].Score)
		}
		same = same && (i == 0 || best.Index == out[0].Index && best.Score == out[0].Score)
		out = append(out, best)
	}
	if same {
		return nil, errors.New("it says the same of every picture")
	}
	return out, nil
}

// CheckGolden looks whether the classifier works and, where its model has golden answers, gives those.
func (c *Classifier) CheckGolden() error {
	got, err := c.Golden()
	if err != nil {
		return fmt.Errorf("model %s: %w", modelName(c.model), err)
	}
	for _, want := range c.model.Golden {
		for _, g := range got {
			if g.Picture != want.Picture {
				continue
			}
			// Two labels that are almost equally likely may change places.
			near := math.Abs(float64(g.Score-want.Score)) <= goldenTolerance
			if !near || g.Index != want.Index && want.Score > 0.5+goldenTolerance {
				return fmt.Errorf("model %s: of the golden picture %s it says label %d (%.3f) instead of %d (%.3f): the file or the runtime is not what it was; "+
					"pull or build the model again", modelName(c.model), g.Picture, g.Index, g.Score, want.Index, want.Score)
			}
		}
	}
	return nil
}

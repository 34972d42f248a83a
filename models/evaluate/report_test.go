package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

var animals = []string{"cat", "dog", "hen", "cow"}

// saw is an outcome: the true class, the best score, and the classes in the order given.
func saw(class int, score float32, given ...int) Outcome {
	o := Outcome{Picture: Picture{File: fmt.Sprintf("%s.jpg", animals[class])}, Class: class}
	for _, g := range given {
		o.Top = append(o.Top, vision.Classification{Label: animals[g], Index: g, Score: score})
		score /= 2
	}
	return o
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestReport(t *testing.T) {
	outcomes := []Outcome{
		saw(0, 0.9, 0, 1, 2), saw(0, 0.8, 0, 1, 2), saw(0, 0.7, 1, 0, 2), saw(0, 0.6, 1, 2, 3),
		saw(1, 0.95, 1, 0, 2), saw(1, 0.5, 2, 0, 1),
		saw(2, 0.4, 3, 1, 0),
		{Picture: Picture{File: "a/1.jpg", folders: []string{"a"}}, Class: NoClass, Reason: noLabel},
		{Picture: Picture{File: "a/2.jpg", folders: []string{"a"}}, Class: NoClass, Reason: noLabel},
		{Picture: Picture{File: "b_3.jpg"}, Class: NoClass, Reason: "another"},
		{Picture: Picture{File: "cat_bad.jpg"}, Class: 0, Err: errors.New("cat_bad.jpg: cut short")},
	}
	r := NewReport(vision.ModelRef{Name: "m", Runtime: "r", SHA256: "s"}, NewLabels(animals), outcomes, 0.7)
	if r.Model != "m" || r.Runtime != "r" || r.SHA256 != "s" || r.Pictures != 7 || !near(r.Top1, 3.0/7) || !near(r.Top3, 5.0/7) {
		t.Errorf("%+v", r)
	}
	if want := []Unmatched{{"a", 2, noLabel}, {"b", 1, "another"}}; r.UnmatchedPictures != 3 || !reflect.DeepEqual(r.Unmatched, want) {
		t.Errorf("unmatched: %d %+v, want %+v", r.UnmatchedPictures, r.Unmatched, want)
	}
	if want := []Broken{{"cat_bad.jpg", "cat_bad.jpg: cut short"}}; !reflect.DeepEqual(r.Broken, want) {
		t.Errorf("broken: %+v", r.Broken)
	}
	wantClasses := []Class{
		{Label: "cat", Index: 0, Pictures: 4, Top1: 0.5, Top3: 0.75, Predicted: 2, Precision: 1},
		{Label: "dog", Index: 1, Pictures: 2, Top1: 0.5, Top3: 1, Predicted: 3, Precision: 1.0 / 3},
		{Label: "hen", Index: 2, Pictures: 1, Predicted: 1},
	}
	if !reflect.DeepEqual(r.Classes, wantClasses) {
		t.Errorf("classes: %+v, want %+v", r.Classes, wantClasses)
	}
	wantWorst := []Confusion{
		{Label: "hen", Index: 2, Pictures: 1, TakenFor: []Mistake{{"cow", 3, 1}}},
		{Label: "cat", Index: 0, Pictures: 4, Top1: 0.5, TakenFor: []Mistake{{"dog", 1, 2}}},
		{Label: "dog", Index: 1, Pictures: 2, Top1: 0.5, TakenFor: []Mistake{{"hen", 2, 1}}},
	}
	if !reflect.DeepEqual(r.Worst, wantWorst) {
		t.Errorf("worst: %+v, want %+v", r.Worst, wantWorst)
	}
	// From the top: 0.95, 0.9, 0.8 right, 0.7 wrong (3 of 4 is above 0.7), 0.6 wrong.
	if a := r.Advice; !a.Reached || a.Pictures != 4 || a.Score <= 0.6 || a.Score > float64(float32(0.7)) || !near(a.Precision, 0.75) || !near(a.Coverage, 4.0/7) {
		t.Errorf("advice: %+v", a)
	}
	for _, h := range r.Thresholds {
		if h.Score == 0.8 && (h.Pictures != 3 || h.Precision != 1 || !near(h.Coverage, 3.0/7)) {
			t.Errorf("threshold: %+v", h)
		}
	}
}

func TestReportOnNothing(t *testing.T) {
	r := NewReport(vision.ModelRef{}, NewLabels(animals), nil, 0.95)
	if r.Pictures != 0 || r.Top1 != 0 || r.Advice.Reached || r.Calibration.Error != 0 || r.Top1Interval != [2]float64{0, 1} {
		t.Errorf("%+v", r)
	}
}

// The bounds are the accuracies from which what was seen is z standard deviations away.
func TestWilson(t *testing.T) {
	const z = 1.959964
	for _, test := range [][2]int{{1, 10}, {5, 10}, {9, 10}, {448, 500}, {1, 1000}} {
		seen := fraction(test[0], test[1])
		bounds := wilson(test[0], test[1])
		for _, p := range bounds {
			if away := math.Abs(seen-p) / math.Sqrt(p*(1-p)/float64(test[1])); math.Abs(away-z) > 1e-6 {
				t.Errorf("%d of %d: %v is %v deviations away, want %v", test[0], test[1], p, away, z)
			}
		}
		if bounds[0] >= seen || bounds[1] <= seen {
			t.Errorf("%d of %d: %v is not around it", test[0], test[1], bounds)
		}
	}
	if none, all := wilson(0, 10), wilson(10, 10); none[0] != 0 || all[1] != 1 || none[1] > 0.3 || all[0] < 0.7 {
		t.Errorf("none %v, all %v", none, all)
	}
}

func TestCalibration(t *testing.T) {
	f := func(x float32) float64 { return float64(x) }
	c := calibrationOf([]guess{{0, false}, {f(0.1), false}, {f(0.3), true}, {f(0.31), false}, {f(0.95), true}, {1, true}, {1, false}, {f(0.85), true}})
	for i, want := range []int{2, 0, 1, 1, 0, 0, 0, 0, 1, 3} {
		if c.Bins[i].Pictures != want {
			t.Errorf("bin %d has %d pictures, want %d", i, c.Bins[i].Pictures, want)
		}
	}
	if b := c.Bins[9]; !near(b.Score, 2.95/3) || !near(b.Accuracy, 2.0/3) || b.From != 0.9 || b.To != 1 {
		t.Errorf("%+v", b)
	}
	want := (2*0.05 + 0.7 + 0.31 + 0.15 + 3*(2.95-2)/3) / 8
	if !near(c.Error, want) {
		t.Errorf("error %v, want %v", c.Error, want)
	}
}

func TestAdvice(t *testing.T) {
	right, wrong := true, false
	for name, test := range map[string]struct {
		guesses   []guess
		precision float64
		score     float64
		pictures  int // 0: not reached
	}{
		"all are right":             {[]guess{{0.2, right}, {0.9, right}}, 1, 0, 2},
		"none is":                   {[]guess{{0.2, wrong}, {0.9, wrong}}, 0.5, 0, 0},
		"a short number between":    {[]guess{{0.9173, right}, {0.8512, right}, {0.4239, wrong}}, 1, 0.8, 2},
		"close together":            {[]guess{{0.51237, right}, {0.51234, wrong}}, 1, 0.51237, 1},
		"equal scores go together":  {[]guess{{0.9, right}, {0.5, right}, {0.5, wrong}}, 0.9, 0.9, 1},
		"the lowest, not the first": {[]guess{{0.9, wrong}, {0.8, right}, {0.7, right}, {0.6, right}, {0.5, wrong}}, 0.75, 0.6, 4},
	} {
		_, a := thresholdsOf(test.guesses, test.precision)
		if a.Reached != (test.pictures > 0) || a.Pictures != test.pictures || !near(a.Score, test.score) {
			t.Errorf("%s: %+v, want %+v", name, a, test)
		}
	}
}

func TestRun(t *testing.T) {
	var pictures []Picture
	for i := range 40 {
		pictures = append(pictures, Picture{File: fmt.Sprintf("%s_%d.jpg", append(animals, "fox")[i%5], i)})
	}
	broken := errors.New("broken")
	classify := func(file string) ([]vision.Classification, error) {
		if file == "dog_1.jpg" {
			return nil, broken
		}
		return []vision.Classification{{Index: 2, Score: 1}}, nil
	}
	labels := NewLabels(animals)
	calls := 0
	outcomes, err := Run(t.Context(), pictures, labels, []Classify{classify, classify, classify}, func(done, total int) {
		calls++
		if done != calls || total != 32 {
			t.Errorf("progress: %d of %d at call %d", done, total, calls)
		}
	})
	if err != nil || calls != 32 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	for i, o := range outcomes {
		class := i % 5
		if class == 4 {
			class = NoClass
		}
		if o.File != pictures[i].File || o.Class != class || (o.Err != nil) != (i == 1) || o.Right() != (class == 2) {
			t.Errorf("%d: %+v", i, o)
		}
	}

	if _, err := Run(t.Context(), pictures[1:2], labels, []Classify{classify}, nil); !errors.Is(err, broken) {
		t.Errorf("all broken: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err = Run(ctx, pictures, labels, []Classify{classify}, func(int, int) {
		if seen++; seen == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || seen != 3 {
		t.Errorf("cancelled: %v after %d", err, seen)
	}
}

package evaluate

import (
	"cmp"
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/vision"
)

// Report says how good a model is. Its numbers are fractions of 1 and about the pictures
// that were classified, which are those whose class is known and that can be read.
type Report struct {
	Model   string `json:"model"`
	SHA256  string `json:"sha256,omitempty"`
	Runtime string `json:"runtime,omitempty"`

	Pictures int     `json:"pictures"`
	Top1     float64 `json:"top1"`
	Top3     float64 `json:"top3"`
	// Top1Interval is where Top1 would be over very many pictures like these, with 95 %
	// confidence (Wilson's score interval).
	Top1Interval [2]float64 `json:"top1_interval"`

	Calibration Calibration `json:"calibration"`
	// Thresholds and Advice say what acting only on high scores comes to.
	Thresholds []Threshold `json:"thresholds"`
	Advice     Advice      `json:"advice"`

	// Worst are the classes that are recognised least, the worst first, WorstClasses at most.
	Worst []Confusion `json:"worst"`
	// Classes are those with pictures, by index.
	Classes []Class `json:"classes"`

	// UnmatchedPictures counts the pictures whose class no label names, Unmatched has their classes.
	UnmatchedPictures int         `json:"unmatched_pictures"`
	Unmatched         []Unmatched `json:"unmatched"`
	// Broken are the pictures that could not be read.
	Broken []Broken `json:"broken"`
}

// Class is a class's part of a Report.
type Class struct {
	Label string `json:"label"`
	Index int    `json:"index"`
	// ID is the WordNet id, if there is one.
	ID       string  `json:"wordnet_id,omitempty"`
	Pictures int     `json:"pictures"`
	Top1     float64 `json:"top1"`
	Top3     float64 `json:"top3"`
	// Predicted counts the pictures of all classes that were taken for this one, and
	// Precision is the part of them that was right; 0 where there are none.
	Predicted int     `json:"predicted"`
	Precision float64 `json:"precision"`
}

// Confusion says what a class's pictures are taken for.
type Confusion struct {
	Label    string  `json:"label"`
	Index    int     `json:"index"`
	ID       string  `json:"wordnet_id,omitempty"`
	Pictures int     `json:"pictures"`
	Top1     float64 `json:"top1"`
	// TakenFor has the wrong labels, the most frequent first, mistakesShown at most.
	TakenFor []Mistake `json:"taken_for"`
}

// Mistake is a wrong label and for how many pictures it was given.
type Mistake struct {
	Label    string `json:"label"`
	Index    int    `json:"index"`
	Pictures int    `json:"pictures"`
}

// Unmatched is a class, by the name of its folder or files, that no label means.
type Unmatched struct {
	Class    string `json:"class"`
	Pictures int    `json:"pictures"`
	Reason   string `json:"reason"`
}

// Broken is a picture that could not be classified.
type Broken struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// WorstClasses and mistakesShown bound the part about confusion.
const (
	WorstClasses  = 10
	mistakesShown = 3
)

// NewReport sums up outcomes. precision is what the advice on thresholds aims at, in 0..1.
func NewReport(model vision.ModelRef, labels *Labels, outcomes []Outcome, precision float64) Report {
	r := Report{
		Model: model.Name, SHA256: model.SHA256, Runtime: model.Runtime,
		Unmatched: []Unmatched{}, Broken: []Broken{}, Worst: []Confusion{}, Classes: []Class{},
	}
	classes := map[int]*Class{}
	mistakes := map[int]map[int]int{} // counts, by the true class and the given one
	class := func(i int) *Class {
		if classes[i] == nil {
			classes[i] = &Class{Label: labels.Label(i), Index: i, ID: labels.ID(i)}
			mistakes[i] = map[int]int{}
		}
		return classes[i]
	}
	var guesses []guess
	right, among := 0, 0
	for _, o := range outcomes {
		switch {
		case o.Class == NoClass:
			r.unmatched(o)
			continue
		case o.Err != nil:
			r.Broken = append(r.Broken, Broken{o.File, o.Err.Error()})
			continue
		}
		c, given := class(o.Class), class(o.Top[0].Index)
		c.Pictures++
		given.Predicted++
		guesses = append(guesses, guess{float64(o.Top[0].Score), o.Right()})
		if o.Right() {
			right++
			c.Top1++
			given.Precision++
		} else {
			mistakes[o.Class][o.Top[0].Index]++
		}
		if o.Rank() > 0 {
			among++
			c.Top3++
		}
	}
	r.Pictures = len(guesses)
	r.Top1, r.Top3 = fraction(right, r.Pictures), fraction(among, r.Pictures)
	r.Top1Interval = wilson(right, r.Pictures)
	r.Calibration = calibrationOf(guesses)
	r.Thresholds, r.Advice = thresholdsOf(guesses, precision)
	for _, c := range classes {
		if c.Pictures == 0 {
			continue
		}
		c.Top1 /= float64(c.Pictures)
		c.Top3 /= float64(c.Pictures)
		if c.Predicted > 0 {
			c.Precision /= float64(c.Predicted)
		}
		r.Classes = append(r.Classes, *c)
	}
	slices.SortFunc(r.Classes, func(a, b Class) int { return cmp.Compare(a.Index, b.Index) })
	r.worst(labels, mistakes)
	return r
}

// Rank is the place of the true class in Top, from 1; 0 if it isn't among the first TopK.
func (o Outcome) Rank() int {
	for i, t := range o.Top[:min(len(o.Top), TopK)] {
		if t.Index == o.Class {
			return i + 1
		}
	}
	return 0
}

// Right says whether the best classification is the true one.
func (o Outcome) Right() bool { return o.Rank() == 1 }

func (r *Report) unmatched(o Outcome) {
	r.UnmatchedPictures++
	class := o.ClassName()
	i := slices.IndexFunc(r.Unmatched, func(u Unmatched) bool { return u.Class == class && u.Reason == o.Reason })
	if i < 0 {
		i = len(r.Unmatched)
		r.Unmatched = append(r.Unmatched, Unmatched{Class: class, Reason: o.Reason})
	}
	r.Unmatched[i].Pictures++
}

// worst picks the classes with the lowest accuracy; of equal ones those with more pictures.
func (r *Report) worst(labels *Labels, mistakes map[int]map[int]int) {
	byAccuracy := slices.Clone(r.Classes)
	slices.SortStableFunc(byAccuracy, func(a, b Class) int {
		return cmp.Or(cmp.Compare(a.Top1, b.Top1), cmp.Compare(b.Pictures, a.Pictures))
	})
	for _, c := range byAccuracy {
		if len(r.Worst) == WorstClasses || c.Top1 == 1 {
			return
		}
		confusion := Confusion{Label: c.Label, Index: c.Index, ID: c.ID, Pictures: c.Pictures, Top1: c.Top1}
		for given, n := range mistakes[c.Index] {
			confusion.TakenFor = append(confusion.TakenFor, Mistake{labels.Label(given), given, n})
		}
		slices.SortFunc(confusion.TakenFor, func(a, b Mistake) int {
			return cmp.Or(cmp.Compare(b.Pictures, a.Pictures), cmp.Compare(a.Index, b.Index))
		})
		confusion.TakenFor = confusion.TakenFor[:min(len(confusion.TakenFor), mistakesShown)]
		r.Worst = append(r.Worst, confusion)
	}
}

func fraction(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// wilson is the score interval of a binomial proportion (Wilson, 1927) at 95 %.
func wilson(right, n int) [2]float64 {
	if n == 0 {
		return [2]float64{0, 1}
	}
	const z = 1.959964
	p, count := fraction(right, n), float64(n)
	centre := p + z*z/(2*count)
	reach := z * math.Sqrt(p*(1-p)/count+z*z/(4*count*count))
	scale := 1 + z*z/count
	bounds := [2]float64{(centre - reach) / scale, (centre + reach) / scale}
	if right == 0 {
		bounds[0] = 0 // exactly so; rounding leaves a little
	}
	if right == n {
		bounds[1] = 1
	}
	return bounds
}

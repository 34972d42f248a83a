package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// Calibration says how far scores are probabilities: of the pictures with a score of 0.8,
// are 80 % right?
type Calibration struct {
	// Error is the expected calibration error (Guo et al., On Calibration of Modern Neural
	// Networks, 2017): the mean distance of score and accuracy over the bins, weighted by pictures.
	Error float64 `json:"expected_error"`
	Bins  []Bin   `json:"bins"`
}

// Bin holds the pictures whose best score is in (From, To]; the first one takes 0, too.
type Bin struct {
	From     float64 `json:"from"`
	To       float64 `json:"to"`
	Pictures int     `json:"pictures"`
	// Score is the mean of their scores, Accuracy the part of them that is right; 0 where there are none.
	Score    float64 `json:"score"`
	Accuracy float64 `json:"accuracy"`
}

// Threshold says what it means to believe only scores of at least Score.
type Threshold struct {
	Score    float64 `json:"score"`
	Pictures int     `json:"pictures"`
	// Coverage is the part of all pictures that reaches it, Precision the part of those that is
	// right; 0 where there are none.
	Coverage  float64 `json:"coverage"`
	Precision float64 `json:"precision"`
}

// Advice is the lowest threshold that reaches a precision, so that as many pictures as possible count.
type Advice struct {
	Wanted float64 `json:"wanted_precision"`
	// Reached is false where no threshold reaches the precision; the Threshold is then empty.
	Reached bool `json:"reached"`
	Threshold
}

// guess is a picture's best score and whether it was right.
type guess struct {
	score float64
	right bool
}

const bins = 10

func calibrationOf(guesses []guess) Calibration {
	c := Calibration{Bins: make([]Bin, bins)}
	for i := range c.Bins {
		c.Bins[i].From, c.Bins[i].To = float64(i)/bins, float64(i+1)/bins
	}
	for _, g := range guesses {
		// Scores are float32: 0.3 is a little more than 3/10 and belongs to the bin that ends there.
		i := int(math.Ceil(float64(float32(g.score)*bins))) - 1
		b := &c.Bins[max(0, min(i, bins-1))]
		b.Pictures++
		b.Score += g.score
		if g.right {
			b.Accuracy++
		}
	}
	for i := range c.Bins {
		b := &c.Bins[i]
		if b.Pictures == 0 {
			continue
		}
		b.Score /= float64(b.Pictures)
		b.Accuracy /= float64(b.Pictures)
		c.Error += math.Abs(b.Score-b.Accuracy) * fraction(b.Pictures, len(guesses))
	}
	return c
}

// thresholdsShown are the rows of the table.
var thresholdsShown = []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99}

func thresholdsOf(guesses []guess, precision float64) ([]Threshold, Advice) {
	sorted := slices.Clone(guesses)
	slices.SortFunc(sorted, func(a, b guess) int { return cmp.Compare(b.score, a.score) })
	at := func(score float64, n int) Threshold {
		right := 0
		for _, g := range sorted[:n] {
			if g.right {
				right++
			}
		}
		return Threshold{score, n, fraction(n, len(sorted)), fraction(right, n)}
	}
	reaching := func(score float64) int {
		n := 0
		for n < len(sorted) && float32(sorted[n].score) >= float32(score) {
			n++
		}
		return n
	}
	var table []Threshold
	for _, score := range thresholdsShown {
		table = append(table, at(score, reaching(score)))
	}
	advice := Advice{Wanted: precision}
	right, best := 0, 0
	for i, g := range sorted {
		if g.right {
			right++
		}
		last := i+1 == len(sorted) || sorted[i+1].score < g.score // equal scores pass together
		if last && fraction(right, i+1) >= precision {
			best = i + 1
		}
	}
	if best > 0 {
		below := 0.0
		if best < len(sorted) {
			below = sorted[best].score
		}
		advice.Reached, advice.Threshold = true, at(0, best)
		if best < len(sorted) {
			advice.Score = between(below, sorted[best-1].score)
		}
	}
	return table, advice
}

// between is the shortest decimal above low and at most high.
func between(low, high float64) float64 {
	for decimals := 1; decimals <= 6; decimals++ {
		unit := math.Pow10(decimals)
		if x := math.Floor(high*unit) / unit; x > low {
			return x
		}
	}
	return high
}

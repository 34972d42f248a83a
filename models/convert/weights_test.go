package convert

import (
	"math"
	"slices"
	"testing"
)

func TestRowCoder(t *testing.T) {
	for _, c := range []struct {
		name  string
		row   []float64
		group int
		want  []float64
	}{
		{"any codes", []float64{127, 126, -127, 1}, 0, []float64{127, 126, -127, 1}},
		{"opposite signs", []float64{127, -126}, 2, []float64{127, -126}},
		{"a pair", []float64{100, 60}, 2, []float64{84, 44}},
		{"negative", []float64{-100, -60}, 2, []float64{-84, -44}},
		{"not neighbours", []float64{1, 100, 100, 1}, 4, []float64{1, 100, 100, 1}},
		{"an odd channel stays alone", []float64{1, 1, 100, 100, 1, 1}, 3, []float64{1, 1, 100, 100, 1, 1}},
	} {
		r := rowCoder{row: c.row, codes: make([]float64, len(c.row)), group: c.group}
		if r.encode(1); !slices.Equal(r.codes, c.want) {
			t.Errorf("%s: codes are %v, want %v", c.name, r.codes, c.want)
		}
	}
	zero := rowCoder{row: make([]float64, 4), codes: make([]float64, 4)}
	if s := zero.scale(); s != 0 {
		t.Errorf("zeros have the scale %v", s)
	}
	// Two equal large weights: a larger scale beats clipping both.
	pair := rowCoder{row: []float64{1, 1, 0.3, -0.2}, codes: make([]float64, 4), group: 4}
	if s := pair.scale(); s < 1.4/weightMax {
		t.Errorf("scale is %v of the full range", s*weightMax)
	}
	if pair.encode(pair.scale()); math.Abs(pair.codes[0]+pair.codes[1]) > pairMax {
		t.Errorf("codes are %v", pair.codes)
	}
}

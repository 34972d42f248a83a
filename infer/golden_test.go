package infer

import (
	"math"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// oracle is an interpreter that scores by a function of the input's mean.
type oracle struct {
	score func(mean float64, call int) [2]float32
	calls int
}

func (o *oracle) Input() TensorSpec {
	return TensorSpec{Shape: []int{1, 8, 8, 3}, DType: Uint8, Scale: 1}
}
func (o *oracle) Output() TensorSpec { return TensorSpec{Shape: []int{1, 2}} }
func (o *oracle) Close() error       { return nil }

func (o *oracle) Invoke(in, out []byte) error {
	var sum float64
	for _, b := range in {
		sum += float64(b)
	}
	o.calls++
	for i, s := range o.score(sum/float64(len(in)), o.calls) {
		bits := math.Float32bits(s)
		out[4*i], out[4*i+1], out[4*i+2], out[4*i+3] = byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24)
	}
	return nil
}

func TestCheckGolden(t *testing.T) {
	sane := func(mean float64, _ int) [2]float32 { return [2]float32{float32(mean / 255), 1 - float32(mean/255)} }
	check := func(golden []vision.Golden, score func(float64, int) [2]float32) error {
		t.Helper()
		m := vision.Model{Name: "m", Labels: []string{"a", "b"}, Golden: golden, Preprocessing: vision.Preprocessing{Crop: vision.CropCenter, Std: [3]float32{1, 1, 1}}}
		c, err := New(m, &oracle{score: score}, ClassifierOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return c.CheckGolden()
	}
	m := vision.Model{Labels: []string{"a", "b"}, Preprocessing: vision.Preprocessing{Crop: vision.CropCenter, Std: [3]float32{1, 1, 1}}}
	c, err := New(m, &oracle{score: sane}, ClassifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	golden, err := c.Golden()
	if err != nil || len(golden) != len(goldenPictures) {
		t.Fatalf("%v, %v", golden, err)
	}
	other := append([]vision.Golden{}, golden...)
	other[1].Score -= 0.2
	for _, test := range []struct {
		name   string
		golden []vision.Golden
		score  func(float64, int) [2]float32
		want   string
	}{
		{"as known", golden, sane, ""},
		{"nothing known", nil, sane, ""},
		{"a little off", golden, func(m float64, n int) [2]float32 { s := sane(m, n); s[0] += 0.02; s[1] += 0.02; return s }, ""},
		{"another answer", other, sane, "of the golden picture rings it says"},
		{"an unknown picture", []vision.Golden{{Picture: "cats", Index: 1, Score: 1}}, sane, ""},
		{"not repeatable", nil, func(m float64, n int) [2]float32 { return [2]float32{float32(n) / 10, 0} }, "it says first a (0.100), then a (0.200)"},
		{"constant", nil, func(float64, int) [2]float32 { return [2]float32{0.7, 0.3} }, "it says the same of every picture"},
		{"no number", nil, func(float64, int) [2]float32 { return [2]float32{float32(math.NaN()), 0.3} }, "m"},
	} {
		err := check(test.golden, test.score)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

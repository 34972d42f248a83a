package convert

import "math"

const (
	// weightMax leaves −128 out, as the specification wants it, so that kernels may
	// negate.
	weightMax = 127
	// pairMax is the most that the codes of two neighbouring weights may add up to:
	// 255·128 is the last multiple of 255 below 2^15.
	pairMax = 128
)

// rowCoder gives the weights of one output channel their codes.
//
// x86 processors with AVX2 and no VNNI multiply eight-bit values with an
// instruction (VPMADDUBSW) that adds two neighbouring products in 16 bits and
// saturates. XNNPACK goes around it; oneDNN, and with it OpenVINO, uses it. With
// all codes allowed EfficientNet-Lite0 lost six points of accuracy there. So two
// weights of one sign for neighbouring input channels get codes that add up to
// pairMax at most. Most channels have few such pairs; the scale is the one with
// which clipping them and rounding all together cost least.
type rowCoder struct {
	row, codes []float64
	// group is the number of input channels, within which weights are neighbours;
	// 0 lets any codes stand.
	group int
}

// scale returns the scale with the least squared error, 0 for a row of zeros.
func (r *rowCoder) scale() float64 {
	var reach float64
	for _, w := range r.row {
		reach = max(reach, math.Abs(w))
	}
	if reach == 0 {
		return 0
	}
	best, least := reach/weightMax, math.Inf(1)
	for factor := 0.8; factor < 1.75; factor += 0.1 {
		scale := reach / weightMax * factor
		if e := r.encode(scale); e < least {
			best, least = scale, e
		}
		if r.group == 0 && factor > 1 {
			break // nothing to gain from codes left unused
		}
	}
	return best
}

// encode fills in the codes at a scale and returns the sum of squared errors.
func (r *rowCoder) encode(scale float64) float64 {
	inverse := 1 / scale
	for i, w := range r.row {
		r.codes[i] = min(max(math.RoundToEven(w*inverse), -weightMax), weightMax)
	}
	if r.group > 0 {
		for from := 0; from < len(r.row); from += r.group {
			for i := from; i+1 < from+r.group; i += 2 {
				r.limit(i, inverse)
			}
		}
	}
	var sum float64
	for i, w := range r.row {
		d := w - r.codes[i]*scale
		sum += d * d
	}
	return sum
}

// limit lowers the codes i and i+1 until their sum is within pairMax, each time
// the one whose error is then smaller.
func (r *rowCoder) limit(i int, inverse float64) {
	a, b := r.codes[i], r.codes[i+1]
	if math.Abs(a+b) <= pairMax {
		return
	}
	exactA, exactB := r.row[i]*inverse, r.row[i+1]*inverse
	step := math.Copysign(1, a)
	for math.Abs(a+b) > pairMax {
		if math.Abs(exactA-(a-step)) < math.Abs(exactB-(b-step)) {
			a -= step
		} else {
			b -= step
		}
	}
	r.codes[i], r.codes[i+1] = a, b
}

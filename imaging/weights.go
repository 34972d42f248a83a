package imaging

import (
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/vision"
)

// The resize works on four bytes at a time, each in a 16-bit lane of a uint64, so
// sums of byte times weight must stay below 1<<16. An axis therefore holds its
// filter weights as integers of few bits:
//
//   - a plain axis (no negative weights, few taps) has one group of taps an output,
//     weights that add up to exactly 256, and sums with 8 fraction bits;
//   - any other axis has weights of a sum of 1<<bits, cut into groups whose absolute
//     weights add up to at most 256. A bias keeps each group's sum positive; groups
//     are brought to fractionBits and added.
const (
	plainTaps    = 12  // more taps than this need finer weights than 1/256
	groupSum     = 256 // 255 * 256 + 255 still fits a lane
	fractionBits = 7
	// signBias (in levels) keeps a general sum above zero: overshoot stays within -128..383.
	signBias = 128
)

// axis holds the filter of one direction, for the outputs lo..hi of a resize.
type axis struct {
	// from and to are the source pixels that any output reads.
	from, to int
	plain    bool
	shift    uint // a general group's sum >> shift has fractionBits
	outputs  []output
	groups   []group
	weights  []uint64 // two's complement: sums are right modulo 1<<64
}

// output is one output pixel: groups[from:to] of its axis.
type output struct {
	from, to int
	// offset starts the sum of the groups, in every lane.
	offset uint64
}

// group is a run of taps: source pixels first.. with weights[from:to].
type group struct {
	first, from, to int
	bias            uint64 // in every lane
}

// filters are Pillow's, by name: the kernel and its half-width in source pixels at scale 1
// (its Resample.c: bilinear_filter, bicubic_filter).
func kernel(name vision.Interpolation) (f func(float64) float64, support float64) {
	if name == vision.Bicubic {
		return func(x float64) float64 {
			const a = -0.5
			x = math.Abs(x)
			switch {
			case x < 1:
				return ((a+2)*x-(a+3))*x*x + 1
			case x < 2:
				return (((x-5)*x+8)*x - 4) * a
			}
			return 0
		}, 2
	}
	return func(x float64) float64 { return max(0, 1-math.Abs(x)) }, 1
}

// taps returns the normalised weights of output i of n, where the source's in0..in1 of size
// pixels becomes n pixels, and the first source pixel they are for. They go into buf.
func taps(buf []float64, f func(float64) float64, support, in0, in1 float64, size, n, i int) (weights []float64, first int) {
	scale := (in1 - in0) / float64(n)
	filterScale := max(scale, 1)
	support *= filterScale
	center := in0 + (float64(i)+0.5)*scale
	first = min(max(int(center-support+0.5), 0), size-1)
	last := max(min(int(center+support+0.5), size), first+1)
	weights = buf[:0]
	sum := 0.0
	for x := first; x < last; x++ {
		w := f((float64(x) - center + 0.5) / filterScale)
		weights = append(weights, w)
		sum += w
	}
	if sum == 0 {
		weights, sum = append(weights[:0], 1), 1
	}
	for k := range weights {
		weights[k] /= sum
	}
	return weights, first
}

// newAxis computes the weights of the outputs lo..hi of n.
func newAxis(name vision.Interpolation, in0, in1 float64, size, n, lo, hi int) axis {
	f, support := kernel(name)
	var float []float64
	most := 0
	for i := lo; i < hi; i++ {
		float, _ = taps(float, f, support, in0, in1, size, n, i)
		most = max(most, len(float))
	}
	a := axis{from: size, plain: name != vision.Bicubic && most <= plainTaps}
	bits := 8
	for t := 8; t < most; t *= 2 {
		bits++
	}
	if a.plain {
		bits = 8
	}
	a.shift = uint(bits - fractionBits)
	var ints []int
	for i := lo; i < hi; i++ {
		var first int
		float, first = taps(float, f, support, in0, in1, size, n, i)
		ints = quantise(ints, float, 1<<bits)
		for len(ints) > 1 && ints[0] == 0 {
			ints, first = ints[1:], first+1
		}
		for len(ints) > 1 && ints[len(ints)-1] == 0 {
			ints = ints[:len(ints)-1]
		}
		a.from = min(a.from, first)
		a.to = max(a.to, first+len(ints))
		a.add(first, ints)
	}
	return a
}

// quantise rounds weights to integers that add up to exactly sum, by largest remainder.
func quantise(ints []int, weights []float64, sum int) []int {
	ints = ints[:0]
	rest := sum
	for _, w := range weights {
		v := int(math.Floor(w * float64(sum)))
		ints = append(ints, v)
		rest -= v
	}
	order := make([]int, len(weights))
	for k := range order {
		order[k] = k
	}
	remainder := func(k int) float64 { return weights[k]*float64(sum) - float64(ints[k]) }
	slices.SortStableFunc(order, func(p, q int) int {
		switch rp, rq := remainder(p), remainder(q); {
		case rp > rq:
			return -1
		case rp < rq:
			return 1
		}
		return 0
	})
	for k := 0; k < rest; k++ {
		ints[order[k%len(order)]]++
	}
	return ints
}

// add appends an output whose taps start at source pixel first.
func (a *axis) add(first int, ints []int) {
	out := output{from: len(a.groups)}
	g := group{first: first, from: len(a.weights)}
	sum, negative := 0, 0
	var offset uint64
	flush := func(next int) {
		g.to = len(a.weights)
		if !a.plain {
			unit := uint64(1) << a.shift
			bias := (uint64(255*negative) + unit - 1) / unit
			offset += bias
			g.bias = (bias*unit + unit/2) * lanes
		}
		a.groups = append(a.groups, g)
		g = group{first: next, from: len(a.weights)}
		sum, negative = 0, 0
	}
	for k, w := range ints {
		for {
			// A weight above groupSum (a bicubic filter at an edge) is spread over groups.
			part := min(max(w, -groupSum), groupSum)
			if abs := max(part, -part); sum+abs > groupSum {
				flush(first + k)
			}
			sum += max(part, -part)
			negative += max(0, -part)
			a.weights = append(a.weights, uint64(part))
			if w -= part; w == 0 {
				break
			}
		}
	}
	flush(0)
	out.to = len(a.groups)
	out.offset = (signBias<<fractionBits + 1<<(fractionBits-1) - offset) * lanes
	a.outputs = append(a.outputs, out)
}

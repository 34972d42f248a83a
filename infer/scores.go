package infer

import (
	"encoding/binary"
	"errors"
	"math"
)

// errNotNumbers is what a model comes to that has computed nothing usable.
var errNotNumbers = errors.New("its output holds no numbers (all NaN); the model is damaged or not made for this input")

// entry is a candidate for the best labels.
type entry struct {
	index int
	value float32
}

// scorer turns an output tensor into the best labels and their probabilities. It
// keeps its buffers, so scoring allocates nothing.
type scorer struct {
	spec   TensorSpec
	logits bool
	count  int
	best   []entry // capacity: how many are wanted
	// real is what each of the 256 values of a quantised tensor stands for, by the
	// element's bits; exp[d] is e^(-d*scale): with logits, the weight of an
	// element that lies d quantisation steps under the largest.
	real [256]float32
	exp  [256]float64
}

func newScorer(spec TensorSpec, logits bool, top int) *scorer {
	s := &scorer{spec: spec, logits: logits, count: spec.Bytes() / spec.DType.Size()}
	s.best = make([]entry, 0, min(top, s.count))
	scale := float64(spec.Scale)
	if scale == 0 {
		scale = 1
	}
	for bits := range 256 {
		q := bits
		if spec.DType == Int8 {
			q = int(int8(bits))
		}
		s.real[bits] = float32(scale * float64(q-spec.ZeroPoint))
		s.exp[bits] = math.Exp(-scale * float64(bits))
	}
	return s
}

// score returns the best elements of output, best first, equal ones by
// lower index, values turned into probabilities. The slice is valid until the next call.
func (s *scorer) score(output []byte) ([]entry, error) {
	s.best = s.best[:0]
	if s.spec.DType == Float32 {
		return s.scoreFloats(output)
	}
	return s.scoreBytes(output), nil
}

func (s *scorer) scoreBytes(output []byte) []entry {
	var flip byte // brings the bits of int8 into the order of their values
	if s.spec.DType == Int8 {
		flip = 0x80
	}
	var histogram [256]int32
	// floor is the value an element must exceed to be among the best.
	floor := -1
	for i, bits := range output {
		ordered := bits ^ flip
		histogram[ordered]++
		if int(ordered) > floor {
			floor = s.insert(i, float32(ordered), floor)
		}
	}
	if !s.logits {
		for i := range s.best {
			s.best[i].value = probability(s.real[byte(s.best[i].value)^flip])
		}
		return s.best
	}
	highest := int(s.best[0].value)
	var sum float64
	for ordered, n := range histogram[:highest+1] {
		sum += float64(n) * s.exp[highest-ordered]
	}
	for i := range s.best {
		s.best[i].value = float32(s.exp[highest-int(s.best[i].value)] / sum)
	}
	return s.best
}

// insert puts an element among the best and returns the value to exceed next.
func (s *scorer) insert(index int, value float32, floor int) int {
	s.place(index, value)
	if len(s.best) == cap(s.best) {
		return int(s.best[len(s.best)-1].value)
	}
	return floor
}

// place puts an element behind those that are at least as good, dropping the last if
// there are more than are wanted.
func (s *scorer) place(index int, value float32) {
	lo, hi := 0, len(s.best)
	for lo < hi {
		if mid := (lo + hi) / 2; s.best[mid].value >= value {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == cap(s.best) {
		return
	}
	if len(s.best) < cap(s.best) {
		s.best = s.best[:len(s.best)+1]
	}
	copy(s.best[lo+1:], s.best[lo:len(s.best)-1])
	s.best[lo] = entry{index, value}
}

// scoreFloats orders NaN below every number.
func (s *scorer) scoreFloats(output []byte) ([]entry, error) {
	lowest := float32(math.Inf(-1))
	numbers := false
	for i := range s.count {
		v := floatAt(output, i)
		if v != v {
			v = lowest
		} else {
			numbers = true
		}
		if len(s.best) < cap(s.best) || v > s.best[len(s.best)-1].value {
			s.place(i, v)
		}
	}
	if !numbers {
		return nil, errNotNumbers
	}
	if !s.logits {
		for i := range s.best {
			s.best[i].value = probability(s.best[i].value)
		}
		return s.best, nil
	}
	highest := s.best[0].value
	var sum float64
	for i := range s.count {
		sum += weight(floatAt(output, i), highest)
	}
	for i := range s.best {
		s.best[i].value = float32(weight(s.best[i].value, highest) / sum)
	}
	return s.best, nil
}

// weight is e^(v - highest); infinite values share what there is.
func weight(v, highest float32) float64 {
	switch {
	case v != v:
		return 0
	case v == highest:
		return 1
	}
	return math.Exp(float64(v) - float64(highest))
}

func floatAt(data []byte, i int) float32 {
	return math.Float32frombits(binary.NativeEndian.Uint32(data[4*i:]))
}

// probability keeps rounding and foreign models within what a score may be.
func probability(v float32) float32 { return max(0, min(1, v)) }

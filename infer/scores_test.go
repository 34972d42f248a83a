package infer

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func floats(values ...float32) []byte {
	var data []byte
	for _, v := range values {
		data = binary.NativeEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

func TestScore(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		spec   TensorSpec
		logits bool
		top    int
		output []byte
		want   []entry
		err    error
	}{
		{
			name: "uint8 probabilities", spec: TensorSpec{Shape: []int{1, 5}, DType: Uint8, Scale: 1.0 / 256}, top: 3,
			output: []byte{0, 64, 128, 64, 0}, want: []entry{{2, 0.5}, {1, 0.25}, {3, 0.25}},
		},
		{
			name: "int8 probabilities", spec: TensorSpec{Shape: []int{1, 4}, DType: Int8, Scale: 1.0 / 256, ZeroPoint: -128}, top: 2,
			output: []byte{0x80, 0x7f, 0x00, 0xff}, want: []entry{{1, 255.0 / 256}, {2, 0.5}},
		},
		{
			name: "more wanted than there are", spec: TensorSpec{Shape: []int{2}, DType: Uint8, Scale: 1.0 / 256}, top: 1000,
			output: []byte{1, 255}, want: []entry{{1, 255.0 / 256}, {0, 1.0 / 256}},
		},
		{
			name: "all equal", spec: TensorSpec{Shape: []int{1, 4}, DType: Int8, Scale: 0.1}, logits: true, top: 2,
			output: []byte{7, 7, 7, 7}, want: []entry{{0, 0.25}, {1, 0.25}},
		},
		{
			name: "int8 logits", spec: TensorSpec{Shape: []int{1, 2}, DType: Int8, Scale: float32(math.Ln2), ZeroPoint: 5}, logits: true, top: 2,
			output: []byte{0xff, 0}, want: []entry{{1, 2.0 / 3}, {0, 1.0 / 3}},
		},
		{
			name: "float probabilities out of range", spec: TensorSpec{Shape: []int{1, 3}}, top: 3,
			output: floats(1.5, -0.5, 0.5), want: []entry{{0, 1}, {2, 0.5}, {1, 0}},
		},
		{
			name: "huge float logits", spec: TensorSpec{Shape: []int{1, 3}}, logits: true, top: 2,
			output: floats(1e30, 1e30, -1e30), want: []entry{{0, 0.5}, {1, 0.5}},
		},
		{
			name: "NaN and infinity among logits", spec: TensorSpec{Shape: []int{1, 4}}, logits: true, top: 3,
			output: floats(nan, 3, inf, -inf), want: []entry{{2, 1}, {1, 0}, {0, 0}},
		},
		{
			name: "NaN among probabilities", spec: TensorSpec{Shape: []int{1, 4}}, top: 4,
			output: floats(nan, 0, 0.75, nan), want: []entry{{2, 0.75}, {1, 0}, {0, 0}, {3, 0}},
		},
		{
			name: "nothing but NaN", spec: TensorSpec{Shape: []int{1, 2}}, logits: true, top: 1,
			output: floats(nan, nan), err: errNotNumbers,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScorer(c.spec, c.logits, c.top)
			for range 2 {
				got, err := s.score(c.output)
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				if !slices.EqualFunc(got, c.want, func(a, b entry) bool {
					return a.index == b.index && math.Abs(float64(a.value-b.value)) < 1e-6
				}) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

// TestScoreAgainstSort compares with sorting everything and softmax by its formula.
func TestScoreAgainstSort(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		spec := TensorSpec{Shape: []int{1, 2 + random.IntN(1500)}, DType: DType(round % 3), Scale: random.Float32() * 0.3, ZeroPoint: random.IntN(100)}
		if spec.DType == Float32 {
			spec.Scale = 0
		}
		n, top := spec.Shape[1], 1+random.IntN(20)
		output := make([]byte, spec.Bytes())
		values := make([]float64, n)
		for i := range values {
			bits := byte(random.IntN(256))
			if round%2 == 0 {
				bits %= 7 // many ties
			}
			switch spec.DType {
			case Float32:
				v := float32(bits) / 9
				binary.NativeEndian.PutUint32(output[4*i:], math.Float32bits(v))
				values[i] = float64(v)
				continue
			case Int8:
				values[i] = float64(int8(bits))
			case Uint8:
				values[i] = float64(bits)
			}
			output[i] = bits
			values[i] = float64(spec.Scale) * (values[i] - float64(spec.ZeroPoint))
		}
		order := make([]int, n)
		var sum float64
		for i := range order {
			order[i] = i
			sum += math.Exp(values[i])
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case values[a] > values[b]:
				return -1
			case values[a] < values[b]:
				return 1
			}
			return 0
		})
		got, err := newScorer(spec, true, top).score(output)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != min(top, n) {
			t.Fatalf("%d results of %d, %d wanted", len(got), n, top)
		}
		for i, e := range got {
			want := math.Exp(values[order[i]]) / sum
			if e.index != order[i] || math.Abs(float64(e.value)-want) > 1e-5 {
				t.Fatalf("%v of %d, place %d: %v, want {%d %g}", spec.DType, n, i, e, order[i], want)
			}
		}
	}
}

func BenchmarkScore(b *testing.B) {
	for _, d := range []DType{Float32, Int8, Uint8} {
		b.Run(d.String(), func(b *testing.B) {
			s := newScorer(TensorSpec{Shape: []int{1, 1000}, DType: d, Scale: 0.1}, true, 3)
			output := make([]byte, s.spec.Bytes())
			for i := range output {
				output[i] = byte(i * 2654435761 >> 13 & 0x3f)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.score(output); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package reference

import (
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/convert"
	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/seeded"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// The arithmetic is proved against PyTorch in package arch; here are the ways in
// which a model can be unfit.

// tiny is a whole model of a few hundred bytes in eight bits.
func tiny(t testing.TB) *tflite.Model {
	t.Helper()
	b := graph.NewBuilder("tiny", seeded.Network{Name: "tiny", Classes: 2})
	x := b.Conv(b.Input(6, 6), graph.Layer{Weights: "a", Norm: "na", Out: 4, Kernel: 3, Stride: 2, Activation: graph.ReLU})
	first, second := b.Split(b.MaxPool(x, 3, 2))
	x = b.Shuffle(b.Concat(first, b.Conv(second, graph.Layer{Weights: "b", Norm: "nb", Kernel: 3, Activation: graph.Swish})), 2)
	g, err := b.Finish(b.Classifier(b.GlobalAverage(b.Add(x, x, graph.ReLU6)), "fc"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := convert.Int8(g, quantize.FromBatchNorm(g, quantize.Range{Min: -2, Max: 2}), convert.Int8Options{FloatIO: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRefusesUnfitModels(t *testing.T) {
	at := func(m *tflite.Model, op tflite.Op) *tflite.Operator {
		return &m.Operators[slices.IndexFunc(m.Operators, func(o tflite.Operator) bool { return o.Op == op })]
	}
	for _, c := range []struct {
		name  string
		spoil func(m *tflite.Model)
		err   string
	}{
		{"operator", func(m *tflite.Model) { at(m, tflite.Add).Op = tflite.HardSwish }, "HARD_SWISH: not one that this package runs"},
		{"order", func(m *tflite.Model) { slices.Reverse(m.Operators) }, "out of order"},
		{"options", func(m *tflite.Model) { at(m, tflite.Conv2D).Options = nil }, "options are missing"},
		{"shape", func(m *tflite.Model) { m.Tensors[at(m, tflite.Conv2D).Outputs[0]].Shape[1]++ }, "CONV_2D: output [1 4 3 4] should be 3×3"},
		{"scale", func(m *tflite.Model) { m.Tensors[at(m, tflite.Add).Outputs[0]].Quant = tflite.Quantization{} }, "int8 with 0 scales"},
		{"inputs", func(m *tflite.Model) { m.Inputs = nil }, "0 inputs"},
		{"output", func(m *tflite.Model) { m.Operators = m.Operators[:3] }, "is never computed"},
		{"size", func(m *tflite.Model) { m.Tensors[m.Inputs[0]].Shape = []int{1, 1 << 20, 1 << 20, 3} }, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := tiny(t)
			c.spoil(m)
			if _, err := New(m); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
		})
	}
	r, err := New(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(make([]float32, 5)); err == nil || !strings.Contains(err.Error(), "input has 5 values, not 108") {
		t.Errorf("a short input gives %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Run(make([]float32, 108)); err == nil {
		t.Error("a closed model was run")
	}
}

// Running twice gives the same: memory that is used again is always filled.
func TestRunsAreIndependent(t *testing.T) {
	r, err := New(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	input := seeded.Picture(0, 32)[:108]
	first, err := r.Run(input)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(first[0])
	if _, err := r.Run(seeded.Picture(1, 32)[:108]); err != nil {
		t.Fatal(err)
	}
	again, err := r.Run(input)
	if err != nil || !slices.Equal(again[0], want) {
		t.Errorf("scores are %v, before %v (%v)", again, want, err)
	}
}

func TestDamagedModelsNeverPanic(t *testing.T) {
	whole, err := tiny(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		b := slices.Clone(whole)
		for range 1 + rng.IntN(3) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		tryOut(b)
	}
}

// tryOut runs a model of whatever size is no burden.
func tryOut(b []byte) {
	m, err := tflite.Unmarshal(b)
	if err != nil || slices.ContainsFunc(m.Tensors, func(t tflite.Tensor) bool { return t.Elements() > 1<<16 }) {
		return
	}
	r, err := New(m)
	if err != nil {
		return
	}
	_, _ = r.Run(make([]float32, m.Tensors[m.Inputs[0]].Elements()))
}

func FuzzRun(f *testing.F) {
	b, err := tiny(f).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { tryOut(b) })
}

// A model that TensorFlow's converter wrote sees what is on a picture.
func TestModelOfOthers(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "..", "shared", "data", "coral")
	file, err := os.ReadFile(filepath.Join(folder, "tf2_mobilenet_v2_1.0_224_ptq.tflite"))
	if err != nil {
		t.Skip("../shared/data/coral is not here")
	}
	photo, err := os.Open(filepath.Join(folder, "parrot.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer photo.Close()
	picture, err := jpeg.Decode(photo)
	if err != nil {
		t.Fatal(err)
	}
	m, err := tflite.Unmarshal(file)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := m.ReadMetadata(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	// The input's numbers are what its codes stand for: the codes are pixels.
	q := m.Tensors[m.Inputs[0]].Quant
	var input []float32
	size := picture.Bounds().Size()
	for y := range 224 {
		for x := range 224 {
			red, green, blue, _ := picture.At(x*size.X/224, y*size.Y/224).RGBA()
			for _, v := range []uint32{red, green, blue} {
				input = append(input, (float32(v>>8)-float32(q.ZeroPoint[0]))*q.Scale[0])
			}
		}
	}
	out, err := r.Run(input)
	if err != nil {
		t.Fatal(err)
	}
	top := slices.Index(out[0], slices.Max(out[0]))
	if label := meta.Labels[top]; !strings.Contains(label, "macaw") {
		t.Errorf("the parrot is a %s", label)
	}
}

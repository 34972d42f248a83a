package infertest

import (
	"embed"
	"encoding/binary"
	"math"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// element reads element i of a tensor.
func element(data []byte, i int, d infer.DType) float64 {
	switch d {
	case infer.Float32:
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(data[4*i:])))
	case infer.Int8:
		return float64(int8(data[i]))
	}
	return float64(data[i])
}

// tinySize is the side in pixels of the tiny classifiers' input, TinyLabels the number
// of their outputs.
const (
	tinySize   = 4
	TinyLabels = 5
)

// TinyClassifier is a classifier of 4 x 4 pixels and 5 labels in the given type
// (TypeFloat32, TypeInt8 or TypeUint8), with weights from a formula.
func TinyClassifier(kind int8) Tiny {
	m := Tiny{
		Inputs:      []Tensor{{Shape: []int{1, tinySize, tinySize, 3}, Type: kind}},
		Output:      Tensor{Shape: []int{1, TinyLabels}, Type: kind},
		WeightScale: 1,
	}
	switch kind {
	case TypeInt8:
		m.Inputs[0].Scale, m.Inputs[0].ZeroPoint = 1, -128
		m.Output.Scale, m.Output.ZeroPoint = 16, -3
	case TypeUint8:
		m.Inputs[0].Scale, m.Inputs[0].ZeroPoint = 0.5, 128
		m.Output.Scale, m.Output.ZeroPoint = 8, 120
	default:
		m.WeightScale = 0
	}
	for i := range TinyLabels * tinySize * tinySize * 3 {
		m.Weights = append(m.Weights, float32((i*7)%5-2)/1)
	}
	return m
}

// TinyCases are cases for each element type that need no file; their outputs are
// computed here, in float64.
func TinyCases() []Case {
	var cases []Case
	for _, kind := range []int8{TypeFloat32, TypeInt8, TypeUint8} {
		m := TinyClassifier(kind)
		in, out := m.Inputs[0].spec(), m.Output.spec()
		c := Case{
			Name: "tiny " + in.DType.String(), Model: vision.Model{Name: "tiny", Data: m.Build()},
			In: in, Out: out, Tolerance: 1,
		}
		for i := range tinySize * tinySize * 3 {
			c.Input = appendElement(c.Input, in.DType, float64((i*37)%200-100+int(m.Inputs[0].ZeroPoint))*0.5)
		}
		for label := range TinyLabels {
			var sum float64
			for i := range tinySize * tinySize * 3 {
				v := element(c.Input, i, in.DType)
				if in.Scale != 0 {
					v = float64(in.Scale) * (v - float64(in.ZeroPoint))
				}
				sum += v * float64(m.Weights[label*tinySize*tinySize*3+i])
			}
			if out.Scale != 0 {
				sum = sum/float64(out.Scale) + float64(out.ZeroPoint)
			}
			c.Want = appendElement(c.Want, out.DType, sum)
		}
		if in.DType == infer.Float32 {
			c.Tolerance = 1e-3
		}
		cases = append(cases, c)
	}
	return cases
}

//go:embed testdata/*.golden
var goldens embed.FS

// coralModels are the models of CoralCases, by file name.
var coralModels = []struct {
	file  string
	size  int
	scale float32
	zero  int
}{
	{"mobilenet_v1_0.25_128_quant", 128, 0.0078125, 128},
	{"mobilenet_v2_1.0_224_quant", 224, 0.0078125, 128},
	{"tf2_mobilenet_v2_1.0_224_ptq", 224, 0.007843137718737125, 127},
}

// CoralCases are real ImageNet classifiers from ../shared, with an input from a formula
// and outputs from TensorFlow Lite's reference kernels (the Python interpreter of
// ai-edge-litert 2.3.0 with BUILTIN_REF). Optimised kernels differ from those by up
// to 11 of 255 steps. Without ../shared the test is skipped.
func CoralCases(t testing.TB) []Case {
	t.Helper()
	var cases []Case
	for _, m := range coralModels {
		want, err := goldens.ReadFile("testdata/" + m.file + ".golden")
		if err != nil {
			t.Fatal(err)
		}
		c := Case{
			Name:  m.file,
			Model: vision.Model{Name: m.file, Path: Shared(t, "data", "coral", m.file+".tflite")},
			In:    infer.TensorSpec{Shape: []int{1, m.size, m.size, 3}, DType: infer.Uint8, Scale: m.scale, ZeroPoint: m.zero},
			Out:   infer.TensorSpec{Shape: []int{1, 1001}, DType: infer.Uint8, Scale: 1.0 / 256},
			Want:  want, Tolerance: 16,
		}
		for y := range m.size {
			for x := range m.size {
				for channel := range 3 {
					c.Input = append(c.Input, byte(x*7+y*3*(channel+1)))
				}
			}
		}
		cases = append(cases, c)
	}
	return cases
}

func (t Tensor) spec() infer.TensorSpec {
	return infer.TensorSpec{Shape: t.Shape, DType: t.DType(), Scale: t.Scale, ZeroPoint: int(t.ZeroPoint)}
}

// appendElement appends v in the tensor's type, rounded and kept in range.
func appendElement(data []byte, d infer.DType, v float64) []byte {
	switch d {
	case infer.Float32:
		return binary.NativeEndian.AppendUint32(data, math.Float32bits(float32(v)))
	case infer.Int8:
		return append(data, byte(int8(max(-128, min(127, math.Round(v))))))
	}
	return append(data, byte(max(0, min(255, math.Round(v)))))
}

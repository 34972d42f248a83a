package tflite

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everything is a model that uses all of the package's words.
func everything() *Model {
	floats := func(v ...float32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	m := &Model{
		Name: "main", Description: "test", Subgraphs: 1,
		Tensors: []Tensor{
			{Name: "image", Type: Int8, Shape: []int{1, 4, 4, 3}, Quant: PerTensor(0.5, -128)},
			{
				Name: "weights", Type: Int8, Shape: []int{2, 1, 1, 3}, Data: []byte{1, 2, 3, 4, 5, 6},
				Quant: Quantization{Scale: []float32{0.25, 0.5}, ZeroPoint: []int64{0, 0}},
			},
			{
				Name: "bias", Type: Int32, Shape: []int{2}, Data: make([]byte, 8),
				Quant: Quantization{Scale: []float32{0.125, 0.25}, ZeroPoint: []int64{0, 0}},
			},
			{Name: "constant", Type: Float32, Shape: []int{3}, Data: floats(1, -2, 3.5)},
			{Name: "scores", Type: Int8, Shape: []int{1, 2}, Quant: PerTensor(1, 3)},
		},
		Inputs: []int{0}, Outputs: []int{4},
		Signatures: []Signature{{Key: "serve", Inputs: []Binding{{"image", 0}}, Outputs: []Binding{{"scores", 4}}}},
		Metadata:   []NamedBuffer{{"note", []byte("hello")}},
	}
	for _, o := range []struct {
		op      Op
		options any
	}{
		{Conv2D, ConvOptions{Padding: Valid, StrideW: 1, StrideH: 2, DilationW: 1, DilationH: 3, Activation: FusedReLU}},
		{DepthwiseConv2D, ConvOptions{StrideW: 2, StrideH: 2, DilationW: 1, DilationH: 1, DepthMultiplier: 1, Activation: FusedReLU6}},
		{MaxPool2D, PoolOptions{Padding: Valid, StrideW: 2, StrideH: 1, Width: 3, Height: 4, Activation: FusedReLU}},
		{AveragePool2D, PoolOptions{StrideW: 2, StrideH: 1, Width: 3, Height: 4}},
		{Add, ActivationOptions{FusedReLU}},
		{Mul, ActivationOptions{}},
		{FullyConnected, ActivationOptions{FusedReLU6}},
		{Concatenation, ConcatOptions{Axis: 3}},
		{Mean, ReduceOptions{KeepDims: true}},
		{Reshape, ReshapeOptions{Shape: []int{1, -1}}},
		{Softmax, SoftmaxOptions{Beta: 1}},
		{Logistic, nil}, {Pad, nil}, {Slice, nil}, {Transpose, nil}, {Quantize, nil}, {Dequantize, nil}, {Op(126), nil}, {Op(200), nil},
	} {
		m.Operators = append(m.Operators, Operator{Op: o.op, Version: 2, Inputs: []int{0, 1, -1}, Outputs: []int{4}, Options: o.options})
	}
	m.Operators = append(m.Operators, Operator{Op: Custom, Version: 1, CustomCode: "Mine", Inputs: []int{0}, Outputs: []int{4}})
	return m
}

func TestReadsWhatItWrites(t *testing.T) {
	want := everything()
	b, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwrote\n%+v", got, want)
	}
	again, err := got.Marshal()
	if err != nil || !slices.Equal(again, b) {
		t.Errorf("a second writing gives other bytes (%v)", err)
	}
}

func TestFloatsAreWrittenAsData(t *testing.T) {
	m := everything()
	want, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m.Tensors[3].Data, m.Tensors[3].Floats = nil, []float32{1, -2, 3.5}
	got, err := m.Marshal()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("floats give other bytes than data (%v)", err)
	}
}

func TestMistakesOfWritersAreErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(m *Model)
		err   string
	}{
		{"input", func(m *Model) { m.Inputs = []int{9} }, "input refers to tensor 9 of 5"},
		{"output", func(m *Model) { m.Outputs = []int{-1} }, "output refers to tensor -1"},
		{"operator", func(m *Model) { m.Operators[0].Inputs = []int{5} }, "operator 0 (CONV_2D) refers to tensor 5"},
		{"signature", func(m *Model) { m.Signatures[0].Outputs[0].Tensor = 7 }, "signature serve refers to tensor 7"},
		{"data", func(m *Model) { m.Tensors[1].Shape = []int{7} }, "tensor weights: 6 bytes of data for [7] of int8"},
		{"scales", func(m *Model) { m.Tensors[0].Quant.ZeroPoint = nil }, "tensor image: 1 scales and 0 zero points"},
		{"options", func(m *Model) { m.Operators[0].Options = SoftmaxOptions{} }, "CONV_2D with options tflite.SoftmaxOptions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := everything()
			c.spoil(m)
			if _, err := m.Marshal(); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	want := Metadata{
		Name: "resnet18", Description: "A test.", Version: "1", Author: "me", License: "MIT",
		Mean: []float32{123.675, 116.28, 103.53}, Std: []float32{58.395, 57.12, 57.375}, Labels: []string{"clear", "très sombre"},
	}
	b, err := everything().MarshalWith(want)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.ReadMetadata(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v (%v), wrote %+v", got, err, want)
	}
	plain, err := everything().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err = Unmarshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReadMetadata(plain); !errors.Is(err, ErrNoMetadata) {
		t.Errorf("a model without metadata gives %v", err)
	}
	if _, err := everything().MarshalWith(Metadata{Labels: []string{"a\nb"}}); err == nil {
		t.Error("a label of two lines was written")
	}
}

// shared finds the fetched models beside the repository, or skips.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "coral", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("../shared/data/coral/%s is not here", name)
	}
	return path
}

func TestReadsModelsOfOthers(t *testing.T) {
	for _, c := range []struct {
		file      string
		operators int
		labels    int
		input     TensorType
	}{
		{"mobilenet_v1_0.25_128_quant.tflite", 31, 1001, Uint8},
		{"mobilenet_v2_1.0_224_quant.tflite", 66, 1001, Uint8},
		{"tf2_mobilenet_v2_1.0_224_ptq.tflite", 68, 1001, Uint8},
	} {
		t.Run(c.file, func(t *testing.T) {
			path := shared(t, c.file)
			m, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			meta, err := m.ReadMetadata(b)
			if err != nil {
				t.Fatal(err)
			}
			in := m.Tensors[m.Inputs[0]]
			if len(m.Operators) != c.operators || len(meta.Labels) != c.labels || in.Type != c.input || len(meta.Mean) == 0 {
				t.Errorf("%d operators, %d labels, input %v, mean %v", len(m.Operators), len(meta.Labels), in.Type, meta.Mean)
			}
			if len(in.Quant.Scale) != 1 || in.Quant.Scale[0] <= 0 {
				t.Errorf("input quantisation is %+v", in.Quant)
			}
		})
	}
}

func TestDamagedFilesNeverPanic(t *testing.T) {
	whole, err := everything().MarshalWith(Metadata{Mean: []float32{1}, Std: []float32{2}, Labels: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := slices.Clone(whole)
		if rng.IntN(4) == 0 {
			b = b[:rng.IntN(len(b))]
		}
		for range rng.IntN(4) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
		}
		read(b)
	}
	for n := range whole {
		if _, err := Unmarshal(whole[:n]); err == nil && n < len(whole)/2 {
			t.Fatalf("%d of %d bytes were read as a model", n, len(whole))
		}
	}
}

func read(b []byte) {
	m, err := Unmarshal(b)
	if err != nil {
		return
	}
	_, _ = m.ReadMetadata(b)
}

func FuzzUnmarshal(f *testing.F) {
	b, err := everything().MarshalWith(Metadata{Mean: []float32{1}, Std: []float32{2}, Labels: []string{"a", "b"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { read(b) })
}

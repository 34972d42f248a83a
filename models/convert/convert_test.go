package convert_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/convert"
	"github.com/glimpsed/glimpsed/models/graph"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/seeded"
	"github.com/glimpsed/glimpsed/models/tflite"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
)

// small is a network with every kind of operator, of 16×16 pictures.
func small(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("small", seeded.Network{Name: "small", Classes: 5})
	x := b.Conv(b.Input(16, 16), graph.Layer{Weights: "stem", Norm: "n1", Out: 8, Kernel: 3, Stride: 2, Activation: graph.ReLU})
	x = b.MaxPool(x, 3, 2)
	first, second := b.Split(x)
	second = b.Conv(second, graph.Layer{Weights: "dw", Norm: "n2", Kernel: 3, Activation: graph.ReLU6})
	x = b.Shuffle(b.Concat(first, second), 2)
	y := b.Conv(x, graph.Layer{Weights: "wide", Norm: "n3", Out: 8, Activation: graph.Swish})
	s := b.Conv(b.GlobalAverage(y), graph.Layer{Weights: "gate", Out: 8})
	x = b.Add(b.Mul(y, b.Sigmoid(s)), x, graph.ReLU)
	g, err := b.Finish(b.Classifier(b.GlobalAverage(x), "fc"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ranges(g *graph.Graph) quantize.ActivationRanges {
	return quantize.FromBatchNorm(g, quantize.Range{Min: -2, Max: 2})
}

func int8Model(t *testing.T, g *graph.Graph, o convert.Int8Options) *tflite.Model {
	t.Helper()
	m, err := convert.Int8(g, ranges(g), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What TensorFlow Lite's quantization specification asks of each operator.
func TestInt8FollowsTheSpecification(t *testing.T) {
	g := small(t)
	m := int8Model(t, g, convert.Int8Options{})
	for _, op := range m.Operators {
		in, out := m.Tensors[op.Inputs[0]], m.Tensors[op.Outputs[0]]
		if out.Type != tflite.Int8 || len(out.Quant.Scale) != 1 {
			t.Errorf("%v: output is %v with %d scales", op.Op, out.Type, len(out.Quant.Scale))
		}
		switch op.Op {
		case tflite.Pad, tflite.MaxPool2D, tflite.Slice, tflite.Reshape, tflite.Transpose:
			if in.Quant.Scale[0] != out.Quant.Scale[0] || in.Quant.ZeroPoint[0] != out.Quant.ZeroPoint[0] {
				t.Errorf("%v: %s and %s differ in quantisation", op.Op, in.Name, out.Name)
			}
		case tflite.Concatenation:
			second := m.Tensors[op.Inputs[1]]
			if in.Quant.Scale[0] != out.Quant.Scale[0] || second.Quant.Scale[0] != out.Quant.Scale[0] {
				t.Errorf("%v: inputs and output differ in scale", op.Op)
			}
		case tflite.Logistic:
			if out.Quant.Scale[0] != 1.0/256 || out.Quant.ZeroPoint[0] != -128 {
				t.Errorf("%v: output is %+v", op.Op, out.Quant)
			}
		case tflite.Conv2D, tflite.DepthwiseConv2D:
			weights, bias := m.Tensors[op.Inputs[1]], m.Tensors[op.Inputs[2]]
			axis := 0
			if op.Op == tflite.DepthwiseConv2D {
				axis = 3
			}
			if weights.Quant.Axis != axis || len(weights.Quant.Scale) != weights.Shape[axis] || bias.Type != tflite.Int32 {
				t.Errorf("%s: axis %d, %d scales, bias %v", out.Name, weights.Quant.Axis, len(weights.Quant.Scale), bias.Type)
			}
			if slices.Contains(weights.Data, 0x80) {
				t.Errorf("%s: a weight is −128", out.Name)
			}
			for c, s := range weights.Quant.Scale {
				if weights.Quant.ZeroPoint[c] != 0 || bias.Quant.Scale[c] != s*in.Quant.Scale[0] {
					t.Errorf("%s: channel %d: zero point %d, bias scale %v of %v·%v",
						out.Name, c, weights.Quant.ZeroPoint[c], bias.Quant.Scale[c], s, in.Quant.Scale[0])
				}
			}
			if o := op.Options.(tflite.ConvOptions); o.Activation != tflite.NoActivation && out.Quant.ZeroPoint[0] != -128 {
				t.Errorf("%s: zero point %d behind a ReLU", out.Name, out.Quant.ZeroPoint[0])
			}
		}
	}
	if in := m.Tensors[m.Inputs[0]]; in.Type != tflite.Int8 || in.Quant.Scale[0] != float32(4.0/255) {
		t.Errorf("input is %v, %+v", in.Type, in.Quant)
	}
	s := m.Signatures[0]
	if s.Key != convert.SignatureKey || s.Inputs[0].Tensor != m.Inputs[0] || s.Outputs[0].Tensor != m.Outputs[0] {
		t.Errorf("signature is %+v", s)
	}
}

func TestFloatIO(t *testing.T) {
	m := int8Model(t, small(t), convert.Int8Options{FloatIO: true})
	in, out := m.Tensors[m.Inputs[0]], m.Tensors[m.Outputs[0]]
	if in.Type != tflite.Float32 || out.Type != tflite.Float32 || len(in.Quant.Scale)+len(out.Quant.Scale) != 0 {
		t.Errorf("input is %v, output %v", in.Type, out.Type)
	}
	if first, last := m.Operators[0].Op, m.Operators[len(m.Operators)-1].Op; first != tflite.Quantize || last != tflite.Dequantize {
		t.Errorf("operators begin with %v and end with %v", first, last)
	}
}

func logits(t *testing.T, m *tflite.Model) []float32 {
	t.Helper()
	r, err := reference.New(m)
	if err != nil {
		t.Fatal(err)
	}
	values, err := r.Run(seeded.Picture(0, 32)[:16*16*3])
	if err != nil {
		t.Fatal(err)
	}
	return values[0]
}

func TestInt8ComputesTheSame(t *testing.T) {
	g := small(t)
	float, err := convert.Float(g)
	if err != nil {
		t.Fatal(err)
	}
	want := logits(t, float)
	for _, o := range []convert.Int8Options{{}, {FloatIO: true}, {NoBiasCorrection: true}} {
		for i, v := range logits(t, int8Model(t, g, o)) {
			if math.Abs(float64(v-want[i])) > 0.3 {
				t.Errorf("%+v: logit %d is %v, float32 %v", o, i, v, want[i])
			}
		}
	}
	probabilities, err := convert.Float(g.WithSoftmax())
	if err != nil {
		t.Fatal(err)
	}
	var sum float32
	for _, v := range logits(t, probabilities) {
		sum += v
	}
	if math.Abs(float64(sum)-1) > 1e-6 {
		t.Errorf("probabilities add up to %v", sum)
	}
}

// A channel whose weights are all zero must still keep its bias, and its scale
// within what XNNPACK takes.
func TestDeadChannel(t *testing.T) {
	g := small(t)
	stem := g.Nodes[1]
	each := len(stem.Weights) / len(stem.Bias)
	clear(stem.Weights[:each])
	stem.Bias[0] = 1.5
	m := int8Model(t, g, convert.Int8Options{})
	for _, op := range m.Operators {
		if m.Tensors[op.Outputs[0]].Name != "stem" {
			continue
		}
		in, weights, bias, out := m.Tensors[op.Inputs[0]], m.Tensors[op.Inputs[1]], m.Tensors[op.Inputs[2]], m.Tensors[op.Outputs[0]]
		factor := float64(in.Quant.Scale[0]) * float64(weights.Quant.Scale[0]) / float64(out.Quant.Scale[0])
		if factor < math.Pow(2, -32) {
			t.Errorf("scale factor is %v", factor)
		}
		code := int32(binary.LittleEndian.Uint32(bias.Data))
		if got := float64(code) * float64(bias.Quant.Scale[0]); math.Abs(got-1.5) > 1e-3 {
			t.Errorf("bias is %v", got)
		}
		return
	}
	t.Fatal("stem is missing")
}

func TestRangesMustFit(t *testing.T) {
	g := small(t)
	for _, c := range []struct {
		name  string
		spoil func(r *quantize.ActivationRanges)
		err   string
	}{
		{"missing", func(r *quantize.ActivationRanges) { delete(r.Tensors, "stem") }, "lack tensor stem"},
		{"reversed", func(r *quantize.ActivationRanges) { r.Tensors["stem"] = quantize.Range{Min: 1, Max: 0} }, "tensor stem is [1, 0]"},
		{"infinite", func(r *quantize.ActivationRanges) { r.Tensors["stem"] = quantize.Range{Max: float32(math.Inf(1))} }, "stem"},
		{"other network", func(r *quantize.ActivationRanges) { r.Architecture = "large" }, "large's, not small's"},
		{"means", func(r *quantize.ActivationRanges) { r.Means["image"] = []float32{1} }, "3 channels and 1 means"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ranges(g)
			c.spoil(&r)
			if _, err := convert.Int8(g, r, convert.Int8Options{}); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
		})
	}
}

// Neighbouring weights that would overflow 16 bits in VPMADDUBSW are held back,
// unless the caller knows better.
func TestNeighboursDoNotSaturate(t *testing.T) {
	g := small(t)
	for _, full := range []bool{false, true} {
		m := int8Model(t, g, convert.Int8Options{FullPairs: full})
		most := 0
		for _, op := range m.Operators {
			if op.Op != tflite.Conv2D {
				continue
			}
			weights := m.Tensors[op.Inputs[1]]
			in := weights.Shape[3]
			for from := 0; from < len(weights.Data); from += in {
				for i := from; i+1 < from+in; i += 2 {
					sum := int(int8(weights.Data[i])) + int(int8(weights.Data[i+1]))
					most = max(most, sum, -sum)
				}
			}
		}
		if (most > 128) != full {
			t.Errorf("with FullPairs %v neighbours add up to %d", full, most)
		}
	}
}

// With float output the softmax is computed in float: eight bits would leave
// steps of 1/256.
func TestSoftmaxBehindFloatOutput(t *testing.T) {
	g := small(t).WithSoftmax()
	m := int8Model(t, g, convert.Int8Options{FloatIO: true})
	last := m.Operators[len(m.Operators)-1]
	if last.Op != tflite.Softmax || m.Tensors[last.Inputs[0]].Type != tflite.Float32 {
		t.Errorf("the last operator is %v of %v", last.Op, m.Tensors[last.Inputs[0]].Type)
	}
	m = int8Model(t, g, convert.Int8Options{})
	if out := m.Tensors[m.Outputs[0]]; out.Type != tflite.Int8 || out.Quant.Scale[0] != 1.0/256 {
		t.Errorf("output is %v, %+v", out.Type, out.Quant)
	}
}

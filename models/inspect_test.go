package models

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/tflite"
)

func TestInspect(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "own.pth"), stateDict(t, shuffleNet(4)))
	for _, c := range []struct {
		name         string
		float        bool
		quantisation string
	}{
		{"int8", false, "weights int8 per channel; activations int8"},
		{"float", true, "weights float32; activations float32"},
	} {
		data, report, err := Make(t.Context(), Options{Architecture: "shufflenet_v2_x1_0", Weights: path, Labels: fourLabels, Float: c.float})
		if err != nil {
			t.Fatal(err)
		}
		i, err := Inspect(write(t, filepath.Join(t.TempDir(), "own.tflite"), data), nil)
		if err != nil {
			t.Fatal(err)
		}
		// The network by two ways: as the architecture says and as the file says.
		if i.MACs < report.MACs*98/100 || i.MACs > report.MACs*102/100 {
			t.Errorf("%s: %d MACs, the builder counts %d", c.name, i.MACs, report.MACs)
		}
		if i.Parameters < 1_200_000 || i.Parameters > 1_300_000 {
			t.Errorf("%s: %d parameters", c.name, i.Parameters)
		}
		if i.Quantisation != c.quantisation || i.SHA256 != report.SHA256 || i.Bytes != len(data) || len(i.Labels) != 4 {
			t.Errorf("%s: %s, %s", c.name, i.Quantisation, i.SHA256)
		}
		if i.Delegated != len(i.Layers) {
			for _, l := range i.Layers {
				if l.Undelegated != "" {
					t.Errorf("%s: %s of %s: %s", c.name, l.Op, l.Type, l.Undelegated)
				}
			}
		}
	}
}

// MobileNet V2's published numbers: 3.5 million parameters, 300 million MACs.
func TestInspectModelOfOthers(t *testing.T) {
	i, err := Inspect(shared(t, "data/coral/mobilenet_v2_1.0_224_quant.tflite"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if i.Parameters < 3_400_000 || i.Parameters > 3_600_000 || i.MACs < 290e6 || i.MACs > 310e6 {
		t.Errorf("%d parameters, %d MACs", i.Parameters, i.MACs)
	}
	if i.Quantisation != "weights uint8 per tensor; activations uint8" || i.Input.Type != "uint8" || i.Input.Scale == 0 {
		t.Errorf("%s, %+v", i.Quantisation, i.Input)
	}
}

func TestUndelegated(t *testing.T) {
	for _, c := range []struct {
		op   tflite.Op
		out  tflite.TensorType
		want string
	}{
		{tflite.Softmax, tflite.Float32, ""},
		{tflite.Softmax, tflite.Int8, "floating point only"},
		{tflite.Mul, tflite.Uint8, ""},
		{tflite.Mul, tflite.Int16, "doesn't compute in int16"},
		{tflite.Squeeze, tflite.Float32, "no such operator"},
	} {
		p, err := probeModel(tiny{last: []tflite.Op{tflite.Reshape}}.model(t))
		if err != nil {
			t.Fatal(err)
		}
		op := &p.model.Operators[1]
		op.Op, p.model.Tensors[op.Outputs[0]].Type = c.op, c.out
		if got := undelegated(p.model, *op); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v of %v: %q, want %q", c.op, c.out, got, c.want)
		}
	}
}

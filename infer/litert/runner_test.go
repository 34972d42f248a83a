//go:build cgo && linux

package litert_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
)

// The outputs come in the order of the file's subgraph: neither in that of the tensors, nor in
// that of a signature, nor in the alphabetical one of a signature's names.
func TestRunnerOrderOfOutputs(t *testing.T) {
	opts := options(t)
	outputs := []int{4, 1, 12, 2}
	signature := func(names ...string) (s []infertest.NamedTensor) {
		for i, tensor := range []int{12, 2, 4, 1} {
			s = append(s, infertest.NamedTensor{Name: names[i], Tensor: tensor})
		}
		return s
	}
	for _, c := range []struct {
		name      string
		signature []infertest.NamedTensor
	}{
		{"no signature", nil},
		{"signature", signature("c", "a", "d", "b")},
		{"signature by other tensors' names", signature("tensor1", "tensor4", "tensor12", "tensor2")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := litert.OpenRunner(infertest.Multiples{Width: 3, Layers: 12, Outputs: outputs, Signature: c.signature}.Build(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for _, input := range [][]float32{{1, 10, -2}, {0.5, 0, 7}} {
				got, err := r.Run(input)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(outputs) {
					t.Fatalf("%d outputs, want %d", len(got), len(outputs))
				}
				for i, tensor := range outputs {
					var want []float32
					for _, v := range input {
						want = append(want, float32(tensor+1)*v)
					}
					if !slices.Equal(got[i], want) {
						t.Errorf("output %d is %v, want %v (tensor %d)", i, got[i], want, tensor)
					}
				}
			}
		})
	}
}

func TestRunnerErrors(t *testing.T) {
	opts := options(t)
	good := infertest.Multiples{Width: 2, Layers: 1, Outputs: []int{1}}.Build()
	picture := infertest.Tensor{Shape: []int{1, 4, 4, 3}, Type: infertest.TypeFloat32}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "opening model for calibrating: it is empty, so it is no TensorFlow Lite model"},
		{"cut short", good[:len(good)/2], "opening model for calibrating: "},
		{"two inputs", infertest.Tiny{Inputs: []infertest.Tensor{picture, picture}, Output: picture}.Build(), "it has 2 inputs and 1 outputs, want one input and some outputs"},
		{"int8", infertest.TinyClassifier(infertest.TypeInt8).Build(), `its tensor "tensor0" is int8, want float32`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := litert.OpenRunner(c.data, opts)
			if err == nil {
				_ = r.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q", err, c.want)
			}
		})
	}
	r, err := litert.OpenRunner(good, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "input of 3 values, want 2") {
		t.Errorf("a long input gives %v", err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Run(make([]float32, 2)); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("a closed runner gives %v", err)
	}
}

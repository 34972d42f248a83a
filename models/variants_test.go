package models

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/imagenet"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// What is installed is taken as it is; what is missing is made up, and says so.
func TestVariants(t *testing.T) {
	store := NewStore(filepath.Join(t.TempDir(), "models"))
	const name = "shufflenet_v2_x1_0"
	entry, _ := Lookup(name)
	installed, err := store.Put(manifestOf(entry), thousandClasses(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n, err := Variants(t.Context(), name, store, dir)
	if err != nil {
		t.Fatal(err)
	}
	if n.Name != name || n.Top1 != 69.362 || n.Parameters < 2_200_000 || n.Parameters > 2_300_000 || n.MACs < 140e6 || n.MACs > 150e6 {
		t.Errorf("%+v", n)
	}
	if v := n.Int8; v == nil || v.Origin != Official || v.Path != installed.Path || v.Bytes != installed.Size || len(v.Labels) != 1000 {
		t.Errorf("INT8: %+v", v)
	}
	v := n.Float
	if v == nil || v.Origin != Seeded || len(v.Labels) != 1000 || v.Preprocessing.Resize != 256 || !v.Logits || v.Name != name {
		t.Fatalf("FP32: %+v", v)
	}
	if info, err := os.Stat(v.Path); err != nil || info.Size() != v.Bytes || filepath.Dir(v.Path) != dir {
		t.Errorf("%s of %d bytes: %v", v.Path, v.Bytes, err)
	}

	// A file of one's own is all there is.
	if n, err = Variants(t.Context(), installed.Path, store, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if n.Float != nil || n.Int8 == nil || n.Int8.Origin != Own || n.Name != name || n.Top1 != 0 {
		t.Errorf("%+v", n)
	}
}

// thousandClasses is a small model with as many outputs as ImageNet has classes.
func thousandClasses(t *testing.T) []byte {
	t.Helper()
	m := &tflite.Model{
		Tensors: []tflite.Tensor{
			{Name: "image", Type: tflite.Int8, Shape: []int{1, 4, 4, 3}, Quant: tflite.PerTensor(0.5, -1)},
			{Name: "weights", Type: tflite.Int8, Shape: []int{1000, 48}, Data: make([]byte, 48000), Quant: tflite.PerTensor(0.1, 0)},
			{Name: "scores", Type: tflite.Int8, Shape: []int{1, 1000}, Quant: tflite.PerTensor(0.25, 3)},
		},
		Operators: []tflite.Operator{{Op: tflite.FullyConnected, Inputs: []int{0, 1, -1}, Outputs: []int{2}}},
		Inputs:    []int{0}, Outputs: []int{2},
	}
	data, err := m.MarshalWith(tflite.Metadata{Labels: imagenet.Labels()})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVariantsRefuses(t *testing.T) {
	store := NewStore(filepath.Join(t.TempDir(), "models"))
	for ref, want := range map[string]string{"resnet17": "did you mean resnet18?", "none.tflite": "there is no such file"} {
		if _, err := Variants(t.Context(), ref, store, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	if _, err := Embedded(); errors.Is(err, ErrNoEmbedded) {
		return
	}
	n, err := Variants(t.Context(), CameraHealth, store, t.TempDir())
	if err != nil || n.Int8 == nil || n.Int8.Data != nil || n.Int8.Bytes == 0 {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestNetworks(t *testing.T) {
	got := Networks()
	want := []string{"resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_lite0"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

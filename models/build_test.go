package models

import (
	"context"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/seeded"
	"github.com/glimpsed/glimpsed/models/tflite"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
)

// pictures yields the seeded pictures from..to−1.
func pictures(from, to int) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		for i := from; i < to; i++ {
			if !yield(seeded.Picture(i, 224), nil) {
				return
			}
		}
	}
}

// scores runs a built model on a seeded picture.
func scores(t *testing.T, b []byte, picture int) []float32 {
	t.Helper()
	r, err := reference.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, err := r.Run(seeded.Picture(picture, 224))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out[0])
}

func TestBuild(t *testing.T) {
	weights := filepath.Join(t.TempDir(), "shufflenet.pth")
	if err := os.WriteFile(weights, stateDict(t, shuffleNet(4)), 0o600); err != nil {
		t.Fatal(err)
	}
	labels := []string{"cat", "dog", "bird", "fish"}
	options := Options{
		Architecture: "shufflenet_v2_x1_0", Weights: weights, Labels: labels,
		Pictures: pictures(1, 2), Runner: reference.Open,
	}
	path := filepath.Join(t.TempDir(), "model.tflite")
	report, err := Build(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if report.Classes != 4 || report.Bytes != len(b) || report.Ranges.Pictures != 1 || report.MACs < 100e6 {
		t.Errorf("report is %+v", report)
	}
	m, err := tflite.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := m.ReadMetadata(b)
	if err != nil || !slices.Equal(meta.Labels, labels) || meta.Mean[0] != 123.675 || meta.Name != "shufflenet_v2_x1_0" {
		t.Errorf("metadata is %+v (%v)", meta, err)
	}
	in, out := m.Tensors[m.Inputs[0]], m.Tensors[m.Outputs[0]]
	if in.Type != tflite.Int8 || !slices.Equal(in.Shape, []int{1, 224, 224, 3}) || !slices.Equal(out.Shape, []int{1, 4}) {
		t.Errorf("input is %v %v, output %v", in.Type, in.Shape, out.Shape)
	}

	// Shipped ranges make the same file but for what the biases correct.
	options.Pictures, options.Ranges = nil, report.Ranges
	again, _, err := Make(t.Context(), options)
	if err != nil || !slices.Equal(again, b) {
		t.Errorf("ranges of a calibration make another file (%v)", err)
	}

	float := options
	float.Float = true
	large, _, err := Make(t.Context(), float)
	if err != nil {
		t.Fatal(err)
	}
	want, got := scores(t, large, 0), scores(t, b, 0)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 0.1*float64(slices.Max(want)-slices.Min(want)) {
			t.Errorf("int8 scores are %v, float32 %v", got, want)
			break
		}
	}

	options.Ranges.WeightsSHA256 = "0123456789"
	if _, _, err := Make(t.Context(), options); err == nil || !strings.Contains(err.Error(), "belong to weights 01234567, not to "+weights) {
		t.Errorf("ranges of other weights give %v", err)
	}
}

func TestBuildFails(t *testing.T) {
	weights := filepath.Join(t.TempDir(), "weights.pth")
	if err := os.WriteFile(weights, stateDict(t, shuffleNet(4)), 0o600); err != nil {
		t.Fatal(err)
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("camera is gone")
	for _, c := range []struct {
		name string
		ctx  context.Context
		o    Options
		err  string
	}{
		{"architecture", t.Context(), Options{Architecture: "resnet19", Weights: weights}, `"resnet19" is unknown, have resnet18`},
		{"no file", t.Context(), Options{Architecture: "resnet18", Weights: "absent.pth"}, "open absent.pth"},
		{"none", t.Context(), Options{Architecture: "resnet18"}, "no weights given"},
		{"another network", t.Context(), Options{Architecture: "resnet18", Weights: weights}, weights + ": resnet18: weights"},
		{"labels", t.Context(), Options{Labels: []string{"one"}}, "1 labels for 4 classes"},
		{"no runtime", t.Context(), Options{Pictures: pictures(0, 1)}, "needs a runtime"},
		{"pictures", t.Context(), Options{Runner: reference.Open, Pictures: func(yield func([]float32, error) bool) { yield(nil, broken) }},
			"calibrating: camera is gone"},
		{"no pictures", t.Context(), Options{Runner: reference.Open, Pictures: pictures(0, 0)}, "no pictures"},
		{"stopped", stopped, Options{}, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Architecture == "" {
				c.o.Architecture, c.o.Weights = "shufflenet_v2_x1_0", weights
			}
			path := filepath.Join(t.TempDir(), "model.tflite")
			_, err := Build(c.ctx, path, c.o)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestSeededWeightsBuildEveryArchitecture(t *testing.T) {
	for _, name := range arch.Names() {
		_, report, err := Make(t.Context(), Options{Architecture: name, SeededClasses: 10})
		if err != nil || report.Classes != 10 || report.Ranges.Method != quantize.FromBatchNormMethod {
			t.Errorf("%s: %+v (%v)", name, report, err)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"image/color"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/models"
)

func TestComparisonOutput(t *testing.T) {
	timings := func(p50, rss float64) []daemon.ModelTiming {
		return []daemon.ModelTiming{
			{Runtime: "litert", Threads: 1, Runs: 50, P50: p50, P95: 1.5 * p50, RSS: rss},
			{Runtime: "litert", Threads: 4, Runs: 50, P50: p50 / 3, P95: p50 / 2, RSS: rss + 1},
		}
	}
	c := modelComparison{CPU: "Raspberry Pi 4 Model B Rev 1.4", Cores: 4, Runtime: "litert", Version: "v1.0.0", Models: []modelFigure{
		{
			Name: "resnet18", PublishedTop1: 69.758, Parameters: 11_684_712, MACs: 1_814_073_344,
			Float: &variantFigure{models.Official, 46_753_552, timings(210.4, 101), &accuracy{500, 0.692, 0.871}},
			Int8:  &variantFigure{models.Official, 11_793_536, timings(95.5, 44), &accuracy{500, 0.69, 0.87}},
		},
		{
			Name: "mobilenet_v2", PublishedTop1: 71.878, Parameters: 3_487_816, MACs: 300_774_272,
			Float: &variantFigure{models.Seeded, 13_979_884, timings(60, 50), nil},
			Int8:  &variantFigure{models.Seeded, 3_812_352, timings(31, 30), nil},
		},
		{Name: "parts", Parameters: 960, Int8: &variantFigure{models.Own, 2048, timings(0.1, 25), nil}},
	}}
	for format, file := range map[string]string{"text": "bench_models.txt", "markdown": "bench_models.md", "json": "bench_models.json"} {
		var b bytes.Buffer
		if err := printComparison(&b, format, c); err != nil {
			t.Fatal(err)
		}
		golden(t, file, b.String())
	}
}

// A model of one's own is measured by processes of this test's binary, which stands for glimpsed.
func TestBenchModels(t *testing.T) {
	m := newTiny(t)
	t.Setenv("GLIMPSED_TEST_PROGRAM", "1")
	t.Setenv("GLIMPSED_STATE_DIR", t.TempDir())
	pets := t.TempDir()
	write(t, filepath.Join(pets, "label 3.png"), plainPNG(t, color.White))
	var stdout, stderr bytes.Buffer
	args := append([]string{"bench", "--models", m.model, "--frames", "3", "--eval", pets, "--format", "json"}, m.settings()...)
	if code := run(t.Context(), args, &stdout, &stderr); code != exitDone {
		t.Fatalf("%d: %s", code, &stderr)
	}
	var c modelComparison
	if err := json.Unmarshal(stdout.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Models) != 1 || c.Cores != runtime.NumCPU() || c.Runtime != "litert" {
		t.Fatalf("%+v", c)
	}
	f := c.Models[0]
	if f.Name != "tiny" || f.Float != nil || f.Int8 == nil || f.Parameters != 240 || f.Int8.Weights != models.Own {
		t.Fatalf("%+v", f)
	}
	want := slices.Compact([]int{1, runtime.NumCPU()})
	var threads []int
	for _, timing := range f.Int8.Timings {
		threads = append(threads, timing.Threads)
		if timing.Runs != 3 || timing.P50 <= 0 || timing.P95 < timing.P50 || timing.RSS < 5 {
			t.Errorf("%+v", timing)
		}
	}
	if !slices.Equal(threads, want) {
		t.Errorf("threads %v, want %v", threads, want)
	}
	if a := f.Int8.Accuracy; a == nil || a.Pictures != 1 {
		t.Errorf("accuracy %+v", a)
	}
}

func TestBenchModelsRefuses(t *testing.T) {
	t.Setenv("GLIMPSED_TEST_PROGRAM", "1")
	t.Setenv("GLIMPSED_STATE_DIR", t.TempDir())
	m := newTiny(t)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"--format markdown", exitUsage, "or markdown with --models"},
		{"--models all --model x", exitUsage, "--models excludes"},
		{"--eval x", exitUsage, "--eval goes with --models"},
		{"--models all --frames 0", exitUsage, "want at least 1"},
		{"--models nonesuch", exitConfig, `"nonesuch" is unknown`},
		{"--models all --eval " + filepath.Join(t.TempDir(), "none"), exitFailed, "no such file"},
		{"--models " + m.model + " --set infer.library=/none/libLiteRt.so", exitFailed, "/none/libLiteRt.so"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"bench"}, strings.Fields(test.args)...), &stdout, &stderr)
		if code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("glimpsed bench %s: exit code %d, want %d with %q\n%s", test.args, code, test.code, test.want, &stderr)
		}
	}
}

func TestWithAll(t *testing.T) {
	got := withAll([]string{"mine.tflite", "all", " resnet18"})
	want := append([]string{"mine.tflite"}, models.Networks()...)
	if !slices.Equal(got, want) || !slices.Contains(got, "efficientnet_b0") || slices.Contains(got, models.CameraHealth) {
		t.Errorf("%v, want %v", got, want)
	}
}

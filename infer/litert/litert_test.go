//go:build cgo && linux

package litert_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/vision"
)

func options(t testing.TB) infer.Options {
	t.Helper()
	return infer.Options{Library: infertest.Library(t, "LITERT", litert.FileName)}
}

func TestConformance(t *testing.T) {
	opts := options(t)
	t.Run("tiny", func(t *testing.T) { infertest.Suite(t, litert.Open, opts, infertest.TinyCases()) })
	t.Run("coral", func(t *testing.T) { infertest.Suite(t, litert.Open, opts, infertest.CoralCases(t)) })
}

func TestUnsuitableModels(t *testing.T) {
	opts := options(t)
	picture := infertest.Tensor{Shape: []int{1, 4, 4, 3}, Type: infertest.TypeFloat32}
	ints := infertest.Tensor{Shape: []int{1, 4, 4, 3}, Type: infertest.TypeInt32}
	impossible := infertest.TinyClassifier(infertest.TypeInt8)
	impossible.Inputs[0].ZeroPoint = 1000
	for _, c := range []struct {
		name  string
		model vision.Model
		want  string
	}{
		{
			"two inputs", vision.Model{Name: "adder", Data: infertest.Tiny{Inputs: []infertest.Tensor{picture, picture}, Output: picture}.Build()},
			"opening embedded model adder: not a classifier: it has 2 inputs and 1 outputs instead of one each; use a model that takes one picture and gives one score a label",
		},
		{
			"int32", vision.Model{Name: "ints", Data: infertest.Tiny{Inputs: []infertest.Tensor{ints}, Output: ints}.Build()},
			`opening embedded model ints: its input "tensor0" is int32; glimpsed runs float32, int8 and uint8: convert the model with such an input`,
		},
		{
			"zero point", vision.Model{Name: "odd", Data: impossible.Build()},
			`opening embedded model odd: its input "tensor0" has an impossible quantisation (scale 1, zero point 1000)`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			it, err := litert.Open(c.model, opts)
			if err == nil {
				_ = it.Close()
				t.Fatal("it was opened")
			}
			if err.Error() != c.want {
				t.Errorf("error:\n%v\nwant:\n%v", err, c.want)
			}
		})
	}
}

// A model with an operation that LiteRT doesn't know fails when it is opened, with
// what LiteRT says of it.
func TestUnknownOperation(t *testing.T) {
	opts := options(t)
	path := infertest.Shared(t, "data", "coral", "model_invoking_error.tflite")
	it, err := litert.Open(vision.Model{Path: path}, opts)
	if err == nil {
		defer it.Close()
		err = it.Invoke(make([]byte, it.Input().Bytes()), make([]byte, it.Output().Bytes()))
	}
	if err == nil {
		t.Fatal("it runs")
	}
	for _, part := range []string{path, "fake-op-double"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error doesn't say %q: %v", part, err)
		}
	}
}

func TestLibraryErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing.so")
	// The ELF header of this test's binary, with its machine (bytes 18 and 19) made another.
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte(nil), self...)
	foreign[16] = 3 // ET_DYN
	if foreign[18] = 183; runtime.GOARCH == "arm64" {
		foreign[18] = 62
	}
	for _, c := range []struct{ name, path, want string }{
		{"missing", missing, "no such file"},
		{"text", write("text.so", []byte("hello, this is no library\n")), "not a shared library"},
		{"empty", write("empty.so", nil), "empty.so"},
		{"other machine", write("foreign.so", foreign), "built for another processor"},
		{"folder", dir, dir},
		{"another library", otherLibrary(t), "it has no function LiteRtCreateEnvironment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := litert.Open(vision.Model{Name: "m", Data: infertest.TinyClassifier(infertest.TypeInt8).Build()}, infer.Options{Library: c.path})
			if !errors.Is(err, infer.ErrUnavailable) {
				t.Fatalf("error %v, want infer.ErrUnavailable", err)
			}
			for _, part := range []string{c.want, c.path, "make setup", "infer.library"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error doesn't say %q: %v", part, err)
				}
			}
			if c.path == missing && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v, want fs.ErrNotExist", err)
			}
		})
	}
}

// otherLibrary finds a shared library that is not LiteRT in this process: the C library.
func otherLibrary(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`/\S*libc[.-]\S*`).FindString(string(maps))
	if path == "" {
		t.Skip("needs a C library that is linked dynamically")
	}
	return path
}

// Without a configured library the places are named, unless one of them has it.
func TestLibraryUnconfigured(t *testing.T) {
	path, err := litert.FindLibrary("")
	if err == nil {
		if filepath.Base(path) != litert.FileName {
			t.Errorf("found %s", path)
		}
		return
	}
	for _, part := range []string{litert.FileName, "/usr/lib/glimpsed", "make setup"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error doesn't say %q: %v", part, err)
		}
	}
	if !errors.Is(err, infer.ErrUnavailable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

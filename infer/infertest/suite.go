package infertest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// Case is a model with an input and the output that any runtime comes to.
type Case struct {
	Name  string
	Model vision.Model
	// In and Out are the specs to be found; their names don't matter.
	In, Out infer.TensorSpec
	Input   []byte
	Want    []byte
	// Tolerance is by how much an output element may differ: quantisation steps for
	// int8 and uint8, absolute for float32. Runtimes round differently.
	Tolerance float64
}

// Suite checks that what open makes keeps the contract of infer.Interpreter and
// computes what the cases say.
func Suite(t *testing.T, open infer.Opener, opts infer.Options, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Run("specs", func(t *testing.T) { testSpecs(t, open, opts, c) })
			t.Run("golden", func(t *testing.T) { testGolden(t, open, opts, c) })
			t.Run("from memory", func(t *testing.T) { testMemory(t, open, opts, c) })
			t.Run("wrong lengths", func(t *testing.T) { testLengths(t, open, opts, c) })
			t.Run("closed", func(t *testing.T) { testClosed(t, open, opts, c) })
			t.Run("side by side", func(t *testing.T) { testSideBySide(t, open, opts, c) })
			t.Run("shared", func(t *testing.T) { testShared(t, open, opts, c) })
		})
	}
	t.Run("no leak", func(t *testing.T) { testNoLeak(t, open, opts, cases[0]) })
	t.Run("bad models", func(t *testing.T) { testBadModels(t, open, opts, cases[0].Model) })
}

func mustOpen(t *testing.T, open infer.Opener, opts infer.Options, m vision.Model) infer.Interpreter {
	t.Helper()
	it, err := open(m, opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := it.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return it
}

func modelBytes(t *testing.T, m vision.Model) []byte {
	t.Helper()
	if m.Data != nil {
		return m.Data
	}
	data, err := os.ReadFile(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testSpecs(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	it := mustOpen(t, open, opts, c.Model)
	for _, s := range []struct {
		role      string
		got, want infer.TensorSpec
	}{{"input", it.Input(), c.In}, {"output", it.Output(), c.Out}} {
		s.got.Name = s.want.Name
		if fmt.Sprint(s.got) != fmt.Sprint(s.want) {
			t.Errorf("%s: %+v, want %+v", s.role, s.got, s.want)
		}
	}
}

func testGolden(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	for _, threads := range []int{0, 1, 2} {
		opts.Threads = threads
		it := mustOpen(t, open, opts, c.Model)
		output := make([]byte, it.Output().Bytes())
		for range 3 {
			clear(output)
			if err := it.Invoke(c.Input, output); err != nil {
				t.Fatalf("Invoke with %d threads: %v", threads, err)
			}
			if err := near(c, output); err != nil {
				t.Fatalf("with %d threads: %v", threads, err)
			}
		}
	}
}

// near says where output differs from what is wanted by more than the tolerance.
func near(c Case, output []byte) error {
	if len(output) != len(c.Want) {
		return fmt.Errorf("output has %d bytes, want %d", len(output), len(c.Want))
	}
	for i := range len(output) / c.Out.DType.Size() {
		got, want := element(output, i, c.Out.DType), element(c.Want, i, c.Out.DType)
		if !(math.Abs(got-want) <= c.Tolerance) {
			return fmt.Errorf("output %d is %g, want %g within %g", i, got, want, c.Tolerance)
		}
	}
	return nil
}

func testMemory(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	data := modelBytes(t, c.Model)
	// A model compiled into the binary lies where the linker puts it: at any address.
	for offset := range 3 {
		shifted := append(make([]byte, offset, offset+len(data)), data...)[offset:]
		it := mustOpen(t, open, opts, vision.Model{Name: "in-memory", Data: shifted})
		output := make([]byte, it.Output().Bytes())
		if err := it.Invoke(c.Input, output); err != nil {
			t.Fatal(err)
		}
		if err := near(c, output); err != nil {
			t.Errorf("at an offset of %d: %v", offset, err)
		}
	}
}

func testLengths(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	it := mustOpen(t, open, opts, c.Model)
	in, out := it.Input().Bytes(), it.Output().Bytes()
	for _, n := range [][2]int{{0, out}, {in - 1, out}, {in + 1, out}, {in, 0}, {in, out - 1}, {in, out + 1}} {
		if err := it.Invoke(make([]byte, n[0]), make([]byte, n[1])); err == nil {
			t.Errorf("Invoke took an input of %d and an output of %d bytes instead of %d and %d", n[0], n[1], in, out)
		}
	}
	if err := it.Invoke(c.Input, make([]byte, out)); err != nil {
		t.Errorf("Invoke after errors: %v", err)
	}
}

func testClosed(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	it := mustOpen(t, open, opts, c.Model)
	for range 2 {
		if err := it.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if err := it.Invoke(c.Input, make([]byte, c.Out.Bytes())); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("Invoke after Close: %v, want infer.ErrClosed", err)
	}
	if it.Input().Bytes() != c.In.Bytes() || it.Output().Bytes() != c.Out.Bytes() {
		t.Error("the specs don't survive Close")
	}
}

// testSideBySide runs two interpreters of one model at once, and opens and closes
// others meanwhile.
func testSideBySide(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	opts.Threads = 1
	var wg sync.WaitGroup
	for range 2 {
		it := mustOpen(t, open, opts, c.Model)
		wg.Go(func() {
			output := make([]byte, c.Out.Bytes())
			for range 5 {
				if err := it.Invoke(c.Input, output); err != nil {
					t.Error(err)
				} else if err := near(c, output); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 3 {
			it, err := open(c.Model, opts)
			if err != nil {
				t.Error(err)
				return
			}
			if err := it.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func testShared(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	it, err := open(c.Model, opts)
	if err != nil {
		t.Fatal(err)
	}
	first := infer.Share(it)
	var wg sync.WaitGroup
	for range 3 {
		share, err := first.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer share.Close()
			output := make([]byte, c.Out.Bytes())
			for range 3 {
				if err := share.Invoke(c.Input, output); err != nil {
					t.Error(err)
				} else if err := near(c, output); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := it.Invoke(c.Input, make([]byte, c.Out.Bytes())); !errors.Is(err, infer.ErrClosed) {
		t.Errorf("after the last share's Close: %v, want infer.ErrClosed", err)
	}
}

// testBadModels hands over what isn't a model, or not all of one. Each must come to
// an error that names the file, none to a crash.
func testBadModels(t *testing.T, open infer.Opener, opts infer.Options, good vision.Model) {
	data := modelBytes(t, good)
	dir := t.TempDir()
	bad := map[string][]byte{
		"empty":    {},
		"html":     []byte("<!DOCTYPE html><title>404</title>"),
		"lfs":      []byte("version https://git-lfs.github.com/spec/v1\n"),
		"zeros":    make([]byte, 4096),
		"header":   append([]byte("\x1c\x00\x00\x00TFL3"), bytes.Repeat([]byte{0xa5, 0x5a, 1}, 1000)...),
		"inverted": append(slices.Clone(data[:8]), invert(data[8:])...),
	}
	for _, part := range []float64{0.01, 0.1, 0.25, 0.5, 0.6, 0.75} {
		bad[fmt.Sprintf("first %g", part)] = data[:int(part*float64(len(data)))]
	}
	for _, n := range []int{1, 4, 7, 8, 9, 16, 31, 64, 100} {
		bad[fmt.Sprintf("first %d bytes", n)] = data[:min(n, len(data)/2)]
	}
	for name, content := range bad {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "bad.tflite")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, m := range []vision.Model{{Name: "bad", Path: path}, {Name: "bad", Data: content}} {
				it, err := open(m, opts)
				if err == nil {
					_ = it.Close()
					t.Fatal("it was opened")
				}
				if name := m.Name; !bytes.Contains([]byte(err.Error()), []byte(name)) {
					t.Errorf("the error doesn't name the model: %v", err)
				}
			}
		})
	}
	for name, path := range map[string]string{"missing": filepath.Join(dir, "nowhere.tflite"), "folder": dir} {
		t.Run(name, func(t *testing.T) {
			_, err := open(vision.Model{Name: "bad", Path: path}, opts)
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(path)) {
				t.Errorf("error %v doesn't name %s", err, path)
			}
		})
	}
}

func invert(data []byte) []byte {
	inverted := slices.Clone(data)
	for i := range inverted {
		inverted[i] ^= 0xff
	}
	return inverted
}

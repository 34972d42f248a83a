package torchfile

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadsWhatPyTorchWrites(t *testing.T) {
	for _, name := range []string{"zip.pth", "stream.pth", "checkpoint.pth"} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, c := range []struct {
				name  string
				dtype DType
				shape []int
				// from is the number that element 0 has in make.py's counting.
				from int
			}{
				{"conv", Float32, []int{2, 3, 2, 2}, 0},
				{"half", Float16, []int{5}, 0},
				{"brain", BFloat16, []int{5}, 0},
				{"double", Float64, []int{5}, 0},
				{"scalar", Float32, []int{}, 0},
				{"empty", Float32, []int{0, 3}, 0},
				{"channels_last", Float32, []int{2, 3, 2, 2}, 0},
				{"first", Float32, []int{2, 3}, 0},
				{"second", Float32, []int{2, 3}, 6},
				{"parameter", Float32, []int{3}, 0},
			} {
				tensor, ok := f.Lookup(c.name)
				if !ok {
					t.Errorf("%s is missing", c.name)
					continue
				}
				if tensor.DType != c.dtype || !slices.Equal(tensor.Shape, c.shape) {
					t.Errorf("%s is %v of %v, want %v of %v", c.name, tensor.Shape, tensor.DType, c.shape, c.dtype)
				}
				got, err := f.Floats(tensor)
				if err != nil {
					t.Error(err)
				}
				for i, v := range got {
					if want := float32(i+c.from)/4 - 1; v != want {
						t.Errorf("%s: element %d is %v, want %v", c.name, i, v, want)
						break
					}
				}
				if len(got) != tensor.Elements() {
					t.Errorf("%s: %d elements, want %d", c.name, len(got), tensor.Elements())
				}
			}
			count, ok := f.Lookup("count")
			if !ok || count.DType != Int64 {
				t.Fatal("count is missing")
			}
			if _, err := f.Floats(count); err == nil || !strings.Contains(err.Error(), "tensor count: elements are int64") {
				t.Errorf("floats of an integer tensor: %v", err)
			}
		})
	}
}

func TestKeepsTheFilesOrder(t *testing.T) {
	f, err := Open("testdata/metadata.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Tensors()[0].Name != "weight" || f.Tensors()[1].Name != "bias" {
		t.Errorf("tensors are %s, %s", f.Tensors()[0].Name, f.Tensors()[1].Name)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ file, err string }{
		{"code.pth", `needs "system" of "posix"`},
		{"code_stream.pth", `needs "system" of "posix"`},
		{"module.pth", `needs "Linear" of "torch.nn.modules.linear"`},
		{"list.pth", "the pickle holds no dictionary"},
		{"complex.pth", `needs "ComplexFloatStorage" of "torch"`},
		{"make.py", "neither of PyTorch's formats"},
		{"absent.pth", "no such file"},
		{".", "not a file"},
	} {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join("testdata", c.file)
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want one with %s and %s", err, path, c.err)
			}
		})
	}
}

// A damaged file gives an error or, where the damage is in bytes that carry
// nothing (time stamps, padding), the right values; it never gives others, but
// for a stream, which has no checksums.
func TestDamagedFiles(t *testing.T) {
	const trials = 10_000
	for _, name := range []string{"zip.pth", "stream.pth"} {
		t.Run(name, func(t *testing.T) {
			whole, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			want, err := readAll(whole)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			unharmed := 0
			for range trials {
				damaged := damage(rng, whole)
				got, err := readAll(damaged)
				if err != nil {
					continue
				}
				unharmed++
				if name == "zip.pth" && !subset(got, want) {
					t.Fatalf("damaged file was read as %v", got)
				}
			}
			t.Logf("%d of %d damaged files were still readable", unharmed, trials)
		})
	}
}

// damage cuts the file, or overwrites some bytes.
func damage(rng *rand.Rand, whole []byte) []byte {
	if rng.IntN(4) == 0 {
		return whole[:rng.IntN(len(whole))]
	}
	b := slices.Clone(whole)
	for range 1 + rng.IntN(4) {
		b[rng.IntN(len(b))] = byte(rng.Uint32())
	}
	return b
}

// readAll reads all float tensors of a file.
func readAll(b []byte) (map[string][]float32, error) {
	f, err := New(bytes.NewReader(b), int64(len(b)), "test")
	if err != nil {
		return nil, err
	}
	out := map[string][]float32{}
	for _, t := range f.Tensors() {
		if t.DType > Float64 {
			continue
		}
		if out[t.Name], err = f.Floats(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func subset(got, want map[string][]float32) bool {
	for name, v := range got {
		if !slices.Equal(v, want[name]) {
			return false
		}
	}
	return true
}

func FuzzNew(f *testing.F) {
	for _, name := range []string{"zip.pth", "stream.pth", "checkpoint.pth", "code.pth", "module.pth"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = readAll(b)
	})
}

// FuzzPickle goes for the machine alone, which a mutated archive rarely reaches.
func FuzzPickle(f *testing.F) {
	b, err := os.ReadFile("testdata/stream.pth")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &machine{in: b, storages: map[string]*storage{}}
		for {
			if _, err := m.run(); err != nil {
				if m.objects > maxObjects+1 {
					t.Errorf("%d objects", m.objects)
				}
				return
			}
		}
	})
}

func TestPickleLimits(t *testing.T) {
	for _, c := range []struct{ name, program, err string }{
		{"bomb", "\x80\x02" + strings.Repeat("}", maxObjects+1) + ".", "more than"},
		{"short", "\x80\x02X\xff\xff\xff\x7fabc", "in the middle"},
		{"stack", "\x80\x02a.", "empty"},
		{"memo", "\x80\x02h\x05.", "never stored"},
		{"opcode", "\x80\x02P.", "not one that a state_dict needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{in: []byte(c.program), storages: map[string]*storage{}}
			if _, err := m.run(); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want one with %q", err, c.err)
			}
		})
	}
	if _, err := (&machine{in: []byte{opProto}}).run(); !errors.Is(err, errShort) {
		t.Errorf("error is %v", err)
	}
}

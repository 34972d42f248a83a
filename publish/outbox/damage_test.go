package outbox

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// sample is an outbox's only segment with messages 1 to n, as a killed process leaves it, and where each ends.
func sample(t *testing.T, n int, sealed bool) (data []byte, ends []int) {
	t.Helper()
	dir := t.TempDir()
	b := open(t, Options{Dir: dir})
	for i := 1; i <= n; i++ {
		add(t, b, i, i)
		ends = append(ends, int(b.State().Bytes))
	}
	if sealed {
		b.writing.Lock()
		b.sealActive()
		b.writing.Unlock()
	}
	paths, err := listSegments(dir)
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v", paths, err)
	}
	data, err = os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return data, ends
}

// openWith opens an outbox whose only segment is data.
func openWith(t *testing.T, data []byte) *Outbox {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(segmentPath(dir, 1), data, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{Dir: dir, Sync: time.Hour})
	if err != nil {
		t.Fatalf("a damaged file: %v", err)
	}
	return b
}

func TestCutAtEveryByte(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		data, ends := sample(t, 12, sealed)
		for cut := range len(data) {
			b := openWith(t, data[:cut])
			whole, _ := slices.BinarySearch(ends, cut+1)
			if got := rest(t, b); !slices.Equal(got, count(1, whole)) {
				t.Fatalf("cut at %d of %d: got %v, want the first %d", cut, len(data), got, whole)
			}
			// It goes on: what comes now isn't taken for what was there.
			add(t, b, 100, 100)
			wantRest(t, b, []int{100})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Each damaged byte costs the message that it is in, and no other.
func TestFlippedBits(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		data, ends := sample(t, 12, sealed)
		for at := range data {
			hurt := bytes.Clone(data)
			hurt[at] ^= 1 << (at % 8)
			lost, _ := slices.BinarySearch(ends, at+1)
			want := slices.DeleteFunc(count(1, 12), func(n int) bool { return n == lost+1 })
			b := openWith(t, hurt)
			if got := rest(t, b); !slices.Equal(got, want) {
				t.Fatalf("byte %d of %d: got %v, want %v", at, len(data), got, want)
			}
			// What is missing at an end can't be told from what never was.
			if s := b.State(); s.Lost > 1 || lost > 0 && lost < 11 && s.Lost != 1 {
				t.Fatalf("byte %d: %d lost", at, s.Lost)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Whatever the files hold, opening and reading come to an end without an error, and later messages are safe.
func TestRubbish(t *testing.T) {
	data, _ := sample(t, 12, true)
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		hurt := bytes.Clone(data)
		for range 1 + rng.IntN(20) {
			at, n := rng.IntN(len(hurt)), 1+rng.IntN(40)
			piece := bytes.Clone(hurt[at:min(at+n, len(hurt))])
			switch to := rng.IntN(len(hurt)); rng.IntN(3) {
			case 0: // taken out
				hurt = slices.Delete(hurt, at, at+len(piece))
			case 1: // put in elsewhere
				hurt = slices.Insert(hurt, to, piece...)
			default:
				for i := range piece {
					hurt[at+i] = byte(rng.Uint32())
				}
			}
			if len(hurt) == 0 {
				hurt = []byte{0}
			}
		}
		b := openWith(t, hurt)
		last := 0
		for _, n := range rest(t, b) {
			if n <= last || n > 12 {
				t.Fatalf("seed %d: message %d after %d", seed, n, last)
			}
			last = n
		}
		add(t, b, 100, 101)
		wantRest(t, b, []int{100, 101})
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Without the list of what was delivered, messages come again; none is missing.
func TestDamagedCursor(t *testing.T) {
	for name, hurt := range map[string]func(path string) error{
		"gone":  os.Remove,
		"cut":   func(p string) error { return os.Truncate(p, 20) },
		"empty": func(p string) error { return os.Truncate(p, 0) },
		"rubbish": func(p string) error {
			return os.WriteFile(p, bytes.Repeat([]byte("x"), 100), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, Options{Dir: dir, Sync: time.Hour})
			add(t, b, 1, 5)
			for range 2 {
				id, _, _ := b.Next()
				b.Done(id)
			}
			b.Close()
			if err := hurt(filepath.Join(dir, cursorName)); err != nil {
				t.Fatal(err)
			}
			wantRest(t, open(t, Options{Dir: dir, Sync: time.Hour}), count(1, 5))
		})
	}
}

// Files that are not ours are left alone, and a file of ours that can't be read costs only itself.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes.txt", "7.seg", "xyz.seg"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(segmentPath(dir, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	b := open(t, Options{Dir: dir, Sync: 0})
	add(t, b, 1, 2)
	wantRest(t, b, []int{1, 2})
	b.Close()
	if got := files(t, dir); !slices.Contains(got, "notes.txt") || !slices.Contains(got, "7.seg") || !slices.Contains(got, "xyz.seg") {
		t.Errorf("left: %v", got)
	}
}

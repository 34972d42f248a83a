// Package capturetest holds what every capture.Source must do, as tests that the
// package of each kind runs on its own sources.
package capturetest

import (
	"cmp"
	"context"
	"errors"
	"hash/crc32"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// Subject is a source to be tested.
type Subject struct {
	Open capture.Opener
	// Config names a source of which at least 8 pictures can be read.
	Config capture.Config
	// Width and Height are those of its pictures; 0: they differ.
	Width, Height int
	// Frames is how many pictures there are when it doesn't loop; 0: it never ends.
	Frames int
	// Cycles is how often it is opened and closed to see what stays behind; 0: 8 times.
	Cycles int
	// Secret is a text that must appear nowhere.
	Secret string
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("Frames", s.frames)
	t.Run("HeldFramesKeepTheirPixels", s.held)
	t.Run("FramesOutliveClose", s.outlive)
	t.Run("Cancel", s.cancel)
	t.Run("Skip", s.skip)
	t.Run("NothingLeftBehind", s.leftBehind)
	if s.Frames > 0 {
		t.Run("End", s.end)
		t.Run("Loop", s.loop)
	}
}

func (s Subject) open(t *testing.T) capture.Source {
	t.Helper()
	src, err := s.Open(t.Context(), s.Config)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return src
}

func (s Subject) read(t *testing.T, src capture.Source) vision.Frame {
	t.Helper()
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return f
}

// frames: every picture is complete, counted and timed.
func (s Subject) frames(t *testing.T) {
	src := s.open(t)
	defer src.Close()
	var before vision.Frame
	for i := range 8 {
		start := time.Now()
		f := s.read(t, src)
		switch {
		case f.Format != vision.BGR:
			t.Errorf("format is %v, want BGR", f.Format)
		case f.Width < 1 || f.Height < 1 || f.Stride < 3*f.Width:
			t.Fatalf("%dx%d with rows %d bytes apart", f.Width, f.Height, f.Stride)
		case s.Width > 0 && (f.Width != s.Width || f.Height != s.Height):
			t.Errorf("picture is %dx%d, want %dx%d", f.Width, f.Height, s.Width, s.Height)
		case len(f.Data) < (f.Height-1)*f.Stride+3*f.Width:
			t.Fatalf("%d bytes can't hold %dx%d", len(f.Data), f.Width, f.Height)
		}
		if f.Seq != uint64(i+1) {
			t.Errorf("picture %d has sequence number %d", i+1, f.Seq)
		}
		if f.CapturedAt.Before(start) || f.CapturedAt.After(time.Now()) || i > 0 && f.CapturedAt.Before(before.CapturedAt) {
			t.Errorf("picture %d was captured at %v, not during its Read", i+1, f.CapturedAt)
		}
		if f.Capture < 0 || f.Decode < 0 || f.Capture+f.Decode > time.Since(start) {
			t.Errorf("picture %d took %v to capture and %v to decode, more than its Read", i+1, f.Capture, f.Decode)
		}
		if f.Source == "" || s.Secret != "" && strings.Contains(f.Source, s.Secret) {
			t.Errorf("source is %q", f.Source)
		}
		before = f
		f.Release()
	}
}

// held: a frame isn't written to while somebody holds it.
func (s Subject) held(t *testing.T) {
	src := s.open(t)
	defer src.Close()
	var frames []vision.Frame
	var sums []uint32
	for range 4 {
		f := s.read(t, src)
		frames, sums = append(frames, f), append(sums, crc32.ChecksumIEEE(f.Data))
	}
	for range 4 {
		s.read(t, src).Release()
	}
	for i, f := range frames {
		if crc32.ChecksumIEEE(f.Data) != sums[i] {
			t.Errorf("the pixels of frame %d changed while it was held", f.Seq)
		}
		f.Release()
	}
}

// outlive: a frame stays valid after Close.
func (s Subject) outlive(t *testing.T) {
	src := s.open(t)
	f := s.read(t, src)
	sum := crc32.ChecksumIEEE(f.Data)
	if err := src.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if crc32.ChecksumIEEE(f.Data) != sum {
		t.Error("the pixels changed when the source was closed")
	}
	f.Release()
}

// cancel: Read returns within a second of the end of its context, and with its error.
func (s Subject) cancel(t *testing.T) {
	src := s.open(t)
	defer src.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	<-ctx.Done()
	start := time.Now()
	f, err := src.Read(ctx)
	if err == nil {
		f.Release()
		t.Error("Read went on with its context cancelled")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("Read took %v to notice", d)
	}
	s.read(t, src).Release()
}

// skip: a picture that is skipped is counted.
func (s Subject) skip(t *testing.T) {
	src := s.open(t)
	defer src.Close()
	skipper, ok := src.(capture.Skipper)
	if !ok {
		return
	}
	f := s.read(t, src)
	f.Release()
	var asked time.Time
	start := time.Now()
	_, skipped, err := skipper.ReadUnless(t.Context(), func(at time.Time) bool { asked = at; return true })
	if err != nil || !skipped || asked.Before(start) || asked.After(time.Now()) {
		t.Fatalf("skipping: skipped is %v, error %v, asked about %v", skipped, err, asked)
	}
	g := s.read(t, src)
	g.Release()
	if g.Seq != f.Seq+2 {
		t.Errorf("after one skipped picture the sequence goes from %d to %d", f.Seq, g.Seq)
	}
}

// leftBehind: opening and closing over and over leaves neither goroutines nor file descriptors.
func (s Subject) leftBehind(t *testing.T) {
	cycle := func() {
		src := s.open(t)
		s.read(t, src).Release()
		if err := src.Close(); err != nil {
			t.Fatalf("closing: %v", err)
		}
	}
	cycle() // what is set up once for all
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range cmp.Or(s.Cycles, 8) {
		cycle()
	}
	Settle(func() bool { return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files })
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("goroutines went from %d to %d", goroutines, n)
	}
	if n := openFiles(t); n > files {
		t.Errorf("open files went from %d to %d", files, n)
	}
}

// Settle waits up to two seconds for a condition; what a test then finds is what counts.
func Settle(ok func() bool) {
	for deadline := time.Now().Add(2 * time.Second); !ok() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	return len(entries)
}

// end: without Loop there are exactly Frames pictures, and ErrEnded from then on.
func (s Subject) end(t *testing.T) {
	s.Config.Loop = false
	src := s.open(t)
	defer src.Close()
	for i := range s.Frames {
		f, err := src.Read(t.Context())
		if err != nil {
			t.Fatalf("picture %d of %d: %v", i+1, s.Frames, err)
		}
		f.Release()
	}
	for range 2 {
		if _, err := src.Read(t.Context()); !errors.Is(err, capture.ErrEnded) {
			t.Errorf("after the last of %d pictures the error is %v, want ErrEnded", s.Frames, err)
		}
	}
}

// loop: with Loop the first picture follows the last.
func (s Subject) loop(t *testing.T) {
	s.Config.Loop = true
	src := s.open(t)
	defer src.Close()
	var first uint32
	for i := range 2*s.Frames + 1 {
		f := s.read(t, src)
		sum := crc32.ChecksumIEEE(f.Data)
		if i == 0 {
			first = sum
		} else if i%s.Frames == 0 && sum != first {
			t.Errorf("picture %d is not the first again", i+1)
		}
		f.Release()
	}
}

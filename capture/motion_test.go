package capture

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// noisy is a grey picture with a sensor's noise, and a brighter square if side > 0.
func noisyFrame(rng *rand.Rand, width, height, noise, side int) vision.Frame {
	f := vision.Frame{Format: vision.BGR, Width: width, Height: height, Stride: 3*width + 8}
	f.Data = make([]byte, f.Stride*height)
	for y := range height {
		for x := range 3 * width {
			v := 120 + rng.IntN(2*noise+1) - noise
			if y < side && x < 3*side {
				v += 60
			}
			f.Data[y*f.Stride+x] = byte(v)
		}
	}
	return f
}

func TestMotion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{640, 480}, {1280, 720}, {321, 243}, {64, 48}} {
		m := NewMotion(MotionConfig{Threshold: 8, Every: 10 * time.Second, Hold: time.Second})
		now := time.Now()
		pass := func(side int, after time.Duration) bool {
			now = now.Add(after)
			return m.Passes(noisyFrame(rng, size[0], size[1], 12, side), now)
		}
		side := size[0] / 10
		for i, step := range []struct {
			side  int
			after time.Duration
			want  bool
		}{
			{0, 0, true},                       // the first
			{0, 500 * time.Millisecond, true},  // as long as hold
			{0, 600 * time.Millisecond, false}, // still
			{0, 5 * time.Second, false},
			{side, time.Second, true}, // something comes
			{side, 900 * time.Millisecond, true},
			{side, 200 * time.Millisecond, false}, // and stays
			{side, 9 * time.Second, false},
			{side, time.Second, true},               // now and then
			{side, 100 * time.Millisecond, false},   // which is no motion
			{0, 100 * time.Millisecond, true},       // it goes
			{0, 1100 * time.Millisecond, false},     // and is gone
			{side, 100 * time.Millisecond, true},    // it comes again
			{0, 100 * time.Millisecond, true},       // and goes
			{0, 10000 * time.Millisecond, true},     // now and then
			{0, 10 * time.Millisecond, false},       //
			{side * 2, 10 * time.Millisecond, true}, // larger
		} {
			if got := pass(step.side, step.after); got != step.want {
				t.Errorf("%v: step %d (%+v): %v", size, i, step, got)
			}
		}
	}
}

// A slow change adds up: what is compared with is what was classified, not the picture before.
func TestSlowChangeIsMotion(t *testing.T) {
	m := NewMotion(MotionConfig{Threshold: 8, Every: time.Hour, Hold: 0})
	now := time.Now()
	f := vision.Frame{Format: vision.BGR, Width: 64, Height: 48, Stride: 192, Data: make([]byte, 192*48)}
	passed := 0
	for step := range 100 {
		for i := range f.Data {
			f.Data[i] = byte(step)
		}
		now = now.Add(time.Second)
		if m.Passes(f, now) {
			passed++
		}
	}
	if passed < 10 || passed > 13 {
		t.Errorf("%d of 100 pictures of a dawn were let through, want one in nine", passed)
	}
}

func TestNoGate(t *testing.T) {
	m := NewMotion(DefaultMotion())
	if m != nil || !m.Passes(vision.Frame{}, time.Now()) {
		t.Errorf("the default is %v", m)
	}
	m = NewMotion(MotionConfig{Threshold: 5, Every: time.Hour})
	for range 3 { // too small for the grid
		if !m.Passes(vision.Frame{Format: vision.BGR, Width: 6, Height: 6, Stride: 18, Data: make([]byte, 108)}, time.Now()) {
			t.Error("a tiny picture was held back")
		}
	}
}

func BenchmarkMotion720p(b *testing.B) {
	m := NewMotion(MotionConfig{Threshold: 8, Every: time.Hour})
	f := noisyFrame(rand.New(rand.NewPCG(1, 2)), 1280, 720, 5, 0)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		m.Passes(f, now)
	}
}

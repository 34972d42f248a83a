package capture

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// A classifier slower than the camera gets the newest picture each time, and what it missed is counted.
func TestNewestFrameWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, liveConfig(), opens(&fake{read: ticking(10 * time.Millisecond)}))
		var last vision.Frame
		for range 20 {
			f := r.next(t)
			if age := time.Since(f.CapturedAt); age > 10*time.Millisecond {
				t.Fatalf("frame %d is %v old", f.Seq, age)
			}
			last = f
			time.Sleep(95 * time.Millisecond)
		}
		s := r.Status()
		if s.Frames < 190 || s.Dropped < 160 {
			t.Errorf("%d frames and %d dropped, want about 200 and 180", s.Frames, s.Dropped)
		}
		if last.Seq < 180 {
			t.Errorf("the last frame's sequence number is %d: dropped ones aren't counted", last.Seq)
		}
		if err, d := r.stop(); err != nil || d > time.Second {
			t.Errorf("Run returned %v after %v", err, d)
		}
	})
}

// skipping counts the pictures that were decoded.
type skipping struct {
	fake
	decoded, skipped int
}

func (s *skipping) ReadUnless(ctx context.Context, skip func(time.Time) bool) (vision.Frame, bool, error) {
	f, err := s.read(ctx)
	if err == nil && skip(f.CapturedAt) {
		s.skipped++
		return vision.Frame{}, true, nil
	}
	s.decoded++
	return f, false, err
}

// A frame rate is kept on the average and evenly, and what it leaves out isn't even decoded.
func TestFrameRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		cfg.FPS = 5
		src := &skipping{fake: fake{read: ticking(time.Second / 30)}}
		r := start(t, cfg, opens(src))
		r.next(t)
		begin, before := time.Now(), time.Now()
		for range 100 {
			f := r.next(t)
			now := time.Now()
			if gap := now.Sub(before); gap < 150*time.Millisecond || gap > 250*time.Millisecond {
				t.Errorf("frame %d comes %v after the one before", f.Seq, gap)
			}
			if age := now.Sub(f.CapturedAt); age > 2*time.Second/30 {
				t.Errorf("frame %d is %v old", f.Seq, age)
			}
			before = now
			time.Sleep(20 * time.Millisecond)
		}
		if d := before.Sub(begin); d < 19900*time.Millisecond || d > 20100*time.Millisecond {
			t.Errorf("100 frames at 5 a second took %v", d)
		}
		r.stop()
		if s := r.Status(); s.Frames < 590 || s.Frames != uint64(src.decoded+src.skipped-1) {
			t.Errorf("%d frames counted, %d decoded, %d skipped", s.Frames, src.decoded, src.skipped)
		}
		if src.decoded > 250 {
			t.Errorf("%d of %d frames decoded for 100 that were taken", src.decoded, src.decoded+src.skipped)
		}
	})
}

func TestSetFPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		cfg.FPS = 0.01
		r := start(t, cfg, opens(&fake{read: ticking(10 * time.Millisecond)}))
		r.next(t)
		begin := time.Now()
		time.AfterFunc(time.Second, func() { r.SetFPS(10) })
		for range 11 {
			r.next(t)
		}
		if d := time.Since(begin); d < 1900*time.Millisecond || d > 2200*time.Millisecond {
			t.Errorf("11 frames, the rate set to 10 after a second, took %v, want 2 s", d)
		}
		r.stop()
	})
}

// A picture that waited too long isn't taken for the present.
func TestAgeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		r := start(t, liveConfig(), opens(&fake{read: func(ctx context.Context) (vision.Frame, error) {
			if reads++; reads == 1 {
				return frame(1), nil
			}
			err := sleep(ctx, 9*time.Second)
			return frame(2), err
		}}))
		time.Sleep(5 * time.Second)
		f := r.next(t)
		if f.Seq == 1 || time.Since(f.CapturedAt) > 2*time.Second {
			t.Errorf("frame %d, %v old, was taken", f.Seq, time.Since(f.CapturedAt))
		}
		if s := r.Status(); s.Stale != 1 {
			t.Errorf("%d stale frames counted, want 1", s.Stale)
		}
		r.stop()
	})
}

// Of a recording played fast every frame is taken, in order, no faster than fps, and then it ends.
func TestFastIsLossless(t *testing.T) {
	t.Run("as fast as possible", func(t *testing.T) { testFast(t, 0, 20*time.Millisecond) })
	t.Run("5 a second", func(t *testing.T) { testFast(t, 5, 200*time.Millisecond) })
}

// testFast's taker needs 20 ms a frame.
func testFast(t *testing.T, fps float64, want time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		cfg.Source, cfg.Pace, cfg.FPS = "clip.mp4", PaceFast, fps
		var n byte
		r := start(t, cfg, opens(&fake{read: func(context.Context) (vision.Frame, error) {
			if n++; n > 50 {
				return vision.Frame{}, ErrEnded
			}
			return frame(n), nil
		}}))
		begin := time.Now()
		for i := range 50 {
			time.Sleep(20 * time.Millisecond)
			if f := r.next(t); f.Seq != uint64(i+1) || f.Data[0] != byte(i+1) {
				t.Fatalf("frame %d is number %d", i+1, f.Seq)
			}
		}
		if d, all := time.Since(begin), 49*want; d < all || d > all+100*time.Millisecond {
			t.Errorf("50 frames at fps %v took %v, want %v", fps, d, all)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("after the last frame: %v, want ErrEnded", err)
		}
		if err := <-r.done; err != nil {
			t.Errorf("Run returned %v", err)
		}
		r.expect(t, vision.CameraOffline, "source has ended")
		if s := r.Status(); !s.Ended || s.Frames != 50 || s.Dropped != 0 {
			t.Errorf("status is %+v", s)
		}
	})
}

// A folder moves on at fps, picture by picture, each read when it is wanted.
func TestPicturesAtFPS(t *testing.T) {
	for _, c := range []struct {
		fps  float64
		pace string
		want time.Duration
	}{{2, PaceNative, 500 * time.Millisecond}, {0, PaceNative, time.Second}, {2, PaceFast, 500 * time.Millisecond}, {0, PaceFast, 0}} {
		synctest.Test(t, func(t *testing.T) {
			cfg := liveConfig()
			cfg.Source, cfg.FPS, cfg.Pace = "pictures/*.jpg", c.fps, c.pace
			var n byte
			r := start(t, cfg, opens(&fake{read: func(context.Context) (vision.Frame, error) {
				n++
				return frame(n), nil
			}}))
			r.next(t)
			for want := range 10 {
				begin := time.Now()
				f := r.next(t)
				if d := time.Since(begin); d != c.want {
					t.Errorf("fps %v, pace %s: %v between pictures, want %v", c.fps, c.pace, d, c.want)
				}
				if f.Seq != uint64(want+2) || time.Since(f.CapturedAt) > 0 {
					t.Errorf("fps %v: picture %d is number %d and %v old", c.fps, want+2, f.Seq, time.Since(f.CapturedAt))
				}
			}
			r.stop()
		})
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []*fake
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			sources = append(sources, &fake{read: ticking(10 * time.Millisecond)})
			return sources[len(sources)-1], nil
		})
		r.next(t)
		r.expect(t, vision.CameraOnline, "")
		r.Pause()
		time.Sleep(time.Second)
		r.expect(t, vision.CameraPaused, "paused on request")
		if !sources[0].closed.Load() {
			t.Error("the source is open while the camera is paused")
		}
		if _, idle := r.Progress(); idle != "paused" {
			t.Errorf("the reason to rest is %q", idle)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if f, err := r.Next(ctx); err == nil {
			t.Errorf("frame %d was taken while paused", f.Seq)
		}
		r.Resume()
		r.next(t)
		r.expect(t, vision.CameraOnline, "")
		if s := r.Status(); s.Reconnects != 0 || s.Abandoned != 0 || len(sources) != 2 {
			t.Errorf("status is %+v with %d sources", s, len(sources))
		}
		r.Pause()
		synctest.Wait()
		if err, d := r.stop(); err != nil || d > time.Second {
			t.Errorf("Run returned %v after %v", err, d)
		}
	})
}

// What leaves the camera is upright, masked in upright coordinates, and cut to the region; buffers come back.
func TestPreparedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		cfg.Rotate = 90
		cfg.ROI = ROI{0, 0.5, 1, 0.5}
		cfg.Masks = [][]Point{{{0, 0.5}, {0.5, 0.5}, {0.5, 1}, {0, 1}}}
		pool := newBytesPool()
		r := start(t, cfg, opens(&fake{read: func(ctx context.Context) (vision.Frame, error) {
			if err := sleep(ctx, time.Millisecond); err != nil {
				return vision.Frame{}, err
			}
			_, n, err := pool.Get(ctx)
			f := frame(0)
			for i := range f.Data {
				f.Data[i] = byte(i/3 + 1) // pixels 1..4, 5..8
			}
			f.Owner, f.Buffer = pool, n
			return f, err
		}}))
		for range 50 {
			f := r.next(t)
			// Upright is 2x4: 5 1 / 6 2 / 7 3 / 8 4; of the lower half the left is masked.
			got := []byte{f.Data[0], f.Data[3], f.Data[f.Stride], f.Data[f.Stride+3]}
			if f.Width != 2 || f.Height != 2 || !slices.Equal(got, []byte{0, 3, 0, 4}) {
				t.Fatalf("%dx%d with %v", f.Width, f.Height, got)
			}
			f.Release()
			time.Sleep(time.Millisecond)
		}
		r.stop()
		if len(pool.buffers) > 3 || len(r.prepare.turned.buffers) != 1 {
			t.Errorf("%d buffers and %d turned ones made for one frame at a time", len(pool.buffers), len(r.prepare.turned.buffers))
		}
	})
}

func TestMailboxTakesNoAllocations(t *testing.T) {
	b := newMailbox()
	f := frame(1)
	if n := testing.AllocsPerRun(100, func() { b.put(f); b.put(f); b.take() }); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

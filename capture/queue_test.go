package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// A camera that has to wait for others neither fails nor hangs; its time starts when its turn comes.
func TestQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{})
		r := start(t, liveConfig(), func(ctx context.Context, cfg Config) (Source, error) {
			time.Sleep(cfg.OpenTimeout - time.Second)
			done := Queued(ctx, "waiting for another source to be opened")
			<-turn
			done()
			time.Sleep(cfg.OpenTimeout - time.Second)
			return &fake{read: ticking(10 * time.Millisecond)}, nil
		})
		time.Sleep(time.Hour)
		r.expect(t, vision.CameraOffline, "starting")
		if _, idle := r.Progress(); idle != "waiting for another source to be opened" {
			t.Errorf("the reason to rest is %q", idle)
		}
		close(turn)
		r.next(t)
		r.expect(t, vision.CameraOnline, "")
		if s := r.Status(); len(r.states) != 1 || s.Abandoned != 0 || s.Reconnects != 0 {
			t.Errorf("states are %+v, status %+v", r.states, s)
		}
		r.stop()
	})
}

// After its turn a camera that hangs is noticed as ever, in opening and in reading.
func TestHangingAfterTheQueue(t *testing.T) {
	for _, where := range []string{"open", "read"} {
		synctest.Test(t, func(t *testing.T) {
			hang := func(ctx context.Context) error {
				done := Queued(ctx, "waiting")
				time.Sleep(time.Hour)
				done()
				<-ctx.Done()
				return ctx.Err()
			}
			r := start(t, liveConfig(), func(ctx context.Context, _ Config) (Source, error) {
				if where == "open" {
					return nil, hang(ctx)
				}
				return &fake{read: func(ctx context.Context) (vision.Frame, error) { return vision.Frame{}, hang(ctx) }}, nil
			})
			time.Sleep(time.Hour + 5*time.Second)
			r.expect(t, vision.CameraOffline, "starting")
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if s := r.Status(); s.Reason != "opening the source has taken longer than 15s" && s.Reason != "no picture for 10s" || s.Abandoned != 0 {
				t.Errorf("%s: status is %+v", where, s)
			}
			r.cancel()
			time.Sleep(2 * time.Hour)
		})
	}
}

// An opener that keeps to open_timeout by itself knows more of the reason than the supervision.
func TestOpenersOwnReasonIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, liveConfig(), func(ctx context.Context, cfg Config) (Source, error) {
			if err := sleep(ctx, cfg.OpenTimeout); err != nil {
				return nil, err
			}
			return nil, errors.New("opening it: the host does not answer")
		})
		time.Sleep(15500 * time.Millisecond)
		r.expect(t, vision.CameraOffline, "opening it: the host does not answer")
		r.stop()
	})
}

// An opener that finds the process beyond help ends the camera.
func TestOpenerFindsProcessStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			return nil, fmt.Errorf("opening rtsp://admin:s3cret@cam/live: %w", ErrStuck)
		})
		err := <-r.done
		if !errors.Is(err, ErrStuck) || !strings.HasPrefix(err.Error(), "camera front: opening rtsp://***@cam/live: ") {
			t.Errorf("Run returned %v", err)
		}
		r.expect(t, vision.CameraOffline, "opening rtsp://***@cam/live: "+ErrStuck.Error())
	})
}

type onDemand struct{ fake }

func (*onDemand) OnDemand() {}

// A source that makes pictures on demand is read when one is wanted, at fps; the same picture is no sign of a failure.
func TestOnDemand(t *testing.T) {
	for fps, want := range map[float64]time.Duration{0: time.Second, 2: 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			cfg := liveConfig()
			cfg.FPS = fps
			reads := 0
			r := start(t, cfg, opens(&onDemand{fake{read: func(context.Context) (vision.Frame, error) {
				reads++
				return frame(7), nil
			}}}))
			r.next(t)
			r.next(t) // by now the source's nature is known
			begin := time.Now()
			for range 100 {
				if f := r.next(t); time.Since(f.CapturedAt) > 0 {
					t.Fatalf("a picture is %v old", time.Since(f.CapturedAt))
				}
			}
			if d := time.Since(begin); d != 100*want || reads != 102 {
				t.Errorf("fps %v: %d reads for 102 pictures in %v, want %v", fps, reads, d, 100*want)
			}
			time.Sleep(time.Hour)
			r.expect(t, vision.CameraOnline, "")
			r.stop()
		})
	}
}

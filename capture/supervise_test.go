package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// A camera that is absent is tried for ever, ever more rarely; the log has its failure and its return once.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			if tries = append(tries, time.Now()); len(tries) <= 12 {
				return nil, errors.New("opening rtsp://admin:s3cret@cam/live: no route to host (s3cret)")
			}
			return &fake{read: ticking(10 * time.Millisecond)}, nil
		})
		time.Sleep(10 * time.Second)
		r.expect(t, vision.CameraOffline, "opening rtsp://***@cam/live: no route to host (***)")
		if _, idle := r.Progress(); !strings.Contains(idle, "waiting to open the source again") {
			t.Errorf("the reason to rest is %q", idle)
		}
		r.next(t)
		r.expect(t, vision.CameraOnline, "")
		for i := 1; i < len(tries); i++ {
			gap := tries[i].Sub(tries[i-1])
			most := min(time.Second<<(i-1), time.Minute)
			if gap < most*3/4 || gap > most {
				t.Errorf("%v between tries %d and %d, want %v to %v", gap, i, i+1, most*3/4, most)
			}
		}
		log := r.log.String()
		if strings.Count(log, "camera failed") != 1 || strings.Count(log, "camera is back") != 1 || strings.Count(log, "\n") != 2 {
			t.Errorf("the log is:\n%s", log)
		}
		if strings.Contains(log+fmt.Sprint(r.states), "s3cret") {
			t.Errorf("the password is shown: %v\n%s", r.states, log)
		}
		if s := r.Status(); s.Reconnects != 0 || s.Source != "rtsp://***@cam/live" {
			t.Errorf("status is %+v", s)
		}
		r.stop()
	})
}

// After half a minute of pictures the next failure is retried at once again.
func TestBackoffStartsAnewAfterAStablePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened, failed []time.Time
		lives := []time.Duration{time.Second, time.Second, time.Second, time.Minute, time.Hour}
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			opened = append(opened, time.Now())
			end, tick := time.Now().Add(lives[len(opened)-1]), ticking(100*time.Millisecond)
			return &fake{read: func(ctx context.Context) (vision.Frame, error) {
				if !time.Now().Before(end) {
					failed = append(failed, time.Now())
					return vision.Frame{}, errors.New("stream broke off")
				}
				return tick(ctx)
			}}, nil
		})
		time.Sleep(3 * time.Minute)
		r.stop()
		for i, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, time.Second} {
			if gap := opened[i+1].Sub(failed[i]); gap < most*3/4 || gap > most {
				t.Errorf("opened again %v after failure %d, want %v at most", gap, i+1, most)
			}
		}
		if s := r.Status(); s.Reconnects != 4 || s.State != vision.CameraOnline {
			t.Errorf("status is %+v", s)
		}
	})
}

// A read that blocks is noticed, cancelled and tried anew, and is not abandoned if it obeys.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			if opened++; opened == 2 {
				return &fake{read: ticking(10 * time.Millisecond)}, nil
			}
			n := 0
			return &fake{read: func(ctx context.Context) (vision.Frame, error) {
				if n++; n == 1 {
					return frame(1), nil
				}
				<-ctx.Done()
				return vision.Frame{}, ctx.Err()
			}}, nil
		})
		r.next(t)
		time.Sleep(9900 * time.Millisecond)
		r.expect(t, vision.CameraOnline, "")
		time.Sleep(200 * time.Millisecond)
		r.expect(t, vision.CameraStalled, "no picture for 10s")
		r.next(t)
		r.expect(t, vision.CameraOnline, "")
		if s := r.Status(); s.Abandoned != 0 || s.Reconnects != 1 {
			t.Errorf("status is %+v", s)
		}
		r.stop()
	})
}

// Calls that never return are left behind; after three of them only a new process helps.
// Those that return late are closed and forgiven.
func TestStuck(t *testing.T) {
	for _, where := range []string{"open", "read"} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			var mu sync.Mutex
			var sources []*fake
			r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
				if where == "open" {
					<-release
				}
				src := &fake{read: func(context.Context) (vision.Frame, error) {
					<-release
					return frame(1), nil
				}}
				mu.Lock()
				defer mu.Unlock()
				sources = append(sources, src)
				return src, nil
			})
			err := <-r.done
			if !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "front") {
				t.Errorf("%s: Run returned %v, want ErrStuck and the camera", where, err)
			}
			if s := r.Status(); s.Abandoned != 3 || s.State != vision.CameraOffline {
				t.Errorf("%s: status is %+v", where, s)
			}
			close(release)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if r.stuck.Load() != 0 || len(sources) != 3 {
				t.Errorf("%s: %d still count as stuck, %d sources", where, r.stuck.Load(), len(sources))
			}
			for i, s := range sources {
				if !s.closed.Load() {
					t.Errorf("%s: source %d was not closed when its call returned", where, i+1)
				}
			}
			if f, ok, _ := r.box.take(); ok {
				t.Errorf("%s: an abandoned read delivered frame %d", where, f.Seq)
			}
		})
	}
}

// Abandoned calls that do return later don't add up over the months.
func TestLateReturnsAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, liveConfig(), opens(&fake{read: func(context.Context) (vision.Frame, error) {
			time.Sleep(30 * time.Second) // native code that knows no context
			return vision.Frame{}, errors.New("timed out")
		}}))
		time.Sleep(10 * time.Minute)
		if s := r.Status(); s.Abandoned < 5 || s.State == vision.CameraOnline {
			t.Errorf("status is %+v", s)
		}
		if err, d := r.stop(); err != nil || d > obedience {
			t.Errorf("Run returned %v after %v", err, d)
		}
		time.Sleep(time.Minute)
	})
}

// The same picture for half a minute is a frozen camera: it is opened again, and until another
// picture comes nothing is delivered.
func TestFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		var opened atomic.Int32
		r := start(t, cfg, func(context.Context, Config) (Source, error) {
			moves := opened.Add(1) == 3
			n := byte(1)
			return &fake{read: func(ctx context.Context) (vision.Frame, error) {
				if moves {
					n++
				}
				return frame(n), sleep(ctx, 100*time.Millisecond)
			}}, nil
		})
		last := time.Now()
		begin := last
		for opened.Load() < 3 || r.Status().State != vision.CameraOnline {
			f := r.next(t)
			last = time.Now()
			if f.Data[0] == 1 && last.Sub(begin) > 31*time.Second {
				t.Fatalf("the frozen picture is delivered after %v", last.Sub(begin))
			}
			synctest.Wait()
		}
		var stalled []string
		for _, s := range r.states {
			if s.State == vision.CameraStalled {
				stalled = append(stalled, s.Reason)
			}
		}
		if len(stalled) == 0 || !strings.HasPrefix(stalled[0], "picture frozen: the same one for 30s") {
			t.Errorf("states are %+v", r.states)
		}
		if d := last.Sub(begin); d < 60*time.Second || d > 70*time.Second {
			t.Errorf("another picture was delivered after %v", d)
		}
		r.stop()
	})
}

// Pictures of a folder and a recording may repeat for as long as they like.
func TestStillSourcesAreNotFrozen(t *testing.T) {
	for _, source := range []string{"still.png", "clip.mp4", "pattern:"} {
		synctest.Test(t, func(t *testing.T) {
			cfg := liveConfig()
			cfg.Source, cfg.FPS = source, 1
			r := start(t, cfg, opens(&fake{read: func(ctx context.Context) (vision.Frame, error) {
				return frame(7), sleep(ctx, time.Second)
			}}))
			for range 200 {
				r.next(t)
			}
			r.expect(t, vision.CameraOnline, "")
			r.stop()
		})
	}
}

// A camera that hangs in every call doesn't cost another one a frame.
func TestHangingCameraSlowsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hanging := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			<-release
			return nil, errors.New("late")
		})
		cfg := liveConfig()
		cfg.Name = "back"
		good := start(t, cfg, opens(&fake{read: ticking(20 * time.Millisecond)}))
		begin := time.Now()
		for range 500 {
			good.next(t)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("500 frames at 50 a second took %v", d)
		}
		good.stop()
		if _, d := hanging.stop(); d > obedience {
			t.Errorf("the hanging camera took %v to stop", d)
		}
		close(release)
		synctest.Wait()
	})
}

// A watchdog can tell a supervision that hangs from one that has a reason to rest.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := liveConfig()
		cfg.Source, cfg.FPS = "pictures/*.jpg", 0.001
		r := start(t, cfg, opens(&fake{read: func(context.Context) (vision.Frame, error) { return frame(1), nil }}))
		r.next(t)
		time.Sleep(time.Minute)
		if last, idle := r.Progress(); idle == "" || time.Since(last) < 59*time.Second {
			t.Errorf("progress is %v ago with reason %q while nobody wants a frame", time.Since(last), idle)
		}
		r.stop()

		live := start(t, liveConfig(), opens(&fake{read: ticking(time.Second)}))
		time.Sleep(10500 * time.Millisecond)
		if last, idle := live.Progress(); idle != "" || time.Since(last) > time.Second {
			t.Errorf("progress is %v ago with reason %q while pictures come", time.Since(last), idle)
		}
		live.stop()
	})
}

// The states a camera goes through are told in order, each change once.
func TestStatusChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := start(t, liveConfig(), func(context.Context, Config) (Source, error) {
			n++
			if n == 2 {
				return nil, errors.New("gone")
			}
			left, tick := 3, ticking(10*time.Millisecond)
			return &fake{read: func(ctx context.Context) (vision.Frame, error) {
				if left--; n == 1 && left < 0 {
					return vision.Frame{}, errors.New("unplugged")
				}
				return tick(ctx)
			}}, nil
		})
		time.Sleep(20 * time.Second)
		r.stop()
		var got []string
		for _, s := range r.states {
			got = append(got, strings.TrimSpace(string(s.State)+" "+s.Reason))
		}
		if want := []string{"online", "offline unplugged", "offline gone", "online"}; !slices.Equal(got, want) {
			t.Errorf("states are %q, want %q", got, want)
		}
		if s := r.states; s[1].Since != s[2].Since {
			t.Error("another reason for the same state starts the state anew")
		}
	})
}

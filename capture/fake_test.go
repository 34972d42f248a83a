package capture

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/vision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source made of functions.
type fake struct {
	read   func(ctx context.Context) (vision.Frame, error)
	closed atomic.Bool
}

func (f *fake) Read(ctx context.Context) (vision.Frame, error) { return f.read(ctx) }
func (f *fake) Close() error                                   { f.closed.Store(true); return nil }

// frame is a 4x2 picture all of whose bytes are v.
func frame(v byte) vision.Frame {
	return vision.Frame{
		Width: 4, Height: 2, Stride: 12, Data: bytes.Repeat([]byte{v}, 24),
		CapturedAt: time.Now(), Source: "fake",
	}
}

// ticking is a camera's reader: a new picture every so often, for ever.
func ticking(every time.Duration) func(context.Context) (vision.Frame, error) {
	var n byte
	return func(ctx context.Context) (vision.Frame, error) {
		if err := sleep(ctx, every); err != nil {
			return vision.Frame{}, err
		}
		n++
		return frame(n), nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func liveConfig() Config {
	cfg := DefaultConfig()
	cfg.Name, cfg.Source, cfg.FPS = "front", "rtsp://admin:s3cret@cam/live", 0
	return cfg
}

// rig is a camera under test with what it said.
type rig struct {
	*Camera
	log bytes.Buffer

	mu     sync.Mutex
	states []vision.CameraStatus
	done   chan error
	cancel context.CancelFunc
}

// start runs a camera inside a synctest bubble until the test ends.
func start(t *testing.T, cfg Config, open Opener) *rig {
	t.Helper()
	if err := cfg.Validate("cameras[0]"); err != nil {
		t.Fatal(err)
	}
	r := &rig{done: make(chan error, 1)}
	r.Camera = New(cfg, open, Options{
		Logger: slog.New(slog.NewTextHandler(&r.log, nil)),
		OnStatus: func(s vision.CameraStatus) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.states = append(r.states, s)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(cancel)
	return r
}

func opens(src Source) Opener {
	return func(context.Context, Config) (Source, error) { return src, nil }
}

// stop ends Run and returns what it returned and how long that took.
func (r *rig) stop() (error, time.Duration) {
	start := time.Now()
	r.cancel()
	return <-r.done, time.Since(start)
}

func (r *rig) next(t *testing.T) vision.Frame {
	t.Helper()
	f, err := r.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return f
}

func (r *rig) expect(t *testing.T, state vision.CameraState, reason string) {
	t.Helper()
	synctest.Wait()
	if s := r.Status(); s.State != state || s.Reason != reason {
		t.Errorf("state is %s %q, want %s %q", s.State, s.Reason, state, reason)
	}
}

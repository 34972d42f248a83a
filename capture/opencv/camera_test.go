//go:build gocv

package opencv

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// supervised runs a camera with short times until the test ends.
type supervised struct {
	*capture.Camera
	mu     sync.Mutex
	states []vision.CameraStatus
	seen   int // states that await has gone past
}

func supervise(t *testing.T, source string, change func(*capture.Config)) *supervised {
	cfg := config(source)
	cfg.FPS, cfg.RetryMin, cfg.RetryMax = 0, 50*time.Millisecond, 200*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	s := &supervised{}
	s.Camera = capture.New(cfg, Opener(discard()), capture.Options{Logger: discard(), OnStatus: func(st vision.CameraStatus) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.states = append(s.states, st)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if st := s.Status(); st.Abandoned != 0 {
			t.Errorf("%d native calls were abandoned", st.Abandoned)
		}
	})
	return s
}

// await takes frames until the camera has come to a state, however short, after the one awaited
// before, and returns the reason.
func (s *supervised) await(t *testing.T, state vision.CameraState) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if reason, ok := s.came(state); ok {
			return reason
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if f, err := s.Next(ctx); err == nil {
			f.Release()
		}
		cancel()
	}
	t.Fatalf("not %s in time, but %+v", state, s.Status())
	return ""
}

func (s *supervised) came(state vision.CameraState) (reason string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.seen < len(s.states) {
		st := s.states[s.seen]
		s.seen++
		if st.State == state {
			return st.Reason, true
		}
	}
	return "", false
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	return len(entries)
}

// A network camera that goes away and comes back, over and over: nothing is left open.
func TestReconnect(t *testing.T) {
	srv := serveMJPEG(t, "", "", nil)
	c := supervise(t, srv.URL+"/stream", nil)
	c.await(t, vision.CameraOnline)
	files := openFiles(t)
	for range 10 {
		srv.CloseClientConnections()
		reason := c.await(t, vision.CameraOffline)
		if !strings.Contains(reason, "no picture came") {
			t.Errorf("the reason is %q", reason)
		}
		c.await(t, vision.CameraOnline)
	}
	if s := c.Status(); s.Reconnects != 10 {
		t.Errorf("%d reconnects counted, want 10", s.Reconnects)
	}
	if n := openFiles(t); n > files+4 {
		t.Errorf("open files went from %d to %d", files, n)
	}
}

// An RTSP server that dies and is started again on its port.
func TestRTSPServerRestart(t *testing.T) {
	var address string
	var c *supervised
	t.Run("up", func(t *testing.T) {
		address = serveRTSP(t, "--user=admin", "--password=s3cret-word")
	})
	_, port, _ := strings.Cut(address, ":")
	c = supervise(t, "rtsp://admin:s3cret-word@"+address+"/live", func(cfg *capture.Config) { cfg.StallAfter = 2 * time.Second })
	if reason := c.await(t, vision.CameraOffline); !strings.Contains(reason, "connection refused") || strings.Contains(reason, "s3cret") {
		t.Errorf("the reason is %q", reason)
	}
	t.Run("up again", func(t *testing.T) {
		serveRTSP(t, "--user=admin", "--password=s3cret-word", "--port="+port)
		c.await(t, vision.CameraOnline)
	})
	c.await(t, vision.CameraOffline)
}

// A stream that stops without ending is noticed; the native call comes back by its own limit.
func TestStreamThatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	srv := serveMJPEG(t, "", "", hang)
	c := supervise(t, srv.URL+"/stream", func(cfg *capture.Config) { cfg.StallAfter, cfg.RetryMin = time.Second, 200*time.Millisecond })
	c.await(t, vision.CameraOnline)
	if reason := c.await(t, vision.CameraStalled); reason != "no picture for 1s" {
		t.Errorf("the reason is %q", reason)
	}
}

// A video that can't be decoded is no source; it is tried again in case it is replaced.
func TestDamagedVideo(t *testing.T) {
	path := makeVideo(t, "cut.mp4", "-i", "testsrc=size=64x48:rate=25", "-frames:v", "50", "-pix_fmt", "yuv420p")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/3], 0o644); err != nil {
		t.Fatal(err)
	}
	c := supervise(t, path, nil)
	if reason := c.await(t, vision.CameraOffline); !strings.Contains(reason, "cut.mp4") {
		t.Errorf("the reason is %q", reason)
	}
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	c.await(t, vision.CameraOnline)
}

// A recording that ends sooner than its header says is told of once, however often it loops; a whole one never.
func TestVideoThatEndsTooSoon(t *testing.T) {
	frames := []string{"-i", "testsrc=size=64x48:rate=25", "-frames:v", "100", "-pix_fmt", "yuv420p"}
	for _, c := range []struct {
		name    string
		options []string
		cut     bool
	}{
		{"whole.mp4", nil, false},
		{"whole.mkv", nil, false},
		{"whole.avi", nil, false},
		{"uneven.mkv", []string{"-vf", "select=not(mod(n\\,7))+lt(n\\,30)", "-fps_mode", "vfr"}, false},
		{"cut.mp4", []string{"-movflags", "faststart"}, true},
		{"cut.mkv", nil, true},
		{"cut.avi", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := makeVideo(t, c.name, append(slices.Clone(frames), c.options...)...)
			if c.cut {
				info, err := os.Stat(path)
				if err == nil {
					err = os.Truncate(path, info.Size()*2/3)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			cfg := config(path)
			cfg.Pace = capture.PaceFast
			src, err := Opener(slog.New(slog.NewTextHandler(&log, nil)))(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			for range 250 {
				f, err := src.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
			}
			want := 0
			if c.cut {
				want = 1
			}
			if n := strings.Count(log.String(), "video ends before its end"); n != want || c.cut && !strings.Contains(log.String(), "promised=100") {
				t.Errorf("told %d times, want %d:\n%s", n, want, log.String())
			}
		})
	}
}

// A camera that only has a snapshot URL goes on and on, a request for each picture that is wanted.
func TestSnapshotCamera(t *testing.T) {
	pattern := makeVideo(t, "%02d.jpg", "-i", "testsrc=size=160x120:rate=25", "-frames:v", "1", "-pix_fmt", "yuvj420p")
	var gets atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gets.Add(1)
		http.ServeFile(w, r, fmt.Sprintf(pattern, 1))
	}))
	t.Cleanup(srv.Close)
	c := supervise(t, srv.URL+"/snapshot.jpg", func(cfg *capture.Config) { cfg.FPS, cfg.FrozenAfter = 50, 200*time.Millisecond })
	for range 20 {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != 160 || f.Height != 120 {
			t.Errorf("a picture of %dx%d", f.Width, f.Height)
		}
		f.Release()
	}
	if s := c.Status(); s.State != vision.CameraOnline || s.Reconnects != 0 {
		t.Errorf("status is %+v", s)
	}
	if n := gets.Load(); n < 20 || n > 23 {
		t.Errorf("%d requests for 20 pictures", n)
	}
}

// BenchmarkCamera1280x720 is the whole way of a frame of a video, decoded as fast as possible.
func BenchmarkCamera1280x720(b *testing.B) {
	cfg := config(makeVideo(b, "clip.mp4", "-i", "testsrc=size=1280x720:rate=30", "-frames:v", "60", "-pix_fmt", "yuv420p"))
	cfg.Pace, cfg.FPS = capture.PaceFast, 0
	camera := capture.New(cfg, Opener(discard()), capture.Options{Logger: discard()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- camera.Run(ctx) }()
	b.ReportAllocs()
	for b.Loop() {
		f, err := camera.Next(ctx)
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

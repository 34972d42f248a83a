package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tinyConfig is a daemon with a model that is built in the test and a test card at full speed.
func tinyConfig(t *testing.T) config.Config {
	t.Helper()
	if !litert.Built {
		t.Skip("needs LiteRT: this binary was built without cgo")
	}
	dir := t.TempDir()
	model, labels := filepath.Join(dir, "tiny.tflite"), filepath.Join(dir, "labels.txt")
	if err := os.WriteFile(model, infertest.TinyClassifier(infertest.TypeUint8).Build(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(labels, []byte(strings.Repeat("label\n", infertest.TinyLabels)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Defaults()
	cfg.Device, cfg.Model, cfg.Labels = "porch", model, labels
	cfg.Infer.Library = infertest.Library(t, "LITERT", "libLiteRt.so")
	cfg.Infer.Threads = 1
	cfg.Broker.Listen = "127.0.0.1:0"
	cfg.Cameras[0].Source, cfg.Cameras[0].FPS, cfg.Cameras[0].Pace = "pattern:160x120", 0, capture.PaceFast
	cfg.Stats.Every = time.Second
	return cfg
}

// usage is what a daemon that runs for months must not use more and more of.
type usage struct {
	resident              int64
	goroutines, openFiles int
}

func measure(t *testing.T) usage {
	t.Helper()
	debug.FreeOSMemory() // what the garbage collector keeps for later is no leak
	rss, err := board.Resident()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return usage{rss, runtime.NumGoroutine(), len(fds)}
}

// TestSoak runs the daemon at full speed and expects memory, goroutines and files to stay where
// they are. GLIMPSED_SOAK sets how long: `make soak` takes an hour.
func TestSoak(t *testing.T) {
	length := 8 * time.Second
	if s := os.Getenv("GLIMPSED_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("GLIMPSED_SOAK: %v", err)
		}
	}
	app, err := New(tinyConfig(t), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()

	time.Sleep(length / 4) // until pools and windows are filled
	before := measure(t)
	every := max(length/8, time.Second)
	for end := time.Now().Add(length - length/4); time.Now().Before(end); time.Sleep(every) {
		u := measure(t)
		t.Logf("%d results, %d MiB, %d goroutines, %d files", app.results.Load(), u.resident>>20, u.goroutines, u.openFiles)
	}
	after := measure(t)
	results := app.results.Load()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// The allowance is for the allocator's mood; a leak of one frame in a hundred would be far above it.
	const allowed = 24 << 20
	if grown := after.resident - before.resident; grown > allowed {
		t.Errorf("memory grew by %d MiB over %d results", grown>>20, results)
	}
	if after.goroutines > before.goroutines+2 || after.openFiles > before.openFiles {
		t.Errorf("from %+v to %+v", before, after)
	}
	if results < 20 { // the race detector on a busy machine is slow
		t.Errorf("only %d results in %v", results, length)
	}
}

func TestModelsAreSharedByCameras(t *testing.T) {
	cfg := tinyConfig(t)
	second := cfg.Cameras[0]
	second.Name = "second"
	cfg.Cameras = append(cfg.Cameras, second)
	app, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if len(app.models) != 1 || app.all()[0].modelInUse() != app.all()[1].modelInUse() {
		t.Errorf("two cameras with one model have %d", len(app.models))
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		for _, c := range app.all() {
			for c.pipeline.stats().Results < 10 {
				if t.Context().Err() != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	// It ends when each camera has its results, however the machine shares its time.
	if err := app.Run(ctx); err != nil {
		t.Error(err)
	}
}

package pattern

import (
	"context"
	"log/slog"
	"testing"

	"github.com/glimpsed/glimpsed/capture"
)

// BenchmarkCamera1280x720 is the whole way of a frame through the supervision, at full speed.
func BenchmarkCamera1280x720(b *testing.B) {
	cfg := capture.DefaultConfig()
	cfg.Name, cfg.Source, cfg.Pace = "bench", "pattern:1280x720@0", capture.PaceFast
	cfg.Masks = [][]capture.Point{{{X: 0, Y: 0}, {X: 0.2, Y: 0}, {X: 0, Y: 0.2}}}
	camera := capture.New(cfg, Open, capture.Options{Logger: slog.New(slog.DiscardHandler)})
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

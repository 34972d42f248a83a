package pattern

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/capturetest"
)

// Frame n is the same picture in every run, and differs from the one before.
func TestDeterministicAndMoving(t *testing.T) {
	read := func() [][32]byte {
		cfg := capture.DefaultConfig()
		cfg.Source = "pattern:97x61@0"
		src, err := Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		var sums [][32]byte
		for range 40 {
			f, err := src.Read(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sha256.Sum256(f.Data))
			f.Release()
		}
		return sums
	}
	a, b := read(), read()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("frame %d differs between runs", i)
		}
		if i > 0 && a[i] == a[i-1] {
			t.Fatalf("frame %d equals the one before", i)
		}
	}
}

func BenchmarkRead1280x720(b *testing.B) {
	cfg := capture.DefaultConfig()
	cfg.Source = "pattern:1280x720@0"
	src, err := Open(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	b.ReportAllocs()
	for b.Loop() {
		f, err := src.Read(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}

func TestConformance(t *testing.T) {
	cfg := capture.DefaultConfig()
	cfg.Source = "pattern:64x48@200"
	capturetest.Run(t, capturetest.Subject{Open: Open, Config: cfg, Width: 64, Height: 48})
}

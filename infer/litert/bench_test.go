//go:build cgo && linux

package litert_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/vision"
)

func frame720p(t testing.TB) vision.Frame {
	t.Helper()
	f := vision.Frame{Format: vision.BGR, Width: 1280, Height: 720, Stride: 3 * 1280, Source: "test"}
	f.Data = make([]byte, f.Stride*f.Height)
	for i := range f.Data {
		f.Data[i] = byte(i*2654435761>>13) / 2
	}
	return f
}

// BenchmarkClassify reports, beside the time a frame, the medians of its parts: what isn't
// invoke-us is what glimpsed spends over the model's own run.
func BenchmarkClassify(b *testing.B) {
	for _, crop := range []vision.Crop{vision.CropCenter, vision.CropLetterbox, vision.CropStretch} {
		b.Run(string(crop), func(b *testing.B) {
			c := coral(b, 1, infer.ClassifierOptions{Crop: crop})
			frame := frame720p(b)
			top, _, err := c.Classify(nil, frame) // makes the tables for this size of frame
			if err != nil {
				b.Fatal(err)
			}
			var parts [3][]float64
			for i := range parts {
				parts[i] = make([]float64, 0, 1<<16)
			}
			b.ReportAllocs()
			for b.Loop() {
				var t infer.Timing
				if top, t, err = c.Classify(top[:0], frame); err != nil {
					b.Fatal(err)
				}
				for i, d := range []time.Duration{t.Preprocess, t.Invoke, t.Postprocess} {
					parts[i] = append(parts[i], float64(d.Nanoseconds())/1e3)
				}
			}
			for i, name := range []string{"preprocess-us", "invoke-us", "postprocess-us"} {
				b.ReportMetric(median(parts[i]), name)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	opts := options(b)
	model := vision.Model{Path: infertest.Shared(b, "data", "coral", "mobilenet_v2_1.0_224_quant.tflite")}
	for b.Loop() {
		it, err := litert.Open(model, opts)
		if err != nil {
			b.Fatal(err)
		}
		_ = it.Close()
	}
}

// BenchmarkInvoke is the model's run alone, by number of threads.
func BenchmarkInvoke(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, c := range infertest.CoralCases(b) {
			b.Run(fmt.Sprintf("%s/%d threads", c.Name, threads), func(b *testing.B) {
				opts := options(b)
				opts.Threads = threads
				it, err := litert.Open(c.Model, opts)
				if err != nil {
					b.Fatal(err)
				}
				defer it.Close()
				output := make([]byte, c.Out.Bytes())
				b.ReportAllocs()
				for b.Loop() {
					if err := it.Invoke(c.Input, output); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

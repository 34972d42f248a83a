package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/vision"
)

// ModelTiming is what running a model alone costs on this machine, without camera, picture or broker.
type ModelTiming struct {
	Runtime string `json:"runtime"`
	Threads int    `json:"threads"`
	Runs    int    `json:"runs"`
	// P50 and P95 are of the model's run, in milliseconds.
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	// RSS is the whole process's resident memory in MiB at the end.
	RSS float64 `json:"rss_mb"`
}

// BenchModel runs a model so many times on made-up input; it stops early after limit. Its
// memory is that of the process, so a process should measure one model and end.
func BenchModel(ctx context.Context, model vision.Model, cfg infer.Config, runs int, limit time.Duration) (t ModelTiming, err error) {
	name, open, err := kinds.Runtime(cfg.Runtime)
	if err != nil {
		return t, err
	}
	interp, err := open(model, infer.Options{Threads: cfg.Threads, Library: cfg.Library})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, interp.Close()) }()
	t.Runtime, t.Threads = name, cfg.Threads
	input, output := noise(interp.Input()), make([]byte, interp.Output().Bytes())
	times := make([]time.Duration, 0, runs)
	for end, i := time.Now().Add(limit), -warmUp; i < runs; i++ {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		start := time.Now()
		if err := interp.Invoke(input, output); err != nil {
			return t, err
		}
		if i >= 0 {
			times = append(times, time.Since(start))
		}
		if len(times) > 0 && time.Now().After(end) {
			break
		}
	}
	rss, err := board.Resident()
	if err != nil {
		return t, err
	}
	if len(times) == 0 {
		return t, fmt.Errorf("model %s: measured no run", model.Name)
	}
	t.Runs, t.RSS = len(times), float64(rss)/(1<<20)
	at := Percentiles(times, 50, 95)
	t.P50, t.P95 = millis(at[0]), millis(at[1])
	return t, nil
}

// noise is input such as a picture might be: the same each time, and no number that
// processors are slow with, as zeros and denormals may be.
func noise(spec infer.TensorSpec) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, spec.Bytes())
	if spec.DType == infer.Float32 {
		for i := 0; i < len(data); i += 4 {
			binary.NativeEndian.PutUint32(data[i:], math.Float32bits(4*random.Float32()-2))
		}
		return data
	}
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

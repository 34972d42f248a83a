package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/vision"
)

// BenchReport is what a configuration costs on this machine. Times are in milliseconds.
type BenchReport struct {
	Model   string `json:"model"`
	SHA256  string `json:"sha256"`
	Runtime string `json:"runtime"`
	Threads int    `json:"threads"`
	Source  string `json:"source"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Frames  int    `json:"frames"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`

	// Stages has the stages of a result's timing and "publish", from result to PUBACK, at full speed.
	Stages map[string]BenchStage `json:"stages"`
	// FPS is results a second at full speed.
	FPS float64 `json:"fps"`
	// CPUPerFrame is the processor time of the whole process for a frame, the rest its
	// parts: reading and decoding, the model's run, and everything else. They are means
	// over frames that go through one at a time, so that nothing else runs meanwhile.
	CPUPerFrame float64 `json:"cpu_ms_per_frame"`
	CPURead     float64 `json:"cpu_ms_read"`
	CPUInvoke   float64 `json:"cpu_ms_invoke"`
	CPUOver     float64 `json:"cpu_ms_over_read_and_invoke"`
	// AllocatedPerFrame is in bytes, over the same frames.
	AllocatedPerFrame uint64 `json:"allocated_bytes_per_frame"`
	// RSS is the resident memory in MiB at the end of the run at full speed.
	RSS float64 `json:"rss_mb"`
	// FirstResult is the time from exec to the first result's PUBACK.
	FirstResult float64 `json:"first_result_ms"`
}

// BenchStage is how long one stage takes.
type BenchStage struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// warmUp is how many results come before the figures begin: caches, lazy pages and
// the processor's clock settle in them.
const warmUp = 5

// Bench runs the first camera of cfg for so many frames, through an embedded broker of its own.
// It takes limit at most and reports on the frames it got by then.
func Bench(ctx context.Context, cfg config.Config, frames int, limit time.Duration) (BenchReport, error) {
	cam := &cfg.Cameras[0]
	cfg.Cameras = cfg.Cameras[:1]
	cam.FPS, cam.Pace = 0, capture.PaceFast
	cfg.MQTT.Brokers, cfg.Broker.Listen = nil, "127.0.0.1:0"
	cfg.StateDir = ""  // what is there is a daemon's
	cfg.Webhooks = nil // nobody out there is to hear of a measurement
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	r := BenchReport{
		Threads: cfg.Infer.Threads, Source: capture.Redact(cam.Source),
		CPU: board.CPUModel(), Cores: runtime.NumCPU(), Stages: map[string]BenchStage{},
	}
	if r.Threads == 0 {
		r.Threads = r.Cores
	}
	if err := r.fullSpeed(ctx, cfg, frames); err != nil {
		return r, err
	}
	return r, r.oneByOne(ctx, cfg, frames)
}

// fullSpeed runs the daemon itself.
func (r *BenchReport) fullSpeed(ctx context.Context, cfg config.Config, frames int) error {
	var (
		mu      sync.Mutex
		times   = map[string][]time.Duration{}
		results int
		began   time.Time
		ended   time.Time
	)
	onResult := func(res vision.Result) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		results++
		if results == 1 {
			if age, err := board.SinceExec(); err == nil {
				r.FirstResult = millis(age)
			}
			r.Width, r.Height = res.Width, res.Height
		}
		if results <= warmUp {
			began = now
			return
		}
		ended = now
		for i, d := range durations(res.Timing) {
			times[stageNames[i]] = append(times[stageNames[i]], d)
		}
		times["publish"] = append(times["publish"], now.Sub(res.CapturedAt.Add(res.Timing.Total)))
	}
	app, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), Frames: uint64(frames + warmUp), OnResult: onResult})
	if err != nil {
		return err
	}
	m := app.all()[0].modelInUse()
	r.Model, r.SHA256, r.Runtime = m.Name, m.SHA256, m.Runtime
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// A source that can't be opened would be tried again until the time is up.
		for ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
			s := app.all()[0].source().Status()
			if s.State != vision.CameraOnline && s.Reason != capture.Starting && !s.Ended && app.results.Load() == 0 {
				cancel()
			}
		}
	}()
	var rss int64
	var status vision.CameraStatus
	err = app.run(ctx, func() {
		rss, _ = board.Resident()
		status = app.all()[0].source().Status()
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if results <= warmUp {
		return fmt.Errorf("camera %s (%s): only %d results: %s", status.Camera, status.Source, results, status.Reason)
	}
	r.Frames = results - warmUp
	r.FPS = float64(r.Frames) / ended.Sub(began).Seconds()
	r.RSS = float64(rss) / (1 << 20)
	for name, ds := range times {
		at := Percentiles(ds, 50, 95, 99)
		r.Stages[name] = BenchStage{millis(at[0]), millis(at[1]), millis(at[2])}
	}
	return nil
}

// oneByOne takes frames through the stages one after the other and measures the
// processor time of each.
func (r *BenchReport) oneByOne(ctx context.Context, cfg config.Config, frames int) error {
	a := newApp(cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err := a.openLink(); err != nil {
		return errors.Join(err, a.free())
	}
	var serve group
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	serve.start(func() error { return a.mqtt.Run(serving) })
	defer func() {
		flush, cancel := context.WithTimeout(context.Background(), publishBudget)
		defer cancel()
		_ = a.publisher.Close(flush) // its results were waited for
		stop()
		<-serve.done()
		_ = a.free()
	}()

	ref, labels := cfg.ModelOf(0)
	m, err := OpenModel(models.NewStore(cfg.Models.Dir), ref, labels, cfg.Infer)
	if err != nil {
		return err
	}
	defer m.Close()
	interp := &meteredInterpreter{Interpreter: m.shared}
	classifier, err := infer.New(m.Model, interp, infer.ClassifierOptions{Top: cfg.Infer.Top, Crop: cfg.Cameras[0].Crop})
	if err != nil {
		return err
	}
	source := &meteredSource{turn: make(chan struct{})}
	cam := capture.New(cfg.Cameras[0].Config, source.open, capture.Options{Logger: a.log})
	looking, stopLooking := context.WithCancel(ctx)
	var look group
	look.start(func() error { return cam.Run(looking) })
	defer func() { stopLooking(); <-look.done() }()

	var total, read, invoke []time.Duration
	var before, after runtime.MemStats
	for i := range frames + warmUp {
		if i == warmUp {
			runtime.ReadMemStats(&before)
		}
		source.cpu, interp.cpu = 0, 0
		start := board.CPUTime()
		select {
		case source.turn <- struct{}{}:
		case <-looking.Done():
		}
		frame, err := cam.Next(looking)
		if err != nil {
			break // the source has ended or the time is up: report on what there is
		}
		top, _, err := classifier.Classify(nil, frame)
		frame.Release()
		if err != nil {
			return err
		}
		result := vision.Result{Camera: cfg.Cameras[0].Name, RunID: a.runID, Seq: uint64(i + 1), CapturedAt: frame.CapturedAt,
			Model: m.Ref(), Top: top, Width: frame.Width, Height: frame.Height}
		ack, err := a.publisher.Publish(ctx, a.encoder.Result(&result))
		if err != nil {
			return err
		}
		<-ack.Done()
		if i >= warmUp {
			total = append(total, board.CPUTime()-start)
			read = append(read, source.cpu)
			invoke = append(invoke, interp.cpu)
		}
	}
	runtime.ReadMemStats(&after)
	return r.sum(total, read, invoke, before, after)
}

func (r *BenchReport) sum(total, read, invoke []time.Duration, before, after runtime.MemStats) error {
	if len(total) == 0 {
		return errors.New("no frame went through one at a time within the time given")
	}
	r.CPUPerFrame, r.CPURead, r.CPUInvoke = mean(total), mean(read), mean(invoke)
	over := make([]time.Duration, len(total))
	for i := range total {
		over[i] = total[i] - read[i] - invoke[i]
	}
	r.CPUOver = mean(over)
	r.AllocatedPerFrame = (after.TotalAlloc - before.TotalAlloc) / uint64(len(total))
	return nil
}

// mean leaves out the hundredth that took longest: on a shared machine those are somebody else's.
func mean(ds []time.Duration) float64 {
	slices.Sort(ds)
	ds = ds[:len(ds)-len(ds)/100]
	var sum time.Duration
	for _, d := range ds {
		sum += d
	}
	return millis(sum / time.Duration(len(ds)))
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// meteredInterpreter measures the processor time of the model's run.
type meteredInterpreter struct {
	infer.Interpreter
	cpu time.Duration
}

func (m *meteredInterpreter) Invoke(input, output []byte) error {
	start := board.CPUTime()
	err := m.Interpreter.Invoke(input, output)
	m.cpu = board.CPUTime() - start
	return err
}

// meteredSource reads when it is its turn, and measures the processor time of that.
type meteredSource struct {
	turn chan struct{}
	cpu  time.Duration
}

func (m *meteredSource) open(ctx context.Context, cfg capture.Config) (capture.Source, error) {
	src, err := kinds.SourceOpener(slog.New(slog.DiscardHandler))(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &meteredRead{Source: src, meter: m}, nil
}

// meteredRead is one opening of a meteredSource.
type meteredRead struct {
	capture.Source
	meter *meteredSource
}

func (m *meteredRead) Read(ctx context.Context) (vision.Frame, error) {
	select {
	case <-m.meter.turn:
	case <-ctx.Done():
		return vision.Frame{}, ctx.Err()
	}
	start := board.CPUTime()
	f, err := m.Source.Read(ctx)
	m.meter.cpu = board.CPUTime() - start
	return f, err
}

// BenchStages are the names in BenchReport.Stages, in the order a frame passes them.
func BenchStages() []string { return append(slices.Clone(stageNames[:]), "publish") }

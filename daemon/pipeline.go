package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// frames is a camera as a pipeline sees it: *capture.Camera.
type frames interface {
	// Next waits for the newest frame, ready to be classified.
	Next(ctx context.Context) (vision.Frame, error)
}

// classifier is what a pipeline needs of *infer.Classifier.
type classifier interface {
	Classify(dst []vision.Classification, frame vision.Frame) ([]vision.Classification, infer.Timing, error)
}

// Pipeline takes one camera's frames to results.
type Pipeline struct {
	camera string
	runID  string
	// frames changes only while Run isn't running.
	frames frames
	stage  *Stage
	log    *slog.Logger
	// emit takes each result with its picture, which it must not keep; it must not block on anything outside.
	emit func(vision.Result, vision.Frame)
	// snapshots has room for one request.
	snapshots chan *snapshotRequest
	// onFault is told when classifying begins or ceases to fail.
	onFault func()

	// turn is held by Run while it has a frame in hand, and by Swap: it guards view and seq.
	turn chan struct{}
	view view
	seq  uint64

	mu         sync.Mutex
	model      vision.ModelRef            // view's, guarded by mu
	classified uint64                     // guarded by mu
	still      uint64                     // held back by motion, guarded by mu
	latencies  [len(stageNames)]Latencies // guarded by mu

	fault fault // why the newest frame could not be classified
}

// view is how a pipeline looks at frames: what can change between two of them.
type view struct {
	model  vision.ModelRef
	labels classifier
	// health is offered every frame; it may be nil.
	health *HealthCheck
	// motion holds still pictures back; nil holds none.
	motion *capture.Motion
}

// newPipeline is a Pipeline that lacks what only its maker knows: frames, stage, log, emit and onFault.
func newPipeline(camera, runID string, v view) *Pipeline {
	return &Pipeline{
		camera: camera, runID: runID, view: v, model: v.model,
		snapshots: make(chan *snapshotRequest, 1), turn: make(chan struct{}, 1),
	}
}

// Swap has the next frame looked at as change says. When it returns without an error, nothing uses any more what was there
// before. It waits for the frame in hand, until ctx ends.
func (p *Pipeline) Swap(ctx context.Context, change func(*view)) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("camera %s: the frame in hand was not done: %w", p.camera, ctx.Err())
	}
	defer func() { <-p.turn }()
	change(&p.view)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.model = p.view.model
	return nil
}

// stageNames are the parts of a Timing, in the order a frame passes them.
var stageNames = [...]string{"capture", "decode", "queue", "preprocess", "invoke", "postprocess", "total"}

// durations returns t's parts in the order of stageNames.
func durations(t vision.Timing) [len(stageNames)]time.Duration {
	return [...]time.Duration{t.Capture, t.Decode, t.Queue, t.Preprocess, t.Invoke, t.Postprocess, t.Total}
}

// faultPause keeps a model that fails on every frame from spinning.
const faultPause = time.Second

// Run classifies until ctx ends or the camera has come to its end; both are no error.
func (p *Pipeline) Run(ctx context.Context) error {
	for {
		frame, err := p.frames.Next(ctx)
		switch {
		case err == nil:
			p.turn <- struct{}{}
			err = p.take(frame)
			<-p.turn
		case errors.Is(err, capture.ErrEnded), ctx.Err() != nil:
			return nil
		default: // this picture could not be prepared
		}
		if err != nil && !p.failed(ctx, err) {
			return nil
		}
	}
}

// take looks at one frame and releases it.
func (p *Pipeline) take(frame vision.Frame) error {
	defer frame.Release()
	now := time.Now()
	taken := now.Add(-frame.Prepare)
	p.stage.Begin()
	p.view.health.Offer(frame)
	if !p.view.motion.Passes(frame, now) {
		p.answerSnapshot(frame)
		p.stage.End()
		p.mu.Lock()
		p.still++
		p.mu.Unlock()
		return nil
	}
	top, timing, err := p.view.labels.Classify(nil, frame)
	p.stage.End()
	done := time.Now()
	p.answerSnapshot(frame)
	if err != nil {
		return err
	}
	p.setFault(nil)
	p.seq++
	result := vision.Result{
		Camera:     p.camera,
		RunID:      p.runID,
		Seq:        p.seq,
		CapturedAt: frame.CapturedAt,
		Model:      p.view.model,
		Top:        top,
		Width:      frame.Width,
		Height:     frame.Height,
		Timing: vision.Timing{
			Capture: frame.Capture,
			Decode:  frame.Decode,
			// CapturedAt comes before decoding.
			Queue:       max(0, taken.Sub(frame.CapturedAt)-frame.Decode) + timing.Queue,
			Preprocess:  frame.Prepare + timing.Preprocess,
			Invoke:      timing.Invoke,
			Postprocess: timing.Postprocess,
			Total:       done.Sub(frame.CapturedAt),
		},
	}
	p.measure(result.Timing)
	p.emit(result, frame)
	return nil
}

// failed notes why a frame came to nothing and rests a moment; it returns false at the end of ctx.
func (p *Pipeline) failed(ctx context.Context, err error) bool {
	p.setFault(err)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(faultPause):
		return true
	}
}

func (p *Pipeline) measure(t vision.Timing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.classified++
	for i, d := range durations(t) {
		p.latencies[i].Add(d)
	}
}

// stats is the pipeline's part of its camera's numbers.
func (p *Pipeline) stats() publish.CameraStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := publish.CameraStats{
		Model: p.model, Results: p.classified, Still: p.still,
		Latency: make(map[string]publish.Percentiles, len(stageNames)),
	}
	for i, name := range stageNames {
		at := p.latencies[i].Percentiles(50, 95, 99)
		s.Latency[name] = publish.Percentiles{P50: at[0], P95: at[1], P99: at[2]}
	}
	return s
}

// setFault keeps why classifying fails, and logs it when it begins, changes and ends.
func (p *Pipeline) setFault(err error) {
	if !p.fault.note(err) {
		return
	}
	if err == nil {
		p.log.Info("frames are classified again", "camera", p.camera)
	} else {
		p.log.Error("a frame could not be classified", "camera", p.camera, "error", err)
	}
	p.onFault()
}

// Fault says why the newest frame could not be classified, or "".
func (p *Pipeline) Fault() string { return p.fault.String() }

package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// examiner is what a health check needs of *infer.Classifier.
type examiner interface {
	Prepare(frame vision.Frame) error
	Run(dst []vision.Classification) ([]vision.Classification, infer.Timing, error)
}

// HealthCheck has a second model look, now and then, what is wrong with a camera's picture.
// The camera's pipeline offers it every frame; the model runs in a goroutine of its own, so that
// no result waits for it.
type HealthCheck struct {
	camera string
	every  time.Duration
	used   *Model // nil in tests
	model  vision.ModelRef
	labels examiner
	stage  *Stage
	log    *slog.Logger
	// emit takes each opinion; it must not block on anything outside.
	emit func(publish.Health)
	// onFault is told when checking begins or ceases to fail.
	onFault func()

	// last is when a frame was taken; it belongs to whoever calls Offer.
	last time.Time
	// free holds a token while labels is nobody's, prepared the time of capture while a picture is in it.
	free     chan struct{}
	prepared chan time.Time

	label string    // the newest opinion, Run's
	since time.Time // when it became that

	fault fault // why the newest check came to nothing
}

// stageOf is h's stage; a nil HealthCheck has none.
func (h *HealthCheck) stageOf() *Stage {
	if h == nil {
		return nil
	}
	return h.stage
}

// start makes h ready to use.
func (h *HealthCheck) start() *HealthCheck {
	h.free, h.prepared = make(chan struct{}, 1), make(chan time.Time, 1)
	h.free <- struct{}{}
	return h
}

// Offer takes the frame if a check is due and none is under way. The frame isn't kept. A nil
// HealthCheck takes none.
func (h *HealthCheck) Offer(frame vision.Frame) {
	if h == nil || !h.last.IsZero() && time.Since(h.last) < h.every {
		return
	}
	select {
	case <-h.free:
	default:
		return // the model is slower than every
	}
	h.last = time.Now()
	if err := h.labels.Prepare(frame); err != nil {
		h.setFault(err)
		h.free <- struct{}{}
		return
	}
	h.prepared <- frame.CapturedAt
}

// Run checks what Offer takes until ctx ends, which is no error.
func (h *HealthCheck) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-h.prepared:
			h.stage.Begin()
			top, _, err := h.labels.Run(nil)
			h.stage.End()
			h.setFault(err) // before Offer may have another
			h.free <- struct{}{}
			if err == nil && len(top) > 0 {
				h.tell(at, top)
			}
		}
	}
}

func (h *HealthCheck) tell(at time.Time, top []vision.Classification) {
	if best := top[0]; best.Label != h.label {
		if h.label != "" {
			h.log.Info("camera looks different", "camera", h.camera, "health", best.Label, "was", h.label, "score", best.Score)
		}
		h.label, h.since = best.Label, at
	}
	h.emit(publish.Health{Camera: h.camera, CapturedAt: at, Model: h.model, Top: top, Since: h.since})
}

// setFault keeps why a check failed, and logs it when it begins, changes and ends.
func (h *HealthCheck) setFault(err error) {
	if !h.fault.note(err) {
		return
	}
	if err == nil {
		h.log.Info("health is checked again", "camera", h.camera)
	} else {
		h.log.Error("health could not be checked", "camera", h.camera, "error", err)
	}
	h.onFault()
}

// Fault says why the newest check failed, or "".
func (h *HealthCheck) Fault() string {
	if h == nil {
		return ""
	}
	return h.fault.String()
}

package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

const (
	// obedience is how long a cancelled source may take to return: the second of its
	// contract and as much again for a busy machine.
	obedience = 2 * time.Second
	// tooManyStuck is how many native calls may hang before only a new process helps.
	tooManyStuck = 3
)

// ErrStuck is what Run returns when so many native calls of a camera hang that the
// process should be started anew. An Opener returns it when one that hangs leaves no
// other way.
var ErrStuck = errors.New("too many native calls never returned")

// Starting is a camera's reason before anything was found out about it.
const Starting = "starting"

// Options are what a Camera is given beside its Config.
type Options struct {
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// OnStatus is called whenever state or reason changes, from Run's goroutine. It must not block.
	OnStatus func(vision.CameraStatus)
}

// Camera keeps one source going: it opens it, reads it, notices when it stalls, freezes
// or fails, and opens it again, for ever. Next takes the newest picture.
type Camera struct {
	cfg      Config
	open     Opener
	log      *slog.Logger
	onStatus func(vision.CameraStatus)
	redacted string

	box     *mailbox
	rate    *rate
	frozen  frozenDetector
	prepare preparer
	timer   *time.Timer // Next's
	control chan struct{}

	frames, dropped, stale, reconnects, abandoned atomic.Uint64
	stuck                                         atomic.Int64

	mu     sync.Mutex
	status vision.CameraStatus
	fps    float64
	// lossless and onDemand are the attempt's.
	lossless, onDemand bool
	kind               Kind
	paused             bool
	attempt            *attempt
	idle               string
	progress           time.Time
}

// New makes a camera; Run brings it to life. cfg must have passed Validate.
func New(cfg Config, open Opener, opts Options) *Camera {
	now := time.Now()
	c := &Camera{
		cfg:      cfg,
		open:     open,
		log:      opts.Logger,
		onStatus: opts.OnStatus,
		redacted: Redact(cfg.Source),
		box:      newMailbox(),
		rate:     newRate(),
		frozen:   frozenDetector{after: cfg.FrozenAfter},
		prepare:  newPreparer(cfg),
		timer:    time.NewTimer(time.Hour),
		control:  make(chan struct{}, 1),
		fps:      cfg.FPS,
		progress: now,
	}
	c.timer.Stop()
	if c.log == nil {
		c.log = slog.Default()
	}
	c.log = c.log.With("camera", cfg.Name)
	c.status = vision.CameraStatus{
		Camera: cfg.Name, State: vision.CameraOffline, Reason: Starting, Since: now, Source: c.redacted,
	}
	c.applyRate()
	return c
}

// Next returns the newest picture, upright, masked and cut to the region of interest. It
// blocks until there is one, until FPS allows one and while the camera is
// away; ErrEnded says that the source has ended and its last picture was taken.
// It has one caller at a time, who releases the frame.
func (c *Camera) Next(ctx context.Context) (vision.Frame, error) {
	for {
		if err := c.awaitTurn(ctx); err != nil {
			return vision.Frame{}, err
		}
		f, err := c.await(ctx)
		if err != nil {
			return vision.Frame{}, err
		}
		now := time.Now()
		if !c.isLossless() && now.Sub(f.CapturedAt) > c.cfg.MaxAge {
			c.stale.Add(1)
			f.Release()
			continue
		}
		c.rate.took(now)
		f, err = c.prepare.apply(f)
		f.Prepare = time.Since(now)
		return f, err
	}
}

// awaitTurn waits until the frame rate allows another frame.
func (c *Camera) awaitTurn(ctx context.Context) error {
	for {
		wait := c.rate.wait(time.Now())
		if wait <= 0 {
			return ctx.Err()
		}
		c.timer.Reset(wait)
		select {
		case <-c.timer.C:
		case <-c.rate.changed:
		case <-ctx.Done():
		}
		c.timer.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (c *Camera) await(ctx context.Context) (vision.Frame, error) {
	for {
		f, ok, ended := c.box.take()
		switch {
		case ok:
			return f, nil
		case ended:
			return vision.Frame{}, ErrEnded
		}
		select {
		case <-c.box.ready:
		case <-ctx.Done():
			return vision.Frame{}, ctx.Err()
		}
	}
}

// SetFPS changes at once how many frames a second Next returns at most; 0: no limit.
func (c *Camera) SetFPS(fps float64) {
	c.mu.Lock()
	c.fps = fps
	c.mu.Unlock()
	c.applyRate()
}

// FPS is what SetFPS set last, or the configuration's.
func (c *Camera) FPS() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fps
}

// applyRate works out the time between frames from the rate wanted and the source's nature: one
// without a pace of its own is shown once a second if nothing else is said.
func (c *Camera) applyRate() {
	c.mu.Lock()
	interval := intervalOf(c.fps)
	if interval == 0 && c.lossless && c.onDemand {
		interval = time.Second
	}
	c.mu.Unlock()
	c.rate.set(interval)
}

func (c *Camera) isLossless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lossless
}

// Pause closes the source until Resume.
func (c *Camera) Pause() { c.setPaused(true) }

// Resume ends a Pause.
func (c *Camera) Resume() { c.setPaused(false) }

func (c *Camera) setPaused(paused bool) {
	c.mu.Lock()
	c.paused = paused
	c.mu.Unlock()
	wake(c.control)
}

// Paused says whether Pause was called since the last Resume.
func (c *Camera) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// Status is the camera's state and counters as they are now.
func (c *Camera) Status() vision.CameraStatus {
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	s.Frames, s.Dropped, s.Stale = c.frames.Load(), c.dropped.Load(), c.stale.Load()
	s.Reconnects, s.Abandoned = c.reconnects.Load(), c.abandoned.Load()
	return s
}

// Progress is for a watchdog: when the camera last got anywhere, and why it may rest if
// it has a reason to (paused, ended, waiting to retry or for other cameras, nobody takes its frames).
// Without a reason, a progress older than StallAfter and OpenTimeout means that
// the supervision itself hangs.
func (c *Camera) Progress() (last time.Time, idle string) {
	c.mu.Lock()
	a, last, idle := c.attempt, c.progress, c.idle
	c.mu.Unlock()
	if a == nil {
		return last, idle
	}
	switch p, since := a.at(); p {
	case waiting:
		return since, "the last picture was not taken yet"
	case queued:
		a.mu.Lock()
		defer a.mu.Unlock()
		return since, a.reason
	default:
		return since, ""
	}
}

// reasonOf is an error as a sentence for status and log, without credentials.
func (c *Camera) reasonOf(err error) string {
	return RedactFor(c.cfg.Source, err.Error())
}

func stuckError(name string) error {
	return fmt.Errorf("camera %s: %w (%d); the process has to be started anew", name, ErrStuck, tooManyStuck)
}

package capture

import (
	"context"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

type phase int

const (
	opening phase = iota
	reading
	// waiting for whoever takes the frames of a source that loses none.
	waiting
	closing
	// queued for something that other cameras share.
	queued
)

// attempt is one opening of a camera's source and the reading that follows, in a goroutine
// of its own that also closes it: should a native call never return, that
// goroutine and what it holds stay behind and nothing else does.
type attempt struct {
	cam *Camera
	// lossless: the reader waits until its last frame was taken; onDemand: and until
	// somebody waits for the next.
	// Both are settled when opened is closed.
	lossless, onDemand bool
	frozen             *frozenDetector

	// opened, delivered and held are closed when the source is open, when its first picture was
	// delivered and when its first was held back as frozen; done when all is over, err being set.
	opened, delivered, held, done chan struct{}
	err                           error

	mu        sync.Mutex
	phase     phase
	since     time.Time
	reason    string // of being queued
	finished  bool
	abandoned bool
}

func (c *Camera) start(ctx context.Context, spec SourceSpec) *attempt {
	fast := c.cfg.Pace == PaceFast && !spec.Kind.Live()
	a := &attempt{
		cam:       c,
		lossless:  fast || spec.Kind == KindPictures,
		onDemand:  !fast,
		opened:    make(chan struct{}),
		delivered: make(chan struct{}),
		held:      make(chan struct{}),
		done:      make(chan struct{}),
		since:     time.Now(),
	}
	if c.cfg.FrozenAfter > 0 && spec.Kind.Live() {
		a.frozen = &c.frozen
		a.frozen.reopened(time.Now())
	}
	c.mu.Lock()
	c.attempt, c.kind = a, spec.Kind
	c.mu.Unlock()
	a.settle()
	ctx = context.WithValue(ctx, attemptKey{}, a)
	go func() {
		a.err = a.run(ctx)
		a.mu.Lock()
		a.finished = true
		if a.abandoned {
			c.stuck.Add(-1)
		}
		a.mu.Unlock()
		close(a.done)
	}()
	return a
}

// settle tells the camera how the source is read, unless another attempt has replaced this one.
func (a *attempt) settle() {
	c := a.cam
	c.mu.Lock()
	current := c.attempt == a
	if current {
		c.lossless, c.onDemand = a.lossless, a.onDemand
	}
	c.mu.Unlock()
	if current {
		c.applyRate()
	}
}

func (a *attempt) enter(p phase) {
	a.mu.Lock()
	a.phase, a.since = p, time.Now()
	a.mu.Unlock()
}

type attemptKey struct{}

// Queued tells the Camera whose source is being opened or read with ctx that this has to wait
// for other cameras, until done is called: that is neither slow nor does it hang, and
// the time that opening or reading may take starts anew afterwards. reason is a
// sentence such as "waiting for another camera to be opened".
func Queued(ctx context.Context, reason string) (done func()) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return func() {}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.phase
	a.phase, a.since, a.reason = queued, time.Now(), reason
	return func() { a.enter(before) }
}

func (a *attempt) at() (phase, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.phase, a.since
}

// finish waits for the attempt to end and abandons it when it doesn't in time.
func (a *attempt) finish(grace time.Duration) (ended bool) {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-a.done:
		return true
	case <-t.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.finished {
		return true
	}
	a.abandoned = true
	a.cam.stuck.Add(1)
	a.cam.abandoned.Add(1)
	return false
}

func (a *attempt) run(ctx context.Context) error {
	src, err := a.cam.open(ctx, a.cam.cfg)
	if err != nil {
		return err
	}
	if _, ok := src.(OnDemand); ok {
		a.lossless, a.onDemand, a.frozen = true, true, nil
		a.settle()
	}
	close(a.opened)
	err = a.read(ctx, src)
	a.enter(closing)
	src.Close()
	return err
}

func (a *attempt) read(ctx context.Context, src Source) error {
	c := a.cam
	var gap gapEstimate
	read := func() (f vision.Frame, skipped bool, err error) {
		f, err = src.Read(ctx)
		return f, false, err
	}
	if skipper, ok := src.(Skipper); ok && !a.lossless {
		skip := func(at time.Time) bool {
			gap.seen(at)
			return c.rate.superseded(at, gap.mean)
		}
		read = func() (vision.Frame, bool, error) { return skipper.ReadUnless(ctx, skip) }
	}
	for {
		if a.lossless {
			a.enter(waiting)
			if err := c.box.awaitRoom(ctx, a.onDemand || c.rate.limits()); err != nil {
				return err
			}
		}
		a.enter(reading)
		f, skipped, err := read()
		if err != nil {
			return err
		}
		if skipped {
			c.frames.Add(1)
			c.dropped.Add(1)
			continue
		}
		if err := ctx.Err(); err != nil {
			f.Release()
			return err
		}
		f.Seq = c.frames.Add(1)
		if err := a.deliver(f); err != nil {
			return err
		}
	}
}

func (a *attempt) deliver(f vision.Frame) error {
	if a.frozen != nil {
		held, err := a.frozen.see(fingerprint(f), f.CapturedAt)
		if held || err != nil {
			f.Release()
			closeOnce(a.held)
			return err
		}
	}
	if a.cam.box.put(f) {
		a.cam.dropped.Add(1)
	}
	closeOnce(a.delivered)
	return nil
}

// closeOnce closes a channel that only its caller closes.
func closeOnce(c chan struct{}) {
	if !isClosed(c) {
		close(c)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// gapEstimate follows the time between captures; mean is 0 until it is known.
type gapEstimate struct {
	last time.Time
	n    int
	mean time.Duration
}

func (g *gapEstimate) seen(at time.Time) {
	if g.n++; g.n > 2 {
		gap := at.Sub(g.last)
		if g.mean == 0 {
			g.mean = gap
		} else {
			g.mean += (gap - g.mean) / 8
		}
	}
	g.last = at
}

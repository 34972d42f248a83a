package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// openSlack is what an opening may take over OpenTimeout: openers keep to it by themselves, and
// know the reason.
const openSlack = time.Second

// outage is a failure from its first sign until pictures have come for stablePeriod, so that a
// camera that comes and goes is logged once, not each time.
type outage struct {
	since   time.Time
	reasons []string
	// over says that the end was logged.
	over bool
}

// localRetryMax is the longest pause for a camera of this machine: to look for its device costs nothing,
// and whoever has plugged it in again is waiting.
const localRetryMax = 5 * time.Second

// Run keeps the source going until ctx ends or the source does; then it returns nil.
// Failing sources are retried for ever; the one error is ErrStuck.
func (c *Camera) Run(ctx context.Context) error {
	retry := backoff{min: c.cfg.RetryMin, max: c.cfg.RetryMax}
	var failing outage
	if spec, err := ParseSource(c.cfg.Source); err == nil && (spec.Kind == KindV4L2 || spec.Kind == KindAuto) {
		retry.max = max(retry.min, min(retry.max, localRetryMax))
	}
	reconnecting := false
	for ctx.Err() == nil {
		if c.Paused() {
			c.box.clear()
			c.report(vision.CameraPaused, "paused on request")
			c.rest(ctx, true, "paused", nil)
			reconnecting = false
			continue
		}

		end := c.attend(ctx, &failing, reconnecting)
		switch {
		case ctx.Err() != nil:
			c.box.clear()
			return nil
		case errors.Is(end.err, ErrEnded):
			return c.ended()
		case c.stuck.Load() >= tooManyStuck:
			err := stuckError(c.cfg.Name)
			c.report(vision.CameraOffline, err.Error())
			return err
		case errors.Is(end.err, ErrStuck):
			reason := c.reasonOf(end.err)
			c.report(vision.CameraOffline, reason)
			return fmt.Errorf("camera %s: %w", c.cfg.Name, RedactError(c.cfg.Source, end.err))
		case end.err == nil: // paused
			continue
		}
		reconnecting = reconnecting || end.opened
		reason := c.reasonOf(end.err)
		state := vision.CameraOffline
		if end.stalled {
			state = vision.CameraStalled
		}
		c.report(state, reason)
		if end.good >= stablePeriod {
			retry.reset()
			failing = outage{}
		}
		c.logFailure(&failing, reason)
		timer := time.NewTimer(retry.delay())
		c.rest(ctx, false, "waiting to open the source again: "+reason, timer.C)
		timer.Stop()
	}
	return nil
}

// ending is how an attempt went.
type ending struct {
	// err is nil when the camera was paused.
	err error
	// opened and stalled say how far it got, good for how long pictures came.
	opened, stalled bool
	good            time.Duration
}

// attend starts an attempt and watches it to its end.
func (c *Camera) attend(ctx context.Context, failing *outage, reconnecting bool) (end ending) {
	spec, err := ParseSource(c.cfg.Source)
	if err != nil {
		return ending{err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := c.start(ctx, spec)
	defer c.leave()

	var since time.Time
	defer func() {
		if !since.IsZero() {
			end.good = time.Since(since)
		}
	}()
	opened, delivered, held := a.opened, a.delivered, a.held
	watch := time.NewTimer(c.cfg.OpenTimeout + openSlack)
	defer watch.Stop()
	onOpened := func() {
		opened, end.opened = nil, true
		watch.Reset(c.cfg.StallAfter)
		if reconnecting {
			c.reconnects.Add(1)
		}
	}
	onDelivered := func() {
		delivered, held, since = nil, nil, time.Now()
		c.report(vision.CameraOnline, "")
		c.logRecovery(failing)
	}
	for {
		select {
		case <-opened:
			onOpened()
		case <-delivered:
			onDelivered()
		case <-held:
			held = nil
			c.report(vision.CameraStalled, "picture frozen: still the same one after opening the source again")
		case <-a.done:
			// A short attempt may have been all of it before this was scheduled.
			if opened != nil && isClosed(a.opened) {
				onOpened()
			}
			if delivered != nil && isClosed(a.delivered) {
				onDelivered()
			}
			_, isFrozen := errors.AsType[frozenError](a.err)
			end.err, end.stalled = a.err, isFrozen
			return end
		case <-c.control:
			if !c.Paused() {
				continue
			}
			cancel()
			a.finish(c.cfg.StallAfter)
			return ending{opened: end.opened}
		case <-ctx.Done():
			a.finish(obedience)
			return end
		case <-watch.C:
			overdue, left := c.overdue(a)
			if overdue == nil {
				watch.Reset(left)
				continue
			}
			end.err, end.stalled = overdue, end.opened
			if end.stalled {
				c.report(vision.CameraStalled, overdue.Error())
			}
			cancel()
			if !a.finish(obedience) {
				end.err = fmt.Errorf("%w; the call that hangs was abandoned", overdue)
			}
			return end
		}
	}
}

// overdue says what an attempt has been at for too long, or how long it may go on.
func (c *Camera) overdue(a *attempt) (err error, left time.Duration) {
	p, since := a.at()
	limit, slack := c.cfg.StallAfter, time.Duration(0)
	if p == opening {
		limit, slack = c.cfg.OpenTimeout, openSlack
	}
	if p == waiting || p == queued {
		// What follows is due no sooner than this.
		return nil, min(c.cfg.StallAfter, c.cfg.OpenTimeout)
	}
	if left = limit + slack - time.Since(since); left > 0 {
		return nil, left
	}
	switch p {
	case opening:
		return fmt.Errorf("opening the source has taken longer than %v", limit), 0
	case closing:
		return fmt.Errorf("closing the source has taken longer than %v", limit), 0
	}
	return fmt.Errorf("no picture for %v", limit), 0
}

// leave notes that no attempt is under way.
func (c *Camera) leave() {
	c.mu.Lock()
	c.attempt, c.progress, c.idle = nil, time.Now(), ""
	c.mu.Unlock()
}

// rest waits, with a reason, for until, for the end of ctx or for paused not to hold any more.
func (c *Camera) rest(ctx context.Context, paused bool, idle string, until <-chan time.Time) {
	c.mu.Lock()
	c.progress, c.idle = time.Now(), idle
	c.mu.Unlock()
	defer c.leave()
	for c.Paused() == paused {
		select {
		case <-until:
			return
		case <-c.control:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Camera) ended() error {
	c.box.end()
	c.mu.Lock()
	c.status.Ended = true
	c.progress, c.idle = time.Now(), ErrEnded.Error()
	c.mu.Unlock()
	c.report(vision.CameraOffline, ErrEnded.Error())
	c.log.Info("source has ended", "source", c.redacted, "frames", c.frames.Load())
	return nil
}

// report tells of a change of state or reason; anything else is no news.
func (c *Camera) report(state vision.CameraState, reason string) {
	c.mu.Lock()
	if c.status.State == state && c.status.Reason == reason {
		c.mu.Unlock()
		return
	}
	if c.status.State != state {
		c.status.Since = time.Now()
	}
	c.status.State, c.status.Reason = state, reason
	c.mu.Unlock()
	if c.onStatus != nil {
		c.onStatus(c.Status())
	}
}

// logFailure logs an outage once for each of its reasons.
func (c *Camera) logFailure(o *outage, reason string) {
	const reasons = 8 // no more than so many are kept and logged
	first := o.since.IsZero()
	if first {
		o.since = time.Now()
	}
	if slices.Contains(o.reasons, reason) || len(o.reasons) >= reasons {
		c.log.Debug("camera still fails", "reason", reason)
		return
	}
	o.reasons, o.over = append(o.reasons, reason), false
	if first {
		c.log.Warn("camera failed, trying again until it is back", "source", c.redacted, "reason", reason)
	} else {
		c.log.Warn("camera still fails, for another reason", "source", c.redacted, "reason", reason)
	}
}

func (c *Camera) logRecovery(o *outage) {
	if o.since.IsZero() {
		c.log.Info("camera is online", "source", c.redacted)
		return
	}
	if !o.over {
		o.over = true
		c.log.Info("camera is back", "source", c.redacted, "after", time.Since(o.since).Round(100*time.Millisecond).String())
	}
}

//go:build gocv

package opencv

import (
	"context"
	"time"
)

// player paces a recording: each picture when its timestamp says, counted from the first.
type player struct {
	perFrame time.Duration // where timestamps don't tell
	last     float64       // ms
	due      time.Time
	timer    *time.Timer
}

func newPlayer(fps float64) *player {
	if !(fps > 0 && fps <= 1000) {
		fps = 25
	}
	return &player{perFrame: time.Duration(float64(time.Second) / fps)}
}

// wait blocks until the picture at position ms of the recording is due. One that is late by
// more than a second isn't caught up with.
func (p *player) wait(ctx context.Context, ms float64) error {
	now := time.Now()
	if p.due.IsZero() {
		p.due = now
	} else {
		step := time.Duration((ms - p.last) * float64(time.Millisecond))
		if step <= 0 || step > 10*time.Second { // looped, or no timestamps to go by
			step = p.perFrame
		}
		p.due = p.due.Add(step)
	}
	p.last = ms
	wait := p.due.Sub(now)
	if wait < -time.Second {
		p.due = now
	}
	if wait <= 0 {
		return ctx.Err()
	}
	if p.timer == nil {
		p.timer = time.NewTimer(wait)
	} else {
		p.timer.Reset(wait)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		p.timer.Stop()
		return ctx.Err()
	}
}

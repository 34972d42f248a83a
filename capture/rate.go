package capture

import (
	"sync"
	"time"
)

// rate spaces what Next takes: at most one frame an interval, on a schedule that
// doesn't drift with the time that taking costs.
type rate struct {
	mu       sync.Mutex
	interval time.Duration
	due      time.Time
	// changed wakes a Next that waits for a time that no longer holds.
	changed chan struct{}
}

func newRate() *rate { return &rate{changed: make(chan struct{}, 1)} }

// intervalOf turns frames a second into the time between frames; 0 for no limit.
func intervalOf(fps float64) time.Duration {
	if fps <= 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / fps)
}

func (r *rate) set(interval time.Duration) {
	r.mu.Lock()
	if r.interval != interval {
		r.interval = interval
		if soonest := time.Now().Add(interval); interval == 0 || r.due.After(soonest) {
			r.due = time.Time{}
		}
	}
	r.mu.Unlock()
	wake(r.changed)
}

// wait is how long until the next frame may be taken.
func (r *rate) wait(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interval == 0 || r.due.IsZero() {
		return 0
	}
	return r.due.Sub(now)
}

// took notes that a frame was taken. A taker that is late by less than an interval
// catches up, so that the average holds; one that is later starts a new schedule.
func (r *rate) took(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch late := now.Sub(r.due); {
	case r.interval == 0:
		r.due = time.Time{}
	case r.due.IsZero() || late >= r.interval:
		r.due = now.Add(r.interval)
	default:
		r.due = r.due.Add(r.interval)
	}
}

// limits says whether there is a time between frames.
func (r *rate) limits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interval > 0
}

// superseded says whether the frame after the one captured at the given time will be there
// before one is due, given the time between captures: then this one need not be decoded.
func (r *rate) superseded(at time.Time, between time.Duration) bool {
	if between <= 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interval > 0 && !r.due.IsZero() && at.Add(between+between/4).Before(r.due)
}

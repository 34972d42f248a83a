package capture

import (
	"fmt"
	"sync"
	"time"
)

// fewFrozen is the least number of identical pictures that count as frozen, so that a
// camera that is asked once a minute isn't judged by two of them.
const fewFrozen = 3

// frozenDetector notices a source that goes on delivering its last picture, which
// OpenCV does with some cameras that were unplugged. It outlives reopenings: a
// picture that was found frozen stays held back until another one comes.
type frozenDetector struct {
	after time.Duration

	mu    sync.Mutex
	print uint64
	since time.Time
	count int
	held  bool
}

type frozenError struct{ d time.Duration }

func (e frozenError) Error() string {
	return fmt.Sprintf("picture frozen: the same one for %v (frozen_after: 0 turns this off where nothing ever moves)", e.d)
}

// reopened starts the time anew, but not the judgement.
func (d *frozenDetector) reopened(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = now
	if !d.held {
		d.count = 0
	}
}

// see judges a picture by its fingerprint: whether it is to be held back, and after too
// long a frozenError, which ends the attempt.
func (d *frozenDetector) see(print uint64, now time.Time) (held bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == 0 || print != d.print {
		d.print, d.since, d.count, d.held = print, now, 1, false
		return false, nil
	}
	d.count++
	if still := now.Sub(d.since); still >= d.after && d.count >= fewFrozen {
		d.held = true
		return true, frozenError{still.Round(time.Second)}
	}
	return d.held, nil
}

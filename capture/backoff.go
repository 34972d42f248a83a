package capture

import (
	"math/rand/v2"
	"time"
)

// stablePeriod is how long pictures must have come for the next failure to be
// taken for a new one, retried at once.
const stablePeriod = 30 * time.Second

// backoff doubles the time between openings, each shortened by up to a quarter
// so that cameras that went away together don't come back together.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) delay() time.Duration {
	d := max(b.next, b.min)
	b.next = min(2*d, b.max)
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

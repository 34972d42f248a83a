package daemon

import (
	"slices"
	"time"
)

// window is how many of the newest frames latencies are told of: at 5 a second, the
// last minute and a half.
const window = 512

// Latencies keeps a stage's newest durations and tells their percentiles. The zero value
// is ready; it isn't safe for concurrent use.
type Latencies struct {
	ring [window]time.Duration
	n    uint64
}

// Add takes in one duration.
func (l *Latencies) Add(d time.Duration) {
	l.ring[l.n%window] = d
	l.n++
}

// Percentiles returns the nearest-rank percentiles of the kept durations for each p
// in 0..100; zeros where there is none yet.
func (l *Latencies) Percentiles(ps ...float64) []time.Duration {
	return Percentiles(slices.Clone(l.ring[:min(l.n, window)]), ps...)
}

// Percentiles returns the nearest-rank percentiles of durations for each p in
// 0..100; zeros where there are none. It sorts durations.
func Percentiles(durations []time.Duration, ps ...float64) []time.Duration {
	out := make([]time.Duration, len(ps))
	if len(durations) == 0 {
		return out
	}
	slices.Sort(durations)
	for i, p := range ps {
		rank := int(float64(len(durations))*p/100+0.999999) - 1
		out[i] = durations[max(0, min(rank, len(durations)-1))]
	}
	return out
}

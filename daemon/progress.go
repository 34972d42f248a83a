package daemon

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Progress knows of every stage whether it gets on. A stage that waits for
// something outside (a slow camera, a paused one, a broker) isn't in a step and
// is idle for a good reason; a step that lasts too long is a native call that is stuck.
// systemd's watchdog is fed only while no stage is stuck.
type Progress struct {
	mu     sync.Mutex
	stages []*Stage // guarded by mu
	probes []*probe // guarded by mu
}

// probe is a part that tells by itself when it last got on, and why it may rest.
type probe struct {
	name  string
	limit time.Duration
	look  func() (last time.Time, idle string)
}

// Watch adds a part that counts as stuck when it has not got on for limit and has no reason to be idle, until
// the function that it returns is called.
func (p *Progress) Watch(name string, limit time.Duration, look func() (last time.Time, idle string)) (end func()) {
	added := &probe{name, limit, look}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes = append(p.probes, added)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.probes = slices.DeleteFunc(p.probes, func(b *probe) bool { return b == added })
	}
}

// Stage is one stage of one pipeline. Its methods belong to the stage's goroutine.
type Stage struct {
	name string
	// began is when the step in hand was begun, as a duration since epoch; 0 while idle.
	began atomic.Int64
}

// epoch gives the monotonic readings that steps are measured by.
var epoch = time.Now()

// Stage adds a stage under the name that a stuck one is reported by.
func (p *Progress) Stage(name string) *Stage {
	s := &Stage{name: name}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages = append(p.stages, s)
	return s
}

// Remove takes a stage out that will not go on.
func (p *Progress) Remove(s *Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages = slices.DeleteFunc(p.stages, func(other *Stage) bool { return other == s })
}

// Begin marks the start of a step that must come to an end by itself.
func (s *Stage) Begin() { s.began.Store(int64(time.Since(epoch))) }

// End marks the end of the step.
func (s *Stage) End() { s.began.Store(0) }

// Stuck names the stages whose step has lasted longer than limit.
func (p *Progress) Stuck(limit time.Duration) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var stuck []string
	for _, s := range p.stages {
		if began := s.began.Load(); began != 0 {
			if took := time.Since(epoch) - time.Duration(began); took > limit {
				stuck = append(stuck, fmt.Sprintf("%s for %s", s.name, took.Round(time.Second)))
			}
		}
	}
	for _, b := range p.probes {
		last, idle := b.look()
		if took := time.Since(last); idle == "" && took > b.limit {
			stuck = append(stuck, fmt.Sprintf("%s for %s", b.name, took.Round(time.Second)))
		}
	}
	sort.Strings(stuck)
	return stuck
}

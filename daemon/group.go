package daemon

import (
	"sync"
	"time"
)

// group is goroutines that can be waited for with a limit, since a native call may never return.
type group struct {
	once sync.Once
	wg   sync.WaitGroup
	errs chan error // holds the first error
}

func (g *group) init() {
	g.once.Do(func() { g.errs = make(chan error, 1) })
}

// start runs f. All of a group's goroutines are started before done is called.
func (g *group) start(f func() error) {
	g.init()
	g.wg.Go(func() {
		if err := f(); err != nil {
			select {
			case g.errs <- err:
			default: // the first one is what ended the run
			}
		}
	})
}

// failed delivers the first error.
func (g *group) failed() <-chan error {
	g.init()
	return g.errs
}

// done returns a channel that is closed when every goroutine has returned.
func (g *group) done() <-chan struct{} {
	end := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(end)
	}()
	return end
}

// within waits for all of ends, for limit at most, and says whether all came.
func within(limit time.Duration, ends ...<-chan struct{}) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for _, end := range ends {
		select {
		case <-end:
		case <-timeout.C:
			return false
		}
	}
	return true
}

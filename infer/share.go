package infer

import (
	"fmt"
	"sync"
	"time"
)

// Shared is one user's share in an interpreter that several use, such as cameras
// with the same model. It is safe for concurrent use: callers are served one at a
// time, in the order they came. The interpreter is closed when the last share is.
type Shared struct {
	core *sharedCore
	// closed is guarded by core.mu.
	closed bool
}

type sharedCore struct {
	interp Interpreter

	mu   sync.Mutex
	cond sync.Cond // on mu; says that serving has moved on
	// next is the ticket of the next caller, serving the one whose turn it is.
	next, serving uint64
	users         int
}

// Share takes over an interpreter and returns its first share. Acquire makes more.
func Share(interp Interpreter) *Shared {
	core := &sharedCore{interp: interp, users: 1}
	core.cond.L = &core.mu
	return &Shared{core: core}
}

// Acquire returns a share of its own for one more user, who closes it.
func (s *Shared) Acquire() (*Shared, error) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("sharing an interpreter: %w", ErrClosed)
	}
	s.core.users++
	return &Shared{core: s.core}, nil
}

// Input is the model's input.
func (s *Shared) Input() TensorSpec { return s.core.interp.Input() }

// Output is the model's output.
func (s *Shared) Output() TensorSpec { return s.core.interp.Output() }

// Invoke waits for its turn and runs the model.
func (s *Shared) Invoke(input, output []byte) error {
	_, err := s.invokeQueued(input, output)
	return err
}

// invokeQueued also says how long the wait for the other users took.
func (s *Shared) invokeQueued(input, output []byte) (time.Duration, error) {
	start := time.Now()
	if err := s.enter(); err != nil {
		return 0, err
	}
	waited := time.Since(start)
	defer s.core.leave()
	return waited, s.core.interp.Invoke(input, output)
}

// enter takes a ticket and waits for its turn.
func (s *Shared) enter() error {
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return fmt.Errorf("running a shared interpreter: %w", ErrClosed)
	}
	ticket := c.next
	c.next++
	for c.serving != ticket {
		c.cond.Wait()
	}
	if s.closed {
		c.serving++
		c.cond.Broadcast()
		return fmt.Errorf("running a shared interpreter: %w", ErrClosed)
	}
	return nil
}

// leave hands the turn on.
func (c *sharedCore) leave() {
	c.mu.Lock()
	c.serving++
	c.mu.Unlock()
	c.cond.Broadcast()
}

// Close gives the share back; the last one waits for a running Invoke and closes
// the interpreter. It may be called again.
func (s *Shared) Close() error {
	c := s.core
	c.mu.Lock()
	if s.closed {
		c.mu.Unlock()
		return nil
	}
	s.closed = true
	c.users--
	if c.users > 0 {
		c.mu.Unlock()
		return nil
	}
	// Whoever waits before this ticket finds its share closed and goes.
	ticket := c.next
	c.next++
	for c.serving != ticket {
		c.cond.Wait()
	}
	c.mu.Unlock()
	return c.interp.Close()
}

package capture

import (
	"context"
	"fmt"
	"sync"
)

// Pool lends a source's picture buffers to its frames and takes them back: a Frame
// whose Owner is the pool and whose Buffer is Get's number returns by Release.
// Buffers are made as they are needed and used again, the last returned first,
// so a steady stream allocates nothing and touches little memory.
type Pool[T any] struct {
	create  func() T
	dispose func(T)

	mu       sync.Mutex
	buffers  []T
	free     []int
	closed   bool
	returned chan struct{}
}

// MaxBuffers bounds a pool: the reader, the mailbox and the classifier hold one each; the rest
// is for those who look at a frame for longer.
const MaxBuffers = 8

var errAllOut = fmt.Errorf("all %d picture buffers are in use: frames are not released", MaxBuffers)

// NewPool makes an empty pool. dispose may be nil.
func NewPool[T any](create func() T, dispose func(T)) *Pool[T] {
	if dispose == nil {
		dispose = func(T) {}
	}
	return &Pool[T]{create: create, dispose: dispose, returned: make(chan struct{}, 1)}
}

// Get lends a buffer and its number. When MaxBuffers are out it waits for one to return.
func (p *Pool[T]) Get(ctx context.Context) (T, int, error) {
	for {
		if b, i, err := p.TryGet(); err == nil {
			return b, i, nil
		}
		select {
		case <-p.returned:
		case <-ctx.Done():
			var none T
			return none, 0, fmt.Errorf("waiting for one of %d picture buffers to be released: %w", MaxBuffers, ctx.Err())
		}
	}
}

// TryGet is Get that doesn't wait.
func (p *Pool[T]) TryGet() (T, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return p.buffers[i], i, nil
	}
	if len(p.buffers) < MaxBuffers {
		b, i := p.create(), len(p.buffers)
		p.buffers = append(p.buffers, b)
		return b, i, nil
	}
	var none T
	return none, 0, errAllOut
}

// Recycle takes a buffer back.
func (p *Pool[T]) Recycle(buffer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.dispose(p.buffers[buffer])
		return
	}
	p.free = append(p.free, buffer)
	select {
	case p.returned <- struct{}{}:
	default:
	}
}

// Close disposes of the buffers; those still lent out when they return.
func (p *Pool[T]) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, i := range p.free {
		p.dispose(p.buffers[i])
	}
	p.free = nil
}

package publish

import (
	"context"
	"errors"
	"sync"
)

// Fanout gives every message to several publishers. One that fails keeps nothing
// from the others.
type Fanout []Publisher

// Publish gives m to each publisher. It is an error only where none took it; the
// Ack completes when all that took it have, with the errors of all.
func (f Fanout) Publish(ctx context.Context, m Message) (Ack, error) {
	var errs []error
	var acks []Ack
	for _, p := range f {
		a, err := p.Publish(ctx, m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		acks = append(acks, a)
	}
	if len(acks) == 0 {
		return Completed(nil), errors.Join(errs...)
	}
	return join(acks, errs), nil
}

// Close closes all publishers at the same time, as they share ctx.
func (f Fanout) Close(ctx context.Context) error {
	errs := make([]error, len(f))
	var wg sync.WaitGroup
	for i, p := range f {
		wg.Go(func() { errs[i] = p.Close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// join is one Ack for several. A goroutine is spent only where more than one is
// still open, since publishers to a terminal or a file complete at once.
func join(acks []Ack, errs []error) Ack {
	var open []Ack
	for _, a := range acks {
		select {
		case <-a.Done():
			if err := a.Err(); err != nil {
				errs = append(errs, err)
			}
		default:
			open = append(open, a)
		}
	}
	switch {
	case len(open) == 0:
		return Completed(errors.Join(errs...))
	case len(open) == 1 && len(errs) == 0:
		return open[0]
	}
	j := &joined{done: make(chan struct{})}
	go func() {
		for _, a := range open {
			<-a.Done()
			if err := a.Err(); err != nil {
				errs = append(errs, err)
			}
		}
		j.err = errors.Join(errs...)
		close(j.done)
	}()
	return j
}

type joined struct {
	done chan struct{}
	err  error
}

func (j *joined) Done() <-chan struct{} { return j.done }
func (j *joined) Err() error            { return j.err }

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Completed is an Ack that is complete already.
func Completed(err error) Ack { return completed{err} }

type completed struct{ err error }

func (completed) Done() <-chan struct{} { return closed }
func (c completed) Err() error          { return c.err }

package capture

import (
	"context"
	"sync"

	"github.com/glimpsed/glimpsed/vision"
)

// mailbox has one place, and the newest frame wins it. One reader fills it and
// one taker empties it.
type mailbox struct {
	mu    sync.Mutex
	frame vision.Frame
	full  bool
	ended bool
	// wanted says that the taker is waiting.
	wanted bool

	// ready wakes the taker, room the reader; each holds one wake-up.
	ready, room chan struct{}
}

func newMailbox() *mailbox {
	return &mailbox{ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put leaves a frame and says whether it replaced one that nobody took.
func (b *mailbox) put(f vision.Frame) (dropped bool) {
	b.mu.Lock()
	old, dropped := b.frame, b.full
	b.frame, b.full, b.wanted = f, true, false
	b.mu.Unlock()
	wake(b.ready)
	if dropped {
		old.Release()
	}
	return dropped
}

// take returns the frame if there is one. ended means that none will come any more.
func (b *mailbox) take() (f vision.Frame, ok, ended bool) {
	b.mu.Lock()
	f, ok, ended = b.frame, b.full, b.ended && !b.full
	b.frame, b.full = vision.Frame{}, false
	b.wanted = !ok
	b.mu.Unlock()
	wake(b.room)
	return f, ok, ended
}

// clear throws away what is in the box.
func (b *mailbox) clear() {
	b.mu.Lock()
	old, full := b.frame, b.full
	b.frame, b.full = vision.Frame{}, false
	b.mu.Unlock()
	if full {
		old.Release()
	}
}

func (b *mailbox) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	wake(b.ready)
}

// awaitRoom blocks the reader until the box is empty and, if onDemand, until the taker waits.
func (b *mailbox) awaitRoom(ctx context.Context, onDemand bool) error {
	for {
		b.mu.Lock()
		free := !b.full && (b.wanted || !onDemand)
		b.mu.Unlock()
		if free {
			return ctx.Err()
		}
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

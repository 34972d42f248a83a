package mqtt

import (
	"errors"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// What an Ack's Err or Publish may return.
var (
	// ErrClosed: the publisher was closed before the broker had the message.
	ErrClosed = errors.New("the MQTT publisher is closed")
	// ErrDropped: too many messages waited for the broker, and this was the oldest.
	ErrDropped = errors.New("dropped: too many messages wait for the MQTT broker")
	// ErrKept: the message waits in the outbox; the broker gets it one day, maybe after a restart.
	ErrKept = errors.New("kept in the outbox until an MQTT broker takes it")
	// ErrSuperseded: a newer message of the same retained topic took this one's place.
	ErrSuperseded = errors.New("superseded by a newer message of its topic")
)

// item is one message on its way. Everything but topic and message is guarded by
// the Publisher's mutex.
type item struct {
	// topic is the whole topic, base included.
	topic   string
	message publish.Message
	// seq is the order of acceptance.
	seq uint64
	// id is the message's in the outbox; 0: it isn't there.
	id uint64
	// sentAt is when it was taken to be sent.
	sentAt time.Time
	// own marks the publisher's own messages, the birth and the farewell, which the
	// backlog knows nothing of.
	own bool

	done    chan struct{}
	err     error
	settled bool
}

// Done implements publish.Ack.
func (i *item) Done() <-chan struct{} { return i.done }

// Err implements publish.Ack.
func (i *item) Err() error { return i.err }

// settle completes the Ack once; later calls change nothing.
func (i *item) settle(err error) {
	if i.settled {
		return
	}
	i.settled, i.err = true, err
	close(i.done)
}

// size is what the item costs in memory, roughly, in bytes.
func (i *item) size() int { return len(i.topic) + len(i.message.Payload) + 256 }

// Package publish says what leaves the daemon: the messages, their topics and
// their payloads. Where they go is the business of its sub-packages.
package publish

import (
	"context"

	"github.com/glimpsed/glimpsed/vision"
)

// Message is one thing to say.
type Message struct {
	// Topic is below the device's base topic, such as "front/result", unless Whole.
	Topic string
	Whole bool
	// Kind is the topic's kind; it decides whether a message that can't be sent yet may be
	// replaced by a newer one of the same topic (Kind.Happens).
	Kind Kind
	// Payload belongs to the publisher from Publish on.
	Payload []byte
	// QoS is 0, 1 or 2.
	QoS    byte
	Retain bool
	// Clock is for payloads with a time of capture.
	Clock Clock
	// Result is what Payload encodes where it is a result, for publishers that
	// show it to a person instead of sending it.
	Result *vision.Result
}

// Ack completes when the other side has the message.
type Ack interface {
	// Done is closed when the message was acknowledged or given up.
	Done() <-chan struct{}
	// Err is nil once the message was acknowledged; before Done is closed it has no meaning.
	Err() error
}

// Publisher takes messages. Publish returns as soon as the message is accepted, and
// an error when it isn't; it never blocks for longer than ctx lives.
type Publisher interface {
	Publish(ctx context.Context, m Message) (Ack, error)
	// Close sends what was accepted, as far as ctx allows.
	Close(ctx context.Context) error
}

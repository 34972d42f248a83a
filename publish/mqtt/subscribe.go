package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// maxReceived is how many received messages may wait for their handlers.
const maxReceived = 64

// Subscription asks for messages of others.
type Subscription struct {
	// Filter is a topic filter below Root, or a whole one.
	Filter string
	Whole  bool
	QoS    byte
	// Handle is called for one message at a time of all subscriptions. It must not call Close.
	Handle func(Received)
}

// Received is a message of somebody else.
type Received struct {
	// Topic is the whole topic.
	Topic    string
	Payload  []byte
	Retained bool
}

type delivery struct {
	handle  func(Received)
	message Received
}

// deliver runs the handlers until Run ends.
func (p *Publisher) deliver() {
	for {
		select {
		case d := <-p.received:
			d.handle(d.message)
		case <-p.done:
			return
		}
	}
}

// subscribe asks the broker for what Options.Subscriptions name, and notes whether it refuses.
func (s *session) subscribe() {
	if len(s.p.subscriptions) == 0 {
		return
	}
	type asked struct {
		filter string
		token  *paho.SubscribeToken
	}
	var all []asked
	for _, sub := range s.p.subscriptions {
		filter := s.p.whole(sub.Filter, sub.Whole)
		token := s.client.Subscribe(filter, sub.QoS, func(_ paho.Client, m paho.Message) {
			select {
			case s.p.received <- delivery{sub.Handle, Received{m.Topic(), m.Payload(), m.Retained()}}:
			default: // whoever sends so much has to send it again
				s.p.log.Warn("too many messages are waiting to be handled: one is dropped", "topic", m.Topic())
			}
		})
		all = append(all, asked{filter, token.(*paho.SubscribeToken)})
	}
	var refused []string
	patience := time.After(ackTimeout)
	for _, a := range all {
		select {
		case <-a.token.Done():
			if errors.Is(a.token.Error(), paho.ErrNotConnected) {
				return
			}
			if code, answered := a.token.Result()[a.filter]; a.token.Error() != nil || answered && code > 2 {
				refused = append(refused, a.filter)
			}
		case <-s.lost:
			return
		case <-patience:
			refused = append(refused, a.filter)
		}
	}
	s.p.refusedSubscriptions(refused)
}

// refusedSubscriptions notes what may not be read. It is logged when it changes.
func (p *Publisher) refusedSubscriptions(filters []string) {
	reason := ""
	if len(filters) > 0 {
		reason = fmt.Sprintf("may not read %s: the user's ACL forbids it", strings.Join(filters, ", "))
	}
	p.mu.Lock()
	changed := p.state.Unreadable != reason
	p.state.Unreadable = reason
	p.mu.Unlock()
	if changed && reason != "" {
		p.log.Warn("the MQTT broker refuses a subscription", "topics", strings.Join(filters, ", "))
	}
}

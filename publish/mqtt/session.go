package mqtt

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/glimpsed/glimpsed/publish"
)

const (
	// window is how many messages may be on their way at once. Brokers that count bear
	// more (mochi 1024, MQTT 5's usual least 65535); it covers a round trip of 50 ms at
	// 5,000 messages a second.
	window = 256
	// windowQoS2 is the same for QoS 2: mosquitto throws a client out that has more on
	// their way than its max_inflight_messages, 20 by default.
	windowQoS2 = 10
	// ackTimeout is how long a broker that is alive may acknowledge nothing, and slowLink
	// the bytes a second that a large message is granted on top.
	ackTimeout = time.Minute
	slowLink   = 8 << 10
	// handOver is how long paho may take to accept a message; it is tried again after. It
	// also bounds how long the loss of a connection in that moment goes unnoticed.
	handOver = 250 * time.Millisecond
	// goodbye is how long paho gets to send DISCONNECT.
	goodbye = 500 * time.Millisecond
)

// pingTimeout is how long the answer to a ping may take.
func pingTimeout(keepAlive time.Duration) time.Duration {
	return max(keepAlive/2, 500*time.Millisecond)
}

// session is one connection to one broker, with a paho client of its own that is
// never used again.
//
// What paho's tokens mean depends on how it is set up; this is read from the source
// of v1.5.1. With AutoReconnect or a persistent session a publish token may complete
// without an error although this broker has acknowledged nothing: at QoS 0 while
// reconnecting (Client.Publish), or when a stored message of the same id is sent
// again (messageIds.claimID completes the older token). With one client a connection,
// a clean session, and neither AutoReconnect nor ConnectRetry none of that can
// happen: a token completes without an error on the PUBACK (QoS 1) or PUBCOMP (QoS 2)
// that bears its id, or once it was written to the connection (QoS 0, which promises no
// more). When the connection is lost, tokens complete with an error; one published in
// that very moment may never complete, so nobody waits for a token alone.
//
// CleanSession costs nothing here: what was not acknowledged is sent again from our
// own backlog, and commands that were sent to a daemon that wasn't there must not be
// carried out later.
type session struct {
	p        *Publisher
	broker   *url.URL
	clientID string
	client   paho.Client
	// lost is closed when paho has given the connection up and all its goroutines
	// have ended; why is set before.
	lost chan struct{}
	why  error

	// exactly has room for the QoS 2 messages on their way.
	exactly chan struct{}

	mu   sync.Mutex
	link *link
	// cause is set when the session was cut before it had a link.
	cause error
}

// sent is a message that paho has taken.
type sent struct {
	item  *item
	token paho.Token
}

// connect makes one attempt at one broker.
func (p *Publisher) connect(ctx context.Context, broker *url.URL) (*session, error) {
	s := &session{p: p, broker: broker, clientID: p.clientID + p.rival.suffix, lost: make(chan struct{}), exactly: make(chan struct{}, windowQoS2)}
	user, password := p.cfg.Username, p.cfg.Password
	if user == "" && broker.User != nil {
		user = broker.User.Username()
		password, _ = broker.User.Password()
	}
	bare := *broker
	bare.User = nil // paho would prefer it to what is set
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{&bare}
	o.SetClientID(s.clientID).SetUsername(user).SetPassword(password)
	o.SetCleanSession(true).SetProtocolVersion(4)
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetStore(paho.NewMemoryStore())
	o.SetKeepAlive(p.cfg.KeepAlive).SetPingTimeout(pingTimeout(p.cfg.KeepAlive))
	o.SetConnectTimeout(p.cfg.ConnectTimeout).SetWriteTimeout(handOver)
	o.SetBinaryWill(p.status.topic, []byte(publish.Offline), p.status.delivery.QoS, p.status.delivery.Retain)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		s.why = err
		close(s.lost)
	})
	o.CustomOpenConnectionFn = func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		conn, err := dial(ctx, u, p.cfg.TLS, p.cfg.ConnectTimeout)
		if err != nil {
			return nil, err
		}
		return s.setLink(&link{Conn: conn, timeout: writeTimeout})
	}
	s.client = paho.NewClient(o)

	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		// The attempt ends by itself: its link is cut as soon as there is one.
		s.cut(errGivenUp)
		return nil, ctx.Err()
	}
	if err := token.Error(); err != nil {
		if s.link != nil && isTimeout(err) {
			return nil, errSilent
		}
		return nil, err
	}
	// paho has no error for a return code that it doesn't know: it closes the link and
	// believes to be connected.
	if s.link.connack() != 0 {
		s.cut(errUnknownRefusal)
		go s.client.Disconnect(0)
		return nil, errUnknownRefusal
	}
	return s, nil
}

func (s *session) setLink(l *link) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		l.Conn.Close()
		return nil, s.cause
	}
	s.link = l
	return l, nil
}

// cut ends the connection without a goodbye, so that the broker publishes the will.
func (s *session) cut(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
	if s.link != nil {
		s.link.cut(s.cause)
	}
}

// run publishes the birth, then all that the backlog holds and gets, until the
// connection is lost (it returns why), or the publisher is closed and everything was
// acknowledged (nil). The end of ctx cuts the connection.
func (s *session) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.cut(errGivenUp) })
	defer stop()

	over := make(chan struct{})
	defer close(over)
	go s.p.watch(over)
	go s.subscribe()
	flight := make(chan sent, window)
	left := make(chan []*item, 1)
	go func() { left <- s.collect(flight) }()
	finished, unsent := s.send(flight)
	close(flight)
	unacked := <-left
	if unsent != nil {
		unacked = append(unacked, unsent)
	}
	if finished && len(unacked) == 0 && !s.isLost() {
		s.client.Disconnect(uint(goodbye / time.Millisecond))
		return nil
	}
	<-s.lost
	s.p.restart(unacked)
	return s.why
}

func (s *session) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// send hands messages to paho, in order. It returns true after the farewell of a
// publisher that was closed; otherwise the connection was lost, and the item that it
// held in its hands is returned.
func (s *session) send(flight chan<- sent) (finished bool, unsent *item) {
	if !s.hand(s.p.own(publish.Online), flight) {
		return false, nil
	}
	for {
		i, closing := s.p.take()
		if i == nil && closing {
			return s.hand(s.p.own(publish.Offline), flight), nil
		}
		if i == nil {
			select {
			case <-s.p.wake:
			case <-s.lost:
				return false, nil
			}
			continue
		}
		if !s.hand(i, flight) {
			return false, i
		}
	}
}

// hand gives one message to paho and its token to collect. It returns false if the
// connection was lost before that.
func (s *session) hand(i *item, flight chan<- sent) bool {
	m := i.message // the item's own stays as the outbox has it
	s.p.setRight(&m)
	if m.QoS == 2 {
		select {
		case s.exactly <- struct{}{}:
		case <-s.lost:
			return false
		}
	}
	for {
		if s.isLost() {
			return false
		}
		token := s.client.Publish(i.topic, m.QoS, m.Retain, m.Payload)
		select {
		case <-token.Done():
			if token.Error() != nil {
				// paho was busy for all of handOver, or the connection is about to be lost.
				select {
				case <-s.lost:
					return false
				case <-time.After(handOver / 10):
				}
				continue
			}
		default:
		}
		select {
		case flight <- sent{i, token}:
			return true
		case <-s.lost:
			return false
		}
	}
}

// collect waits for the acknowledgements. A broker sends them in the order of the
// messages (MQTT 3.1.1, 4.6), so waiting for the oldest is enough; where QoS
// differs, an Ack may complete a little later than it could. It returns what was not
// acknowledged when the connection was lost, in order.
func (s *session) collect(flight <-chan sent) (unacked []*item) {
	patience := time.NewTimer(ackTimeout)
	defer patience.Stop()
	for f := range flight {
		patience.Reset(ackTimeout + time.Duration(len(f.item.message.Payload))*time.Second/slowLink)
		select {
		case <-f.token.Done():
		case <-s.lost:
		case <-patience.C:
			s.cut(errNoAcks)
			<-s.lost
		}
		if f.item.message.QoS == 2 {
			<-s.exactly
		}
		if acknowledged(f.token) {
			s.p.acknowledged(f.item)
			continue
		}
		// After a failed write the connection is given up, whatever paho makes of it:
		// going on would break the order.
		s.cut(tokenError(f.token))
		if !f.item.own {
			unacked = append(unacked, f.item)
		}
	}
	return unacked
}

func acknowledged(t paho.Token) bool {
	select {
	case <-t.Done():
		return t.Error() == nil
	default:
		return false
	}
}

func tokenError(t paho.Token) error {
	if err := t.Error(); err != nil {
		return err
	}
	return errors.New("connection lost")
}

// Package mqtt publishes to an MQTT broker and goes on doing so, whatever happens
// to the connection.
//
// Run owns the connection: it tries the brokers in turn, publishes the birth and
// everything retained, then what has waited, then what comes. paho.mqtt.golang only
// speaks the protocol; reconnecting, what is sent again and when a message counts
// as delivered are decided here (see session and backlog).
//
// Delivery is at least once: a result may arrive twice, with the same key, where a
// connection broke between the broker's receipt and its acknowledgement.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/outbox"
)

const (
	// retryMin is the first pause between rounds of attempts; it doubles up to Config.RetryMax.
	retryMin = 250 * time.Millisecond
	// maxPayload is MQTT's own limit (3.1.1, 2.2.3) less room for the topic, in bytes.
	maxPayload = 256<<20 - 1<<17
)

// Options are what a Publisher needs beside its Config.
type Options struct {
	// Device is the level between the base topic and everything else.
	Device string
	Log    *slog.Logger
	// Outbox keeps what the broker doesn't acknowledge; nil: memory does, within narrow bounds. The
	// Publisher doesn't close it.
	Outbox *outbox.Outbox
	// OutboxFirst has every message about something that happened in the outbox before it is sent.
	OutboxFirst bool
	// Clock sets the time of messages right that were made before the machine knew it; nil: it isn't done.
	Clock publish.BootClock
	// Subscriptions are made on each connection.
	Subscriptions []Subscription
	// OnChange, if set, is told of each new state of the connection, one call at a
	// time; it must not block, nor call Close.
	OnChange func(State)
}

// Publisher is a publish.Publisher for an MQTT broker. Messages are accepted from New
// on, and leave while Run runs.
type Publisher struct {
	cfg      Config
	brokers  []*url.URL
	root     string
	clientID string
	log      *slog.Logger
	outbox   *outbox.Outbox    // nil: none
	clock    publish.BootClock // nil: none
	onChange func(State)
	// status is where birth and will go.
	status struct {
		topic    string
		delivery publish.Delivery
	}
	// said, connections, lostAt and rival belong to Run: what was logged about the present
	// outage, how many connections there were, when the last one ended, and who else has our id.
	said        outage
	connections uint64
	lostAt      time.Time
	rival       rival
	// lasting is how long a connection under another id must last to prove that the id was contested.
	lasting time.Duration

	subscriptions []Subscription
	received      chan delivery
	// wake has room for one: there is something to take.
	wake chan struct{}
	// closing is closed by the first Close, done when Run has ended.
	closing, done chan struct{}

	mu       sync.Mutex
	backlog  backlog
	state    State
	started  bool
	stopping bool
	ended    bool
	dropping bool
	// abort ends Run at once.
	abort context.CancelFunc
}

// New makes a publisher of a valid Config with at least one broker.
func New(cfg Config, o Options) (*Publisher, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("making the MQTT publisher: there is no broker to connect to (mqtt.broker)")
	}
	if err := publish.CheckLevel(o.Device); err != nil {
		return nil, fmt.Errorf("making the MQTT publisher: device: %w", err)
	}
	p := &Publisher{
		cfg: cfg, root: publish.Root(cfg.BaseTopic, o.Device), clientID: cfg.ClientID, log: o.Log, onChange: o.OnChange,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
		backlog: newBacklog(), state: State{Since: time.Now()}, outbox: o.Outbox, clock: o.Clock,
		lasting: stableAfter, subscriptions: o.Subscriptions, received: make(chan delivery, maxReceived),
	}
	if o.Outbox != nil {
		p.backlog.store, p.backlog.first = o.Outbox, o.OutboxFirst
	}
	for _, b := range cfg.Brokers {
		u, err := parseBroker(b)
		if err != nil {
			return nil, fmt.Errorf("making the MQTT publisher: broker %w", err)
		}
		p.brokers = append(p.brokers, u)
	}
	if p.clientID == "" {
		p.clientID = clientID(o.Device, machineIDs)
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.status.topic = p.root + "/" + string(publish.KindStatus)
	p.status.delivery = cfg.Deliveries()[publish.KindStatus]
	return p, nil
}

// Root is the topic that everything is published below.
func (p *Publisher) Root() string { return p.root }

// ClientID is how the broker knows this publisher.
func (p *Publisher) ClientID() string { return p.clientID }

// Publish accepts m; it never waits for the network. The Ack completes without an
// error once the broker has acknowledged m (QoS 1 and 2) or m was written to the
// connection (QoS 0), else with ErrKept, ErrSuperseded, ErrDropped or ErrClosed.
func (p *Publisher) Publish(_ context.Context, m publish.Message) (publish.Ack, error) {
	i := &item{topic: p.whole(m.Topic, m.Whole), message: m, done: make(chan struct{})}
	if err := checkMessage(i.topic, m); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.stopping || p.ended {
		p.mu.Unlock()
		return nil, fmt.Errorf("publishing to %s: %w", i.topic, ErrClosed)
	}
	dropped := p.backlog.add(i)
	first := dropped > 0 && !p.dropping
	p.dropping = p.dropping || dropped > 0
	p.mu.Unlock()
	if first {
		p.log.Warn("too many messages wait for the MQTT broker: the oldest are dropped", "kept", maxWaiting)
	}
	p.poke()
	return i, nil
}

// whole is a whole topic or filter; one that isn't is below Root.
func (p *Publisher) whole(topic string, isWhole bool) string {
	if isWhole {
		return topic
	}
	return p.root + "/" + topic
}

func checkMessage(topic string, m publish.Message) error {
	switch {
	case m.Topic == "" || strings.ContainsAny(topic, "+#\x00") || !utf8.ValidString(topic) || len(topic) > 65535:
		return fmt.Errorf("publishing to %q: not a topic that can be published to", topic)
	case m.QoS > 2:
		return fmt.Errorf("publishing to %s: QoS must be 0, 1 or 2, got %d", topic, m.QoS)
	case len(m.Payload) > maxPayload:
		return fmt.Errorf("publishing to %s: %d bytes are more than MQTT can carry", topic, len(m.Payload))
	}
	return nil
}

func (p *Publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close sends what was accepted, publishes the farewell and disconnects, then Run
// returns. Without a connection it goes on trying to get one as long as something
// waits. At ctx's end the connection is cut, so that the broker publishes the will,
// and what wasn't acknowledged is an error.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.stopping {
		p.stopping = true
		close(p.closing)
	}
	if !p.started {
		defer p.mu.Unlock()
		return p.giveUp(ErrClosed)
	}
	if !p.state.Connected && p.idle() {
		p.abort()
	}
	p.mu.Unlock()
	p.poke()

	defer context.AfterFunc(ctx, p.abort)()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	cause := ctx.Err()
	if cause == nil {
		cause = ErrClosed
	}
	return p.giveUp(cause)
}

// idle says that nothing in memory waits for the broker. It needs mu.
func (p *Publisher) idle() bool {
	n, _ := p.backlog.pending()
	return n == 0
}

// giveUp ends every acknowledgement; the error is about what nobody keeps. It needs mu.
func (p *Publisher) giveUp(cause error) error {
	n := p.backlog.giveUp(ErrClosed)
	if n == 0 {
		return nil
	}
	return fmt.Errorf("closing the MQTT publisher: %d messages were not acknowledged by a broker: %w", n, cause)
}

// Run connects and publishes until Close has finished or ctx ends; ctx's end cuts
// the connection and gives up what waits, so Close is the way to stop it. It returns
// nil both times, and at once where Close came first; an error only if it was called before.
func (p *Publisher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	if p.started {
		p.mu.Unlock()
		return errors.New("running the MQTT publisher: it runs already, or has ended")
	}
	if p.stopping {
		p.mu.Unlock()
		return nil // closed before it ran
	}
	p.started, p.abort = true, cancel
	p.mu.Unlock()
	defer p.finish()
	if len(p.subscriptions) > 0 {
		go p.deliver()
	}

	for failures := 0; ; failures++ {
		if failures > 0 && !p.pause(ctx, failures) {
			return nil
		}
		s := p.dialAll(ctx)
		if s == nil {
			continue
		}
		p.connected(s)
		began := time.Now()
		err := p.serve(ctx, s)
		if err == nil {
			return nil
		}
		p.lostAt = time.Now()
		p.rival.lost(isEnd(err), p.lostAt.Sub(began), p.lostAt)
		if p.lostAt.Sub(began) >= stableAfter {
			failures = 0
			p.said = outage{}
		}
		if ctx.Err() == nil {
			p.failed(true, p.lossReason(err, s, p.lostAt.Sub(began)))
		}
	}
}

// serve runs a session. Should the id have been contested, it says so once the session has lasted.
func (p *Publisher) serve(ctx context.Context, s *session) error {
	if p.rival.suffix == "" || p.rival.sure {
		return s.run(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(p.lasting):
	}
	if p.rival.settle() {
		p.log.Error("another client uses the same id at the MQTT broker, as copied SD cards do: give each machine its own /etc/machine-id, or set mqtt.client_id",
			"client_id", p.clientID, "goes_on_as", s.clientID)
		p.change(func(st *State) { st.Contested = p.clientID })
	}
	return <-ended
}

// finish settles everything when Run ends. What Close has to report is left to it.
func (p *Publisher) finish() {
	p.mu.Lock()
	p.ended = true
	if !p.stopping {
		p.backlog.giveUp(ErrClosed)
	}
	p.mu.Unlock()
	p.change(func(st *State) { st.Connected, st.Broker = false, "" })
	close(p.done)
}

// dialAll makes one round of attempts; nil means that none succeeded.
func (p *Publisher) dialAll(ctx context.Context) *session {
	var reasons []string
	for _, b := range p.brokers {
		s, err := p.connect(ctx, b)
		if err == nil {
			return s
		}
		if ctx.Err() != nil {
			return nil
		}
		reasons = append(reasons, connectFailure(err, b, p.cfg.ConnectTimeout))
	}
	p.failed(false, strings.Join(reasons, "; "))
	return nil
}

// pause waits before the next round; false means that there is to be none.
func (p *Publisher) pause(ctx context.Context, failures int) bool {
	p.mu.Lock()
	idle := p.stopping && p.idle()
	p.mu.Unlock()
	if idle || ctx.Err() != nil {
		return false
	}
	wait := min(retryMin<<min(failures-1, 16), p.cfg.RetryMax)
	// From half to one and a half: a fleet must not come back all at once.
	wait = wait/2 + rand.N(wait)
	closing := p.closing
	select {
	case <-closing:
		// Close is waiting: try often, and don't let its own signal end the pause.
		wait, closing = min(wait, retryMin), nil
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closing:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// own is one of the publisher's own messages on its status topic.
func (p *Publisher) own(payload string) *item {
	d := p.status.delivery
	return &item{topic: p.status.topic, own: true, done: make(chan struct{}), message: publish.Message{
		Kind: publish.KindStatus, Payload: []byte(payload), QoS: d.QoS, Retain: d.Retain}}
}

// setRight gives a message its time where that is known by now.
func (p *Publisher) setRight(m *publish.Message) {
	if !m.Clock.Unsynced || p.clock == nil {
		return
	}
	if bootID, booted, synced := p.clock(); synced {
		m.SetRight(bootID, booted)
	}
}

// take is the next item to send, or nil; closing says that no more will come. What is in the
// outbox comes last, and not any more once the publisher is being closed.
func (p *Publisher) take() (i *item, closing bool) {
	p.mu.Lock()
	i, closing = p.backlog.take(), p.stopping
	p.mu.Unlock()
	if i != nil || closing || p.outbox == nil {
		return i, closing
	}
	id, m, ok := p.outbox.Next() // it may read from a disk
	if !ok {
		return nil, false
	}
	i = &item{topic: p.whole(m.Topic, m.Whole), message: m, id: id, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backlog.taken(i)
	return i, false
}

// watch looks, as long as a session lasts, whether the broker acknowledges.
func (p *Publisher) watch(end <-chan struct{}) {
	if p.outbox == nil {
		return
	}
	ticker := time.NewTicker(stalledAfter / 4)
	defer ticker.Stop()
	for {
		select {
		case <-end:
			return
		case now := <-ticker.C:
			p.mu.Lock()
			p.backlog.watch(now)
			p.mu.Unlock()
			p.poke()
		}
	}
}

func (p *Publisher) acknowledged(i *item) {
	if i.own {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backlog.acknowledged(i)
}

func (p *Publisher) restart(unacked []*item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.backlog.restart(unacked) > 0 {
		p.dropping = true
	}
}

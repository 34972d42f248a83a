package mqtt

import "time"

// stableAfter is how long a connection must last to count as one: a broker that
// takes clients in and throws them out is not tried in a tight loop, nor logged each time.
const stableAfter = 10 * time.Second

// State is how things stand with the broker.
type State struct {
	Connected bool
	// Broker is the address of the broker that is connected.
	Broker string
	// Reason is why there is no connection, one sentence for a person without
	// credentials; empty while connected and before the first attempt has ended.
	Reason string
	// Contested is this daemon's client id where another client uses it too; this one then goes on under another.
	Contested string
	// Unreadable says which subscriptions the broker refuses; empty: none.
	Unreadable string
	// Since is when Connected last changed.
	Since time.Time
	// Reconnects counts the connections after the first.
	Reconnects uint64
	// Pending is how many messages the broker hasn't acknowledged, those in the outbox included,
	// Lost how many were given up because too many waited, or because a disk failed.
	Pending, Lost uint64
}

// State returns how things stand.
func (p *Publisher) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stateLocked()
}

func (p *Publisher) stateLocked() State {
	s := p.state
	s.Lost = p.backlog.lost
	n, kept := p.backlog.pending()
	s.Pending = uint64(n)
	if p.outbox != nil {
		o := p.outbox.State()
		s.Pending += o.Pending - min(uint64(kept), o.Pending)
		s.Lost += o.Lost
	}
	return s
}

// outage is what was logged about the present trouble. One that comes and goes in
// quick succession counts as one, and is logged again at growing intervals.
type outage struct {
	since   time.Time
	reasons map[string]bool
	// over says that the end was logged.
	over bool
	// logged is when its beginning was logged last, quiet how long it isn't again.
	logged time.Time
	quiet  time.Duration
}

// quietMax is how seldom a connection that comes and goes for ever is logged.
const quietMax = time.Hour

// failed notes why there is no connection. Each reason is logged once an outage.
func (p *Publisher) failed(lost bool, reason string) {
	p.change(func(st *State) { st.Connected, st.Broker, st.Reason = false, "", reason })
	if p.said.over && time.Since(p.lostAt) >= stableAfter {
		p.said = outage{} // the end that was logged was none
	}
	if p.said.reasons == nil {
		p.said.since, p.said.reasons = time.Now(), map[string]bool{}
	}
	now := time.Now()
	again := p.said.over && now.Sub(p.said.logged) >= p.said.quiet
	if again || !p.said.reasons[reason] && len(p.said.reasons) < 16 {
		p.said.reasons[reason], p.said.over = true, false
		p.said.logged, p.said.quiet = now, min(max(2*p.said.quiet, stableAfter), quietMax)
		if again {
			p.said.since = now
		}
		if lost {
			p.log.Warn("lost the connection to the MQTT broker", "reason", reason)
		} else {
			p.log.Warn("no connection to an MQTT broker: trying again until there is one", "reason", reason)
		}
	}
}

// connected notes a new connection.
func (p *Publisher) connected(s *session) {
	p.connections++
	p.change(func(st *State) {
		st.Connected, st.Broker, st.Reason = true, s.broker.Host, ""
		st.Reconnects = p.connections - 1
	})
	p.mu.Lock()
	p.backlog.begin()
	dropped := p.dropping
	p.dropping = false
	lost := p.backlog.lost
	p.mu.Unlock()
	switch {
	case p.said.reasons == nil:
		p.log.Info("connected to the MQTT broker", "broker", s.broker.Host, "client_id", s.clientID, "topic", p.root)
	case !p.said.over:
		p.said.over = true
		p.log.Info("connected to the MQTT broker again", "broker", s.broker.Host, "client_id", s.clientID,
			"topic", p.root, "after", time.Since(p.said.since).Round(time.Millisecond))
	}
	if dropped {
		p.log.Warn("messages were dropped while there was no MQTT broker", "since_start", lost)
	}
}

// change applies f to the state and tells OnChange; it is called by Run only.
func (p *Publisher) change(f func(*State)) {
	p.mu.Lock()
	before := p.state
	f(&p.state)
	if p.state.Connected != before.Connected {
		p.state.Since = time.Now()
	}
	changed := p.state != before
	now := p.stateLocked()
	p.mu.Unlock()
	if changed && p.onChange != nil {
		p.onChange(now)
	}
}

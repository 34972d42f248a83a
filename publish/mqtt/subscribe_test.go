package mqtt

import (
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// received collects what a subscription's handler gets.
type received struct {
	mu  sync.Mutex
	got []string
}

func (r *received) handle(m Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mark := ""
	if m.Retained {
		mark = "!"
	}
	r.got = append(r.got, mark+m.Topic+"="+string(m.Payload))
}

func (r *received) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func send(t *testing.T, addr, topic, payload string, retain bool) {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("sender"))
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(100)
	if token := c.Publish(topic, 1, retain, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// Subscriptions are there again after every reconnect, and what was sent in between is not delivered late.
func TestSubscriptions(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		send(t, s.addr(), "homeassistant/status", "online", true)
		early := subscribe(t, s.addr(), "homeassistant/status") // mochi acknowledges before it has retained
		eventually(t, "retained", func() bool { return len(early.messages()) > 0 })
		var below, whole received
		cfg := testConfig(s.addr())
		p, err := New(cfg, Options{Device: "porch", Subscriptions: []Subscription{
			{Filter: "cmd/+", QoS: 1, Handle: below.handle},
			{Filter: "homeassistant/status", Whole: true, QoS: 1, Handle: whole.handle},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context()) }()
		eventually(t, "the retained message", func() bool { return slices.Contains(whole.all(), "!homeassistant/status=online") })
		send(t, s.addr(), "glimpsed/porch/cmd/ping", "1", false)
		send(t, s.addr(), "glimpsed/shed/cmd/ping", "2", false)
		eventually(t, "a message", func() bool { return len(below.all()) == 1 })
		s.stop()
		eventually(t, "loss is noticed", func() bool { return !p.State().Connected })
		s.start()
		eventually(t, "connected again", func() bool { return p.State().Connected })
		eventually(t, "a message after the reconnect", func() bool {
			send(t, s.addr(), "glimpsed/porch/cmd/ping", "3", false)
			return len(below.all()) > 1
		})
		if got := below.all(); got[0] != "glimpsed/porch/cmd/ping=1" || got[1] != "glimpsed/porch/cmd/ping=3" {
			t.Errorf("got %v", got)
		}
		if err := closeWithin(p, 5*time.Second); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A handler that hangs holds up neither results nor acknowledgements.
func TestSlowHandler(t *testing.T) {
	s := newMochi(t)
	s.start()
	t.Cleanup(s.stop)
	hang := make(chan struct{})
	defer close(hang)
	var log logs
	p := newTestPublisher(t, testConfig(s.addr()), "porch", &log)
	p.subscriptions = []Subscription{{Filter: "cmd/+", QoS: 1, Handle: func(Received) { <-hang }}}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	eventually(t, "connected", func() bool { return p.State().Connected })
	eventually(t, "a full queue", func() bool {
		send(t, s.addr(), "glimpsed/porch/cmd/x", "1", false)
		return log.count("too many messages are waiting") > 0
	})
	waitAck(t, mustPublish(t, p, result(1)))
	if err := closeWithin(p, 5*time.Second); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

func TestBirthAndFarewell(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		sub := subscribe(t, s.addr(), "glimpsed/#")
		p := start(t, testConfig(s.addr()), io.Discard)
		waitAck(t, mustPublish(t, p, result(1)))
		late := subscribe(t, s.addr(), "glimpsed/porch/status")
		eventually(t, "birth is retained", func() bool { return slices.Equal(late.text(), []string{"!glimpsed/porch/status=online"}) })
		if err := closeWithin(p, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		want := []string{"glimpsed/porch/status=online", "glimpsed/porch/front/result=1", "glimpsed/porch/status=offline"}
		eventually(t, "birth, result and farewell arrive", func() bool { return slices.Equal(sub.text(), want) })
		time.Sleep(50 * time.Millisecond)
		if got := sub.text(); !slices.Equal(got, want) {
			t.Errorf("a clean goodbye must not trigger the will: got %q", got)
		}
	})
}

func TestWillWhenCut(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		sub := subscribe(t, s.addr(), "glimpsed/porch/status")
		via := newProxy(t, s.addr())
		start(t, testConfig(via.Addr().String()), io.Discard)
		eventually(t, "birth", func() bool { return len(sub.messages()) == 1 })
		via.set(func(p *proxy) { p.down = true })
		via.cut()
		eventually(t, "will", func() bool {
			return slices.Equal(sub.text(), []string{"glimpsed/porch/status=online", "glimpsed/porch/status=offline"})
		})
		via.set(func(p *proxy) { p.down = false })
		eventually(t, "birth again", func() bool { return len(sub.messages()) == 3 && string(sub.messages()[2].Payload()) == "online" })
	})
}

func TestRunCutPublishesWill(t *testing.T) {
	s := newMochi(t)
	s.start()
	t.Cleanup(s.stop)
	sub := subscribe(t, s.addr(), "glimpsed/porch/status")
	p, err := New(testConfig(s.addr()), Options{Device: "porch"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- p.Run(ctx) }()
	eventually(t, "birth", func() bool { return len(sub.messages()) == 1 })
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	eventually(t, "will", func() bool { return len(sub.messages()) == 2 && string(sub.messages()[1].Payload()) == "offline" })
	if _, err := p.Publish(ctx, result(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish after Run: got %v", err)
	}
	if p.Run(ctx) == nil {
		t.Error("a second Run must be refused")
	}
}

// A broker without persistence forgets what is retained when it restarts.
func TestRetainedRepublishedAfterBrokerRestart(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		p := start(t, testConfig(s.addr()), io.Discard)
		mustPublish(t, p, state("front/status", "offline"))
		mustPublish(t, p, state("back/status", "online"))
		waitAck(t, mustPublish(t, p, state("front/status", "online")))
		gone := mustPublish(t, p, state("old/status", "online"))
		waitAck(t, gone)
		waitAck(t, mustPublish(t, p, state("old/status", "")))
		s.stop()
		eventually(t, "loss is noticed", func() bool { return !p.State().Connected })
		mustPublish(t, p, result(1))
		mustPublish(t, p, state("back/status", "stalled"))
		mustPublish(t, p, state("back/status", "offline"))
		s.start()
		eventually(t, "connected again", func() bool { st := p.State(); return st.Connected && st.Pending == 0 })
		late := subscribe(t, s.addr(), "glimpsed/#")
		want := []string{"!glimpsed/porch/back/status=offline", "!glimpsed/porch/front/status=online", "!glimpsed/porch/status=online"}
		eventually(t, "retained states", func() bool {
			got := late.text()
			slices.Sort(got)
			return slices.Equal(got, want)
		})
		if st := p.State(); st.Reconnects != 1 || st.Lost != 0 {
			t.Errorf("got %+v", st)
		}
	})
}

// The order on a new connection: birth, retained, what has waited.
func TestOrderOnConnect(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		sub := subscribe(t, s.addr(), "glimpsed/#")
		p, err := New(testConfig(s.addr()), Options{Device: "porch"})
		if err != nil {
			t.Fatal(err)
		}
		mustPublish(t, p, result(1))
		old := mustPublish(t, p, state("front/status", "offline"))
		mustPublish(t, p, result(2))
		mustPublish(t, p, state("stats", "{}"))
		mustPublish(t, p, state("front/status", "online"))
		if <-old.Done(); !errors.Is(old.Err(), ErrSuperseded) {
			t.Errorf("got %v", old.Err())
		}
		go p.Run(context.Background())
		eventually(t, "connected", func() bool { return p.State().Connected })
		if err := closeWithin(p, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		want := []string{"status=online", "stats={}", "front/status=online", "front/result=1", "front/result=2", "status=offline"}
		for i := range want {
			want[i] = "glimpsed/porch/" + want[i]
		}
		eventually(t, "all in order", func() bool { return slices.Equal(sub.text(), want) })
	})
}

// Connections break in mid-stream, again and again: every result arrives, and
// those that arrive twice don't disturb the order of the first arrivals.
func TestNothingLostWhenCut(t *testing.T) {
	for qos := range byte(2) {
		t.Run(fmt.Sprintf("QoS %d", qos+1), func(t *testing.T) {
			withServers(t, func(t *testing.T, s server) { testNothingLostWhenCut(t, s, qos+1) })
		})
	}
}

func testNothingLostWhenCut(t *testing.T, s server, qos byte) {
	const results, cuts = 2000, 12
	sub := subscribe(t, s.addr(), "glimpsed/porch/+/result")
	via := newProxy(t, s.addr())
	p := start(t, testConfig(via.Addr().String()), io.Discard)
	var last publish.Ack
	for n := 1; n <= results; n++ {
		m := result(n)
		m.QoS = qos
		last = mustPublish(t, p, m)
		if n%(results/cuts) == results/cuts/2 {
			switch n % 3 {
			case 0:
				via.set(func(p *proxy) { p.deaf = true }) // acknowledgements get lost first
				time.Sleep(10 * time.Millisecond)
			case 1:
				eventually(t, "connected", func() bool { return p.State().Connected })
			}
			via.cut()
			via.set(func(p *proxy) { p.deaf = false })
		}
		if n%10 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	waitAck(t, last)
	checkComplete(t, sub, results)
	if st := p.State(); st.Pending != 0 || st.Lost != 0 {
		t.Errorf("got %+v", st)
	}
}

// checkComplete waits for results 1 to n; each must come after its predecessor.
func checkComplete(t *testing.T, sub *subscriber, n int) {
	t.Helper()
	newest := func() (int, int) {
		newest, twice := 0, 0
		for _, m := range sub.messages() {
			k, err := strconv.Atoi(string(m.Payload()))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case k == newest+1:
				newest++
			case k <= newest:
				twice++
			default:
				t.Fatalf("%d came after %d", k, newest)
			}
		}
		return newest, twice
	}
	eventually(t, "all results have arrived", func() bool { k, _ := newest(); return k == n })
	_, twice := newest()
	t.Logf("%d results, %d came twice", n, twice)
}

// The broker goes away for a while: what was published meanwhile follows.
func TestNothingLostInOutage(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		var log logs
		p := start(t, testConfig(s.addr()), &log)
		n := 0
		more := func(k int) (last publish.Ack) {
			for range k {
				n++
				last = mustPublish(t, p, result(n))
			}
			return last
		}
		waitAck(t, more(50))
		s.stop()
		eventually(t, "loss is noticed", func() bool { return !p.State().Connected })
		more(500)
		eventually(t, "refusal is noticed", func() bool { return strings.Contains(p.State().Reason, "connection refused: no broker listens there") })
		time.Sleep(300 * time.Millisecond)
		s.start()
		sub := subscribe(t, s.addr(), "glimpsed/porch/+/result")
		waitAck(t, more(50))
		// What the first broker had acknowledged died with it; mind the rest.
		got := sub.text()
		if want := "glimpsed/porch/front/result=600"; !slices.Contains(got, want) {
			eventually(t, "the last result", func() bool { return slices.Contains(sub.text(), want) })
		}
		if l := log.count("connection refused"); l != 1 {
			t.Errorf("the refusal was logged %d times:\n%s", l, log.String())
		}
		eventually(t, "the end is logged", func() bool { return log.count("connected to the MQTT broker again") == 1 })
		if st := p.State(); st.Reason != "" || !st.Connected || st.Reconnects != 1 {
			t.Errorf("got %+v", st)
		}
	})
}

// An Ack must mean that this broker has the message: not that it was written, nor
// that a connection came back.
func TestAckNeedsPuback(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		via := newProxy(t, s.addr())
		p := start(t, testConfig(via.Addr().String()), io.Discard)
		waitAck(t, mustPublish(t, p, result(1)))
		via.set(func(p *proxy) { p.deaf, p.down = true, true })
		a := mustPublish(t, p, result(2))
		select {
		case <-a.Done():
			t.Fatalf("completed without an acknowledgement: %v", a.Err())
		case <-time.After(300 * time.Millisecond):
		}
		via.cut()
		eventually(t, "loss is noticed", func() bool { return !p.State().Connected })
		select {
		case <-a.Done():
			t.Fatalf("completed by the loss of the connection: %v", a.Err())
		case <-time.After(100 * time.Millisecond):
		}
		via.set(func(p *proxy) { p.deaf, p.down = false, false })
		waitAck(t, a)
	})
}

func TestCloseFlushes(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		const results = 2000
		sub := subscribe(t, s.addr(), "glimpsed/porch/+/result")
		p := start(t, testConfig(s.addr()), io.Discard)
		var acks []publish.Ack
		for n := range results {
			acks = append(acks, mustPublish(t, p, result(n+1)))
		}
		if err := closeWithin(p, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, a := range acks {
			waitAck(t, a)
		}
		checkComplete(t, sub, results)
		if _, err := p.Publish(context.Background(), result(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("Publish after Close: got %v", err)
		}
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// Close in an outage waits for the broker as long as its context allows.
func TestCloseInOutage(t *testing.T) {
	t.Run("broker comes back", func(t *testing.T) {
		s := newMochi(t)
		p := start(t, testConfig(s.addr()), io.Discard)
		a := mustPublish(t, p, result(1))
		eventually(t, "refused", func() bool { return p.State().Reason != "" })
		closed := make(chan error)
		go func() { closed <- closeWithin(p, 10*time.Second) }()
		time.Sleep(100 * time.Millisecond)
		s.start()
		t.Cleanup(s.stop)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		waitAck(t, a)
	})
	t.Run("broker stays away", func(t *testing.T) {
		p := start(t, testConfig(freePort(t)), io.Discard)
		a := mustPublish(t, p, result(1))
		err := closeWithin(p, 200*time.Millisecond)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 messages were not acknowledged") {
			t.Errorf("got %v", err)
		}
		if <-a.Done(); !errors.Is(a.Err(), ErrClosed) {
			t.Errorf("got %v", a.Err())
		}
	})
	t.Run("broker hangs", func(t *testing.T) {
		s := newMochi(t)
		s.start()
		t.Cleanup(s.stop)
		sub := subscribe(t, s.addr(), "glimpsed/porch/status")
		via := newProxy(t, s.addr())
		p := start(t, testConfig(via.Addr().String()), io.Discard)
		waitAck(t, mustPublish(t, p, result(1)))
		via.set(func(p *proxy) { p.deaf = true })
		mustPublish(t, p, result(2))
		began := time.Now()
		if err := closeWithin(p, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		eventually(t, "farewell or will", func() bool { m := sub.messages(); return string(m[len(m)-1].Payload()) == "offline" })
	})
	t.Run("nothing waits", func(t *testing.T) {
		p := start(t, testConfig(freePort(t)), io.Discard)
		if err := closeWithin(p, time.Minute); err != nil {
			t.Error(err)
		}
	})
	t.Run("never run", func(t *testing.T) {
		p, err := New(testConfig(freePort(t)), Options{Device: "porch"})
		if err != nil {
			t.Fatal(err)
		}
		mustPublish(t, p, result(1))
		if err := closeWithin(p, time.Minute); err == nil {
			t.Error("a message was lost without an error")
		}
	})
}

func TestPublishRefusesBadMessages(t *testing.T) {
	p, err := New(testConfig(freePort(t)), Options{Device: "porch"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []publish.Message{{Topic: ""}, {Topic: "front/#"}, {Topic: "a+b"}, {Topic: "a\x00"}, {Topic: "\xff"}, {Topic: "x", QoS: 3}} {
		if _, err := p.Publish(context.Background(), m); err == nil {
			t.Errorf("%+v was accepted", m)
		}
	}
	if _, err := New(testConfig(), Options{Device: "porch"}); err == nil {
		t.Error("no broker was accepted")
	}
	if _, err := New(testConfig("localhost:1"), Options{Device: "a/b"}); err == nil {
		t.Error("device a/b was accepted")
	}
}

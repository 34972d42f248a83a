package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/outbox"
)

func openOutbox(t *testing.T, dir string, sync time.Duration) *outbox.Outbox {
	t.Helper()
	b, err := outbox.Open(outbox.Options{Dir: dir, Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// startWith runs a publisher with an outbox until the test ends, or the function is called.
func startWith(t *testing.T, cfg Config, b *outbox.Outbox, first bool) (p *Publisher, stop func()) {
	t.Helper()
	p, err := New(cfg, Options{Device: "porch", Outbox: b, OutboxFirst: first, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- p.Run(context.Background()) }()
	eventually(t, "Run has begun", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.started })
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		closeWithin(p, 2*time.Second)
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return p, stop
}

// numbers are the results that a subscriber got, in order.
func (s *subscriber) numbers(t *testing.T) []int {
	t.Helper()
	var out []int
	for _, m := range s.messages() {
		if n, err := strconv.Atoi(string(m.Payload())); err == nil {
			out = append(out, n)
		}
	}
	return out
}

func upTo(from, to int) []int {
	var out []int
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

// What waits when the daemon stops is delivered by the next one, in order.
func TestOutboxOutlivesTheProcess(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		dir := filepath.Join(t.TempDir(), "outbox")
		s.stop()
		b := openOutbox(t, dir, time.Hour)
		p, stop := startWith(t, testConfig(s.addr()), b, false)
		for n := 1; n <= 300; n++ {
			if a := mustPublish(t, p, result(n)); n == 1 {
				select {
				case <-a.Done():
					if !errors.Is(a.Err(), ErrKept) {
						t.Errorf("got %v", a.Err())
					}
				default:
					t.Error("a message that is kept on disk holds an Ack in memory")
				}
			}
		}
		if st := p.State(); st.Pending != 300 || st.Lost != 0 {
			t.Errorf("without a broker: %+v", st)
		}
		stop()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}

		s.start()
		sub := subscribe(t, s.addr(), "glimpsed/porch/front/result")
		b = openOutbox(t, dir, time.Millisecond)
		p, _ = startWith(t, testConfig(s.addr()), b, false)
		eventually(t, "everything is delivered", func() bool { return len(sub.numbers(t)) >= 300 && p.State().Pending == 0 })
		if got := sub.numbers(t); !slices.Equal(got, upTo(1, 300)) {
			t.Errorf("got %v", got)
		}
		eventually(t, "the disk is empty", func() bool { return b.State().Bytes == 0 })
	})
}

// A healthy link costs the disk nothing.
func TestOutboxIsNotTouchedByAHealthyLink(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		dir := filepath.Join(t.TempDir(), "outbox")
		sub := subscribe(t, s.addr(), "glimpsed/porch/front/result")
		p, stop := startWith(t, testConfig(s.addr()), openOutbox(t, dir, time.Millisecond), false)
		eventually(t, "connected", func() bool { return p.State().Connected })
		for n := 1; n <= 500; n++ {
			mustPublish(t, p, result(n))
			if n%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		eventually(t, "delivered", func() bool { return len(sub.numbers(t)) == 500 })
		stop()
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the outbox's folder: %v", err)
		}
	})
}

// A broker that is connected but acknowledges nothing is as good as none.
func TestOutboxTakesWhatAStalledBrokerDoesnt(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		between := newProxy(t, s.addr())
		cfg := testConfig(between.Addr().String())
		cfg.KeepAlive = time.Minute
		b := openOutbox(t, filepath.Join(t.TempDir(), "outbox"), time.Millisecond)
		p, _ := startWith(t, cfg, b, false)
		sub := subscribe(t, s.addr(), "glimpsed/porch/front/result")
		waitAck(t, mustPublish(t, p, result(1)))
		between.set(func(p *proxy) { p.deaf = true })
		flying := mustPublish(t, p, result(2))
		eventually(t, "what is on its way is kept", func() bool { return b.State().Pending == 1 })
		kept := mustPublish(t, p, result(3))
		if <-kept.Done(); !errors.Is(kept.Err(), ErrKept) {
			t.Errorf("got %v", kept.Err())
		}
		if !p.State().Connected {
			t.Fatal("the connection is lost: this test is about one that isn't")
		}
		between.set(func(p *proxy) { p.deaf = false })
		between.cut()
		eventually(t, "delivered", func() bool { return p.State().Pending == 0 && p.State().Connected })
		if <-flying.Done(); !errors.Is(flying.Err(), ErrKept) {
			t.Errorf("got %v", flying.Err())
		}
		got := slices.Compact(sub.numbers(t)) // the broker had 2 before, and gets it again
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, upTo(1, 3)) {
			t.Errorf("got %v", sub.numbers(t))
		}
	})
}

// In mode always, whatever was accepted is on the disk before anything else happens.
func TestOutboxFirst(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		between := newProxy(t, s.addr())
		cfg := testConfig(between.Addr().String())
		cfg.KeepAlive = time.Minute
		dir := filepath.Join(t.TempDir(), "outbox")
		p, _ := startWith(t, cfg, openOutbox(t, dir, 0), true)
		eventually(t, "connected", func() bool { return p.State().Connected })
		between.set(func(p *proxy) { p.deaf, p.frozen = true, true })
		for n := 1; n <= 20; n++ {
			mustPublish(t, p, result(n))
		}
		// The power is cut now: what another process finds is all there is.
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		var got []int
		for b := openOutbox(t, copied, time.Hour); ; {
			_, m, ok := b.Next()
			if !ok {
				break
			}
			n, _ := strconv.Atoi(string(m.Payload))
			got = append(got, n)
		}
		if !slices.Equal(got, upTo(1, 20)) {
			t.Errorf("on the disk: %v", got)
		}
	})
}

// News goes ahead of what has waited, and what has waited keeps its order.
func TestNewsGoesAheadOfTheBacklog(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		const backlog = 20_000
		b := openOutbox(t, filepath.Join(t.TempDir(), "outbox"), time.Hour)
		for n := 1; n <= backlog; n++ {
			if _, err := b.Append(result(n), false); err != nil {
				t.Fatal(err)
			}
		}
		sub := subscribe(t, s.addr(), "glimpsed/porch/front/result")
		p, _ := startWith(t, testConfig(s.addr()), b, false)
		eventually(t, "the backlog has begun", func() bool { return len(sub.messages()) > 100 })
		waitAck(t, mustPublish(t, p, result(backlog+1)))
		eventually(t, "everything is delivered", func() bool { return p.State().Pending == 0 && len(sub.messages()) > backlog })
		got := sub.numbers(t)
		at := slices.Index(got, backlog+1)
		if at > backlog-500 {
			t.Errorf("news came %d messages before the end", backlog-at)
		}
		if got = slices.Delete(got, at, at+1); !slices.Equal(got, upTo(1, backlog)) {
			t.Error("the backlog is not in order")
		}
	})
}

// A store that fails costs nothing but its help: messages wait in memory as without one.
func TestOutboxThatTakesNothing(t *testing.T) {
	s := newMochi(t)
	b := openOutbox(t, filepath.Join(t.TempDir(), "outbox"), time.Hour)
	b.Close()
	p, _ := startWith(t, testConfig(s.addr()), b, true)
	for n := 1; n <= 50; n++ {
		mustPublish(t, p, result(n))
	}
	s.start()
	t.Cleanup(s.stop)
	sub := subscribe(t, s.addr(), "glimpsed/porch/front/result")
	last := mustPublish(t, p, publish.Message{Topic: "front/result", Kind: publish.KindResult, QoS: 1, Payload: []byte("51")})
	waitAck(t, last)
	eventually(t, "delivered", func() bool { got := sub.numbers(t); return len(got) > 0 && got[len(got)-1] == 51 })
	if st := p.State(); st.Lost != 0 || st.Pending != 0 {
		t.Errorf("got %+v", st)
	}
}

package mqtt

import (
	"context"
	"testing"
	"time"
)

// Two daemons with one client id would throw each other out for ever.
func TestContestedClientID(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		sub := subscribe(t, s.addr(), "glimpsed/+/front/result")
		var both []*Publisher
		var log logs
		for _, device := range []string{"porch", "shed"} {
			cfg := testConfig(s.addr())
			cfg.ClientID = "twin"
			p := newTestPublisher(t, cfg, device, &log)
			p.lasting = 300 * time.Millisecond
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(context.Background())
			go func() { ended <- p.Run(ctx) }()
			t.Cleanup(func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			both = append(both, p)
		}
		eventually(t, "the conflict is seen", func() bool {
			return both[0].State().Contested == "twin" || both[1].State().Contested == "twin"
		})
		eventually(t, "both are connected", func() bool { return both[0].State().Connected && both[1].State().Connected })
		reconnects := both[0].State().Reconnects + both[1].State().Reconnects
		for n := range 10 {
			for _, p := range both {
				waitAck(t, mustPublish(t, p, result(n)))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if now := both[0].State().Reconnects + both[1].State().Reconnects; now > reconnects+1 {
			t.Errorf("%d reconnects while both should be at peace", now-reconnects)
		}
		if n := len(sub.numbers(t)); n < 20 {
			t.Errorf("%d results arrived of 20", n)
		}
		if n := log.count("another client uses the same id"); n < 1 || n > 2 {
			t.Errorf("said %d times:\n%s", n, log.String())
		}
	})
}

func TestRival(t *testing.T) {
	now := time.Now()
	var r rival
	for range rivalLosses {
		if r.suffix != "" {
			t.Fatal("too early")
		}
		r.lost(true, time.Second, now)
	}
	if len(r.suffix) != 5 {
		t.Fatalf("suffix %q", r.suffix)
	}
	// It doesn't help: the broker has another reason.
	r.lost(true, time.Second, now)
	r.lost(true, time.Second, now)
	if r.suffix != "" {
		t.Error("an id that doesn't help is kept")
	}
	for range 10 {
		r.lost(true, time.Second, now.Add(time.Minute))
	}
	if r.suffix != "" {
		t.Error("tried again at once")
	}
	r.lost(true, time.Second, now.Add(2*rivalPause))
	if r.suffix == "" || !r.settle() || r.settle() {
		t.Errorf("got %+v", r)
	}
	// Neither a network that fails nor a connection that lasted is a rival's work.
	r = rival{}
	for range 10 {
		r.lost(false, time.Second, now)
		r.lost(true, 2*rivalWindow, now)
		r.lost(true, time.Second, now)
	}
	if r.suffix != "" {
		t.Error("taken for a rival")
	}
}

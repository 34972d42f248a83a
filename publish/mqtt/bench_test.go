package mqtt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/outbox"
)

// BenchmarkPublish sends results of their usual size at QoS 1 over TCP, as many as
// the broker takes with at most 64 unacknowledged: "results/s", and from Publish to PUBACK
// "p50-ms" and "p99-ms".
func BenchmarkPublish(b *testing.B) {
	for name, make := range servers {
		b.Run(name, func(b *testing.B) { benchmarkPublish(b, make(b), 64, 0) })
	}
}

// BenchmarkPublishPaced is the same at 2,000 results a second, evenly spaced.
func BenchmarkPublishPaced(b *testing.B) {
	for name, make := range servers {
		b.Run(name, func(b *testing.B) { benchmarkPublish(b, make(b), 2000, 500*time.Microsecond) })
	}
}

func benchmarkPublish(b *testing.B, s server, open int, every time.Duration) {
	s.start()
	b.Cleanup(s.stop)
	p := start(b, testConfig(s.addr()), io.Discard)
	m := publish.Message{Topic: "front/result", Kind: publish.KindResult, QoS: 1, Payload: bytes.Repeat([]byte("x"), 640)}
	waitAck(b, mustPublish(b, p, m))
	type flying struct {
		ack publish.Ack
		at  time.Time
	}
	acks := make(chan flying, open)
	var took []time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range acks {
			<-f.ack.Done()
			took = append(took, time.Since(f.at))
		}
	}()
	ctx, began := context.Background(), time.Now()
	next := began
	b.ReportAllocs()
	for b.Loop() {
		if every > 0 {
			next = next.Add(every)
			time.Sleep(time.Until(next))
		}
		at := time.Now()
		a, err := p.Publish(ctx, m)
		if err != nil {
			b.Fatal(err)
		}
		acks <- flying{a, at}
	}
	close(acks)
	<-done
	b.ReportMetric(float64(len(took))/time.Since(began).Seconds(), "results/s")
	slices.Sort(took)
	ms := func(q int) float64 { return float64(took[len(took)*q/100]) / float64(time.Millisecond) }
	b.ReportMetric(ms(50), "p50-ms")
	b.ReportMetric(ms(99), "p99-ms")
}

// BenchmarkCatchUp sends what waited in the outbox while the broker was away, at QoS 1, while new results go on
// at 20 a second: "results/s" of what waited.
func BenchmarkCatchUp(b *testing.B) {
	for name, make := range servers {
		b.Run(name, func(b *testing.B) { benchmarkCatchUp(b, make(b), 20_000) })
	}
}

func benchmarkCatchUp(b *testing.B, s server, waiting int) {
	s.start()
	b.Cleanup(s.stop)
	m := publish.Message{Topic: "front/result", Kind: publish.KindResult, QoS: 1, Payload: bytes.Repeat([]byte("x"), 640)}
	var took time.Duration
	rounds := 0
	for b.Loop() {
		box, err := outbox.Open(outbox.Options{Dir: b.TempDir(), Sync: 10 * time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		for range waiting {
			for err = outbox.ErrBusy; errors.Is(err, outbox.ErrBusy); {
				if _, err = box.Append(m, false); err != nil {
					time.Sleep(time.Millisecond) // the disk is slower
				}
			}
		}
		if n := box.State().Pending; n != uint64(waiting) {
			b.Fatalf("%d wait, want %d", n, waiting)
		}
		p, err := New(testConfig(s.addr()), Options{Device: "porch", Outbox: box, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		ran := make(chan error, 1)
		began := time.Now()
		go func() { ran <- p.Run(context.Background()) }()
		for !p.State().Connected || p.State().Pending+box.State().Pending > 0 {
			mustPublish(b, p, m)
			time.Sleep(50 * time.Millisecond)
		}
		took += time.Since(began)
		rounds++
		closeWithin(p, 2*time.Second)
		if err := <-ran; err != nil {
			b.Error(err)
		}
		if err := box.Close(); err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(rounds*waiting)/took.Seconds(), "results/s")
}

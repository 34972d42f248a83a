package mqtt

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
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

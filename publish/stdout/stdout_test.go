package stdout

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

func result(camera string, total time.Duration, top ...vision.Classification) publish.Message {
	return publish.Message{Result: &vision.Result{
		Camera: camera, CapturedAt: time.Date(2025, 3, 30, 15, 4, 5, 123456789, time.Local), Top: top,
		Timing: vision.Timing{Invoke: total - 8*time.Millisecond, Total: total},
	}}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	p := New(&out)
	cat := []vision.Classification{{Label: "tabby", Score: 0.62}, {Label: "tiger cat", Score: 0.21}, {Label: "Egyptian cat", Score: 0.08}}
	for _, m := range []publish.Message{
		result("front", 31*time.Millisecond, cat...),
		result("front", 131_040*time.Microsecond, vision.Classification{Label: "bagel", Score: 0.999}),
		{Topic: "stats", Payload: []byte("{}")},
		result("driveway", 17*time.Millisecond, cat[:2]...),
		result("front", 17*time.Millisecond, vision.Classification{Label: "crêpe\x1b[2J", Score: 0.5}),
	} {
		a, err := p.Publish(context.Background(), m)
		if err != nil || a.Err() != nil {
			t.Fatal(err, a.Err())
		}
	}
	want := "" +
		"15:04:05.123 front  tabby 0.620, tiger cat 0.210, Egyptian cat 0.080  invoke 23.0 ms, total 31.0 ms\n" +
		"15:04:05.123 front  bagel 0.999                                       invoke 123.0 ms, total 131.0 ms\n" +
		"15:04:05.123 driveway  tabby 0.620, tiger cat 0.210                      invoke  9.0 ms, total 17.0 ms\n" +
		"15:04:05.123 front     crêpe\ufffd[2J 0.500                                   invoke  9.0 ms, total 17.0 ms\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe closed") }

func TestWriteError(t *testing.T) {
	if _, err := New(broken{}).Publish(context.Background(), result("front", time.Second)); err == nil || err.Error() != "printing a result: pipe closed" {
		t.Errorf("got %v", err)
	}
}

func BenchmarkLine(b *testing.B) {
	p, m := New(&discard{}), result("front", 31*time.Millisecond, vision.Classification{Label: "tabby", Score: 0.62})
	b.ReportAllocs()
	for b.Loop() {
		p.Publish(context.Background(), m)
	}
}

type discard struct{}

func (*discard) Write(b []byte) (int, error) { return len(b), nil }

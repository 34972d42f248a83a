package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// doctor takes a second for each picture and says what it is told to.
type doctor struct {
	prepared []vision.Frame
	says     []string
	fails    map[int]error // by number of the picture, from 1
	runs     int
}

func (d *doctor) Prepare(f vision.Frame) error {
	d.prepared = append(d.prepared, f)
	return nil
}

func (d *doctor) Run(dst []vision.Classification) ([]vision.Classification, infer.Timing, error) {
	time.Sleep(time.Second)
	d.runs++
	if err := d.fails[d.runs]; err != nil {
		return dst, infer.Timing{}, err
	}
	return append(dst, vision.Classification{Label: d.says[d.runs-1], Score: 0.9}), infer.Timing{}, nil
}

func TestHealthIsCheckedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var progress Progress
		var got []publish.Health
		faults := 0
		d := &doctor{
			says:  []string{"clear", "", "", "covered", "covered"},
			fails: map[int]error{2: errors.New("the model did not run"), 3: errors.New("the model did not run")},
		}
		h := (&HealthCheck{
			camera: "front", every: 30 * time.Second, labels: d, stage: progress.Stage("x"),
			log:  slog.New(slog.NewTextHandler(&log, nil)),
			emit: func(h publish.Health) { got = append(got, h) }, onFault: func() { faults++ },
		}).start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		began := time.Now()
		for range 5 * 130 { // 5 frames a second, for 130 s
			h.Offer(vision.Frame{CapturedAt: time.Now()})
			time.Sleep(200 * time.Millisecond)
			if h.Fault() != "" && time.Since(began) > 95*time.Second {
				t.Fatalf("the fault stays after a check that went well: %s", h.Fault())
			}
		}
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if len(d.prepared) != 5 || d.runs != 5 {
			t.Fatalf("%d frames taken and %d checks in 130 s, want 5", len(d.prepared), d.runs)
		}
		if len(got) != 3 {
			t.Fatalf("%d opinions of 3 checks that went well", len(got))
		}
		third := began.Add(90 * time.Second)
		for i, want := range []struct {
			label     string
			at, since time.Time
		}{{"clear", began, began}, {"covered", third, third}, {"covered", began.Add(120 * time.Second), third}} {
			if g := got[i]; g.Camera != "front" || g.Top[0].Label != want.label || !g.CapturedAt.Equal(want.at) || !g.Since.Equal(want.since) {
				t.Errorf("opinion %d is %+v, want %+v", i, g, want)
			}
		}
		if faults != 2 || strings.Count(log.String(), "could not be checked") != 1 || strings.Count(log.String(), "looks different") != 1 {
			t.Errorf("%d changes of the fault; the log:\n%s", faults, log.String())
		}
	})
}

// No frame waits for a check, however slow the model is.
func TestHealthChecksNeverHoldUpFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var progress Progress
		d := &doctor{says: []string{"clear", "clear", "clear"}}
		h := (&HealthCheck{
			every: time.Millisecond, labels: d, stage: progress.Stage("x"), log: slog.New(slog.DiscardHandler),
			emit: func(publish.Health) {}, onFault: func() {},
		}).start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		began := time.Now()
		for range 25 {
			before := time.Now()
			h.Offer(vision.Frame{})
			if took := time.Since(before); took != 0 {
				t.Fatalf("offering a frame took %s", took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		<-ended
		if took := time.Since(began); len(d.prepared) != 3 {
			t.Errorf("%d frames taken in %s by a model that needs a second", len(d.prepared), took)
		}
	})
}

func TestNoHealthCheckTakesNoFrames(t *testing.T) {
	var h *HealthCheck
	h.Offer(vision.Frame{})
	if h.Fault() != "" {
		t.Error("a fault of nothing")
	}
}

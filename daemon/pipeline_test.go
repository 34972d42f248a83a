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

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// script is a camera that delivers so many frames.
type script struct {
	frames   int
	released int
	picture  vision.Frame // what each frame shows
}

func (s *script) Recycle(int) { s.released++ }

func (s *script) Next(ctx context.Context) (vision.Frame, error) {
	if err := ctx.Err(); err != nil {
		return vision.Frame{}, err
	}
	if s.frames == 0 {
		return vision.Frame{}, capture.ErrEnded
	}
	s.frames--
	f := vision.Frame{Width: s.picture.Width, Height: s.picture.Height, Stride: s.picture.Stride, Data: s.picture.Data, CapturedAt: time.Now(), Capture: time.Second, Decode: 10 * time.Millisecond, Owner: s}
	time.Sleep(15 * time.Millisecond) // 10 of them for decoding
	return f, nil
}

// moody fails on the calls it is told to.
type moody struct {
	call  int
	fails map[int]error
}

func (m *moody) Classify(dst []vision.Classification, _ vision.Frame) ([]vision.Classification, infer.Timing, error) {
	m.call++
	time.Sleep(21 * time.Millisecond)
	t := infer.Timing{Preprocess: 3 * time.Millisecond, Queue: 2 * time.Millisecond, Invoke: 15 * time.Millisecond, Postprocess: time.Millisecond}
	return append(dst, vision.Classification{Label: "cat", Score: 0.9}), t, m.fails[m.call]
}

func TestPipelineNumbersResultsWithoutGapsAndGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var progress Progress
		var results []vision.Result
		faults := 0
		cam := &script{frames: 6}
		broken := errors.New("the model did not run")
		p := newPipeline("front", "r", view{labels: &moody{fails: map[int]error{2: broken, 3: broken}}})
		p.frames, p.stage, p.log = cam, progress.Stage("x"), slog.New(slog.NewTextHandler(&log, nil))
		p.emit = func(r vision.Result, _ vision.Frame) { results = append(results, r) }
		p.onFault = func() { faults++ }
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(results) != 4 || cam.released != 6 {
			t.Fatalf("%d results and %d frames released, want 4 and 6", len(results), cam.released)
		}
		for i, r := range results {
			if r.Seq != uint64(i+1) {
				t.Errorf("result %d has seq %d", i, r.Seq)
			}
		}
		if n := strings.Count(log.String(), "could not be classified"); n != 1 {
			t.Errorf("a failure that repeats was logged %d times:\n%s", n, log.String())
		}
		if faults != 2 || p.Fault() != "" {
			t.Errorf("%d changes of the fault, which is now %q", faults, p.Fault())
		}
		got := results[0].Timing
		want := vision.Timing{
			Capture: time.Second, Decode: 10 * time.Millisecond, Queue: 7 * time.Millisecond, Preprocess: 3 * time.Millisecond,
			Invoke: 15 * time.Millisecond, Postprocess: time.Millisecond, Total: 36 * time.Millisecond,
		}
		if got != want {
			t.Errorf("timing is %+v, want %+v", got, want)
		}
	})
}

// A still scene is classified once in a while, and its frames are given back all the same.
func TestPipelineHoldsStillPicturesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var progress Progress
		results := 0
		cam := &script{frames: 200, picture: vision.Frame{Width: 64, Height: 48, Stride: 192, Data: make([]byte, 192*48)}}
		labels := &moody{}
		p := newPipeline("front", "r", view{
			labels: labels, motion: capture.NewMotion(capture.MotionConfig{Threshold: 8, Every: time.Second}),
		})
		p.frames, p.stage, p.log, p.onFault = cam, progress.Stage("x"), slog.New(slog.DiscardHandler), func() {}
		p.emit = func(r vision.Result, _ vision.Frame) {
			results++
			if r.Seq != uint64(results) {
				t.Errorf("result %d has seq %d", results, r.Seq)
			}
		}
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := p.stats()
		if results < 3 || results > 4 || labels.call != results || s.Still != uint64(200-results) || cam.released != 200 {
			t.Errorf("200 frames in 3 s: %d results, %d calls of the model, %d still, %d released", results, labels.call, s.Still, cam.released)
		}
	})
}

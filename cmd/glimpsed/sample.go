package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/vision"
)

// liveInterval is the time between the pictures that are taken of a camera, and before the
// first, in which it settles its exposure: pictures in quick succession teach nothing new.
const liveInterval = time.Second

// sampler takes some pictures of a source, prepared for a network.
type sampler struct {
	open capture.Opener
	// frames is how many are wanted of each source; fewer are given if it has fewer.
	frames        int
	every         time.Duration
	preprocessing vision.Preprocessing
	// warnings is told which files can't be used.
	warnings io.Writer
}

// check refuses a source that is no source or is not there, as far as that can be told
// without opening it.
func (s sampler) check(source string) error {
	spec, err := capture.ParseSource(source)
	switch {
	case err != nil:
		return fmt.Errorf("source: %w", err)
	case spec.Kind == capture.KindPictures:
		_, err = picturesOf(source)
	case spec.Kind == capture.KindFile:
		_, err = os.Stat(source)
	}
	return err
}

// sample gives the prepared pictures of one source: rows of blue, green, red, of the network's
// size. Each is valid until the next.
func (s sampler) sample(ctx context.Context, source string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		spec, err := capture.ParseSource(source)
		if err != nil {
			yield(nil, fmt.Errorf("source: %w", err))
			return
		}
		taken, stopped := 0, false
		take := func(pixels []byte) bool {
			taken++
			stopped = !yield(pixels, nil)
			return !stopped
		}
		switch spec.Kind {
		case capture.KindPictures:
			err = s.pictures(ctx, source, take)
		case capture.KindFile:
			err = s.recording(ctx, source, take)
		default:
			err = s.live(ctx, source, take)
		}
		if err == nil && taken == 0 {
			err = fmt.Errorf("%s: it gave no picture", spec.Redacted)
		}
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// spread picks at most n of count things, evenly.
func spread(count, n int) []int {
	n = min(count, n)
	picked := make([]int, n)
	for i := range picked {
		picked[i] = (2*i + 1) * count / (2 * n)
	}
	return picked
}

// pictures takes files. Those that can't be read are named and left out.
func (s sampler) pictures(ctx context.Context, source string, take func([]byte) bool) error {
	files, err := picturesOf(source)
	if err != nil {
		return err
	}
	decoder, err := kinds.NewDecoder()
	if err != nil {
		return err
	}
	defer decoder.Close()
	fit := s.fitter()
	for _, i := range spread(len(files), s.frames) {
		if err := ctx.Err(); err != nil {
			return err
		}
		pixels, err := fit.file(files[i], decoder)
		if err != nil {
			fmt.Fprintf(s.warnings, "glimpsed: %v\n", err)
			continue
		}
		if !take(pixels) {
			return nil
		}
	}
	return nil
}

// picturesOf are the files that a folder, a glob or a picture's path stands for.
func picturesOf(source string) ([]string, error) {
	_, err := os.Stat(source)
	if err == nil || !strings.ContainsAny(source, "*?[") {
		if err != nil {
			return nil, err
		}
		return pictures([]string{source})
	}
	files, err := filepath.Glob(source)
	if err == nil && len(files) == 0 {
		err = errors.New("no file matches")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return pictures(files)
}

// recording takes frames of a video file, whose length shows at its end only. It is read once:
// every frame is kept until there are twice as many as wanted, then every second one is
// forgotten and only every second one is looked at from there on, and so on.
func (s sampler) recording(ctx context.Context, source string, take func([]byte) bool) error {
	r, err := s.start(ctx, source, capture.PaceFast)
	if err != nil {
		return err
	}
	defer r.Close()
	fit := s.fitter()
	var kept [][]byte
	for i, step := 0, 1; ; i++ {
		f, skipped, err := r.read(func(time.Time) bool { return i%step != 0 })
		if errors.Is(err, capture.ErrEnded) {
			break
		}
		if err != nil {
			return err
		}
		if skipped {
			continue
		}
		if len(kept) == 2*s.frames {
			for k := range s.frames {
				kept[k] = kept[2*k]
			}
			kept = kept[:s.frames]
			step *= 2
		}
		pixels, err := fit.frame(f)
		f.Release()
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		kept = append(kept, bytes.Clone(pixels))
	}
	for _, i := range spread(len(kept), s.frames) {
		if !take(kept[i]) {
			break
		}
	}
	return nil
}

// live takes a frame of a camera or a stream every now and then.
func (s sampler) live(ctx context.Context, source string, take func([]byte) bool) error {
	r, err := s.start(ctx, source, capture.PaceNative)
	if err != nil {
		return err
	}
	defer r.Close()
	fit := s.fitter()
	next := time.Now().Add(s.every)
	_, onDemand := r.Source.(capture.OnDemand)
	for taken := 0; taken < s.frames; {
		if onDemand { // it would be asked for the pictures to be skipped, too
			if err := sleep(ctx, time.Until(next)); err != nil {
				return err
			}
		}
		f, skipped, err := r.read(func(at time.Time) bool { return at.Before(next) })
		if errors.Is(err, capture.ErrEnded) {
			return nil
		}
		if err != nil {
			return err
		}
		if skipped {
			continue
		}
		next = f.CapturedAt.Add(s.every)
		pixels, err := fit.frame(f)
		f.Release()
		if err != nil {
			return fmt.Errorf("%s: %w", capture.Redact(source), err)
		}
		taken++
		if !take(pixels) {
			return nil
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// timed is a source that is read under the limits of a camera's configuration.
type timed struct {
	capture.Source
	ctx context.Context
	cfg capture.Config
}

func (s sampler) start(ctx context.Context, source, pace string) (*timed, error) {
	cfg := capture.DefaultConfig()
	cfg.Name, cfg.Source, cfg.Loop, cfg.Pace = "calibration", source, false, pace
	opening, cancel := context.WithTimeoutCause(ctx, cfg.OpenTimeout, fmt.Errorf("opening %s took longer than %v", capture.Redact(source), cfg.OpenTimeout))
	defer cancel()
	src, err := s.open(opening, cfg)
	if err != nil {
		return nil, because(opening, err)
	}
	return &timed{src, ctx, cfg}, nil
}

// read gives the next frame, unless it is one to be skipped.
func (r *timed) read(skip func(at time.Time) bool) (f vision.Frame, skipped bool, err error) {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.cfg.StallAfter, fmt.Errorf("%s gave no picture for %v", capture.Redact(r.cfg.Source), r.cfg.StallAfter))
	defer cancel()
	if skipper, ok := r.Source.(capture.Skipper); ok {
		f, skipped, err = skipper.ReadUnless(ctx, skip)
	} else if f, err = r.Read(ctx); err == nil && skip(f.CapturedAt) {
		f.Release()
		return vision.Frame{}, true, nil
	}
	return f, skipped, because(ctx, err)
}

// because replaces a context's error by its cause.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

// fitter resizes and crops pictures to a network's size.
type fitter struct {
	p       vision.Preprocessing
	resizer imaging.Resizer
	pixels  []byte
}

func (s sampler) fitter() *fitter {
	p := s.preprocessing
	return &fitter{p: p, pixels: make([]byte, 3*p.Width*p.Height)}
}

func (t *fitter) frame(f vision.Frame) ([]byte, error) {
	g, err := imaging.Fit(f.Width, f.Height, t.p, t.p.Width, t.p.Height)
	if err != nil {
		return nil, err
	}
	return t.pixels, t.resizer.Resize(t.pixels, 3*t.p.Width, f, g)
}

func (t *fitter) file(name string, decoder imaging.Decoder) ([]byte, error) {
	data, err := imaging.ReadFile(name, imaging.DefaultLimits())
	if err != nil {
		return nil, err
	}
	f, err := decoder.Decode(data, imaging.Options{MinSide: kinds.MinSide})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pixels, err := t.frame(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return pixels, nil
}

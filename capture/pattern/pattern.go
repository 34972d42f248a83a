// Package pattern is a source that needs nothing: a moving test card, the same at
// every run, for trying things out and for measuring.
package pattern

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// Size and rate where the source doesn't say.
const (
	defaultWidth  = 640
	defaultHeight = 480
	defaultFPS    = 25
)

// Options are what follows "pattern:", as in "1280x720@30".
type Options struct {
	// Width and Height are in pixels.
	Width, Height int
	// FPS is frames a second; 0: as fast as they are read.
	FPS float64
}

// ParseOptions reads "[WxH][@FPS]".
func ParseOptions(text string) (Options, error) {
	o := Options{Width: defaultWidth, Height: defaultHeight, FPS: defaultFPS}
	size, fps, hasFPS := strings.Cut(text, "@")
	bad := func(what string) (Options, error) {
		return o, fmt.Errorf("pattern:%s: %s, such as pattern:1280x720@30", text, what)
	}
	if size != "" {
		w, h, ok := strings.Cut(size, "x")
		var err1, err2 error
		o.Width, err1 = strconv.Atoi(w)
		o.Height, err2 = strconv.Atoi(h)
		if !ok || err1 != nil || err2 != nil || o.Width < 1 || o.Height < 1 || o.Width > 8192 || o.Height > 8192 {
			return bad("the size must be WIDTHxHEIGHT of 1 to 8192 pixels")
		}
	}
	if hasFPS {
		var err error
		if o.FPS, err = strconv.ParseFloat(fps, 64); err != nil || !(o.FPS >= 0 && o.FPS <= 1000) {
			return bad("the rate must be 0 (as fast as possible) to 1000 frames a second")
		}
	}
	return o, nil
}

// Open opens a source "pattern:[WxH][@FPS]".
func Open(_ context.Context, cfg capture.Config) (capture.Source, error) {
	spec, err := capture.ParseSource(cfg.Source)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", spec.Redacted, err)
	}
	o, err := ParseOptions(spec.Target)
	if err != nil {
		return nil, fmt.Errorf("opening the test card: %w", err)
	}
	s := &source{name: spec.Redacted, options: o, card: newCard(o.Width, o.Height)}
	if o.FPS > 0 && cfg.Pace != capture.PaceFast {
		s.every = time.Duration(float64(time.Second) / o.FPS)
	}
	size := 3 * o.Width * o.Height
	s.pool = capture.NewPool(func() []byte { return make([]byte, size) }, nil)
	return s, nil
}

type source struct {
	name    string
	options Options
	card    *card
	pool    *capture.Pool[[]byte]
	every   time.Duration // between frames; 0: none
	due     time.Time
	timer   *time.Timer
	seq     uint64
}

// Read draws the next frame.
func (s *source) Read(ctx context.Context) (vision.Frame, error) {
	f, _, err := s.ReadUnless(ctx, nil)
	return f, err
}

// ReadUnless implements capture.Skipper; skip may be nil.
func (s *source) ReadUnless(ctx context.Context, skip func(time.Time) bool) (f vision.Frame, skipped bool, err error) {
	start := time.Now()
	if err := s.wait(ctx); err != nil {
		return vision.Frame{}, false, err
	}
	at := time.Now()
	if skip != nil && skip(at) {
		s.seq++
		return vision.Frame{}, true, nil
	}
	buf, n, err := s.pool.Get(ctx)
	if err != nil {
		return vision.Frame{}, false, err
	}
	drawing := time.Now()
	s.card.draw(buf, s.seq)
	s.seq++
	return vision.Frame{
		Format: vision.BGR,
		Width:  s.options.Width, Height: s.options.Height, Stride: 3 * s.options.Width,
		Data: buf, Seq: s.seq, Source: s.name,
		CapturedAt: at, Capture: at.Sub(start), Decode: time.Since(drawing),
		Owner: s.pool, Buffer: n,
	}, false, nil
}

// wait paces the card as a camera would; one that is late by a second starts anew.
func (s *source) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil || s.every == 0 {
		return err
	}
	now := time.Now()
	if s.due.IsZero() || now.Sub(s.due) > time.Second {
		s.due = now
	}
	if wait := s.due.Sub(now); wait > 0 {
		if s.timer == nil {
			s.timer = time.NewTimer(wait)
		} else {
			s.timer.Reset(wait)
		}
		select {
		case <-s.timer.C:
		case <-ctx.Done():
			s.timer.Stop()
			return ctx.Err()
		}
	}
	s.due = s.due.Add(s.every)
	return nil
}

func (s *source) Close() error {
	s.pool.Close()
	return nil
}

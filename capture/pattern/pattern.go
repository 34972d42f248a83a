// Package pattern is a source that needs nothing: a moving test card, the same at
// every run, for trying things out and for measuring.
package pattern

import (
	"context"
	"fmt"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// Open opens a source "pattern:[WxH][@FPS]".
func Open(_ context.Context, cfg capture.Config) (capture.Source, error) {
	spec, err := capture.ParseSource(cfg.Source)
	if err != nil {
		return nil, fmt.Errorf("opening the test card: %w", err)
	}
	o, err := capture.ParsePattern(spec.Target)
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
	options capture.Pattern
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

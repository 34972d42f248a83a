//go:build gocv

package opencv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// source is one open cv::VideoCapture.
type source struct {
	vc   *gocv.VideoCapture
	name string
	pool *capture.Pool[*gocv.Mat]
	seq  uint64

	// finite sources have an end, where they loop or not. reopen opens a file that can't be rewound.
	finite, loop bool
	reopen       func(context.Context) (*gocv.VideoCapture, error)
	player       *player // nil: no pace of its own
	round        int     // pictures since the last beginning
	// promised is what a file's header says, position how far pictures got (ms), short is told
	// if a round ends too soon.
	promised promise
	position float64
	short    func(given, promised int)
}

var errNoPicture = errors.New("no picture came: the camera was unplugged, or its stream ended or broke off")

// Read returns the next picture in memory that OpenCV owns, without copying it.
func (s *source) Read(ctx context.Context) (vision.Frame, error) {
	f, _, err := s.ReadUnless(ctx, nil)
	return f, err
}

// ReadUnless implements capture.Skipper: a picture that is skipped isn't converted, nor
// decompressed if it comes as JPEG from a V4L2 camera. skip may be nil.
func (s *source) ReadUnless(ctx context.Context, skip func(time.Time) bool) (f vision.Frame, skipped bool, err error) {
	start := time.Now()
	if err := s.advance(ctx); err != nil {
		return vision.Frame{}, false, err
	}
	at := time.Now()
	if skip != nil && skip(at) {
		return vision.Frame{}, true, nil
	}
	mat, n, err := s.pool.Get(ctx)
	if err != nil {
		return vision.Frame{}, false, err
	}
	f = vision.Frame{
		Format: vision.BGR, Seq: s.seq, Source: s.name,
		CapturedAt: at, Capture: at.Sub(start),
		Owner: s.pool, Buffer: n,
	}
	began := time.Now()
	if err := s.retrieve(mat, &f); err != nil {
		s.pool.Recycle(n)
		return vision.Frame{}, false, fmt.Errorf("reading %s: %w", s.name, err)
	}
	f.Decode = time.Since(began)
	return f, false, nil
}

// advance grabs the next picture and, of a recording, waits until it is due.
func (s *source) advance(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !grab(s.vc) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !s.finite {
			return fmt.Errorf("reading %s: %w", s.name, errNoPicture)
		}
		if err := s.rewind(ctx); err != nil {
			return err
		}
	}
	s.seq++
	s.round++
	if !s.finite {
		return nil
	}
	position := s.vc.Get(gocv.VideoCapturePosMsec)
	s.position = max(s.position, position)
	if s.player != nil {
		return s.player.wait(ctx, position)
	}
	return nil
}

// rewind starts a recording again and grabs its first picture; some formats can only be opened anew.
func (s *source) rewind(ctx context.Context) error {
	if s.round == 0 {
		return fmt.Errorf("reading %s: FFmpeg decodes no picture of it: is it damaged?", s.name)
	}
	if s.short != nil && s.promised.broken(s.round, s.position) {
		s.short(s.round, s.promised.frames)
	}
	if !s.loop {
		return capture.ErrEnded
	}
	s.round, s.position = 0, 0
	s.vc.Set(gocv.VideoCapturePosFrames, 0)
	if grab(s.vc) {
		return nil
	}
	if s.reopen == nil {
		return fmt.Errorf("reading %s: starting again: %w", s.name, errNoPicture)
	}
	vc, err := s.reopen(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("reading %s: opening it to start again: %w", s.name, err)
	}
	s.vc.Close()
	s.vc = vc
	if !grab(s.vc) {
		return fmt.Errorf("reading %s: starting again: FFmpeg decodes no picture of it any more", s.name)
	}
	return nil
}

// retrieve converts the picture grabbed last to BGR in mat, whose memory is used again while
// the size stays the same, and lays f over it.
func (s *source) retrieve(mat *gocv.Mat, f *vision.Frame) error {
	if !s.vc.Retrieve(mat) || mat.Empty() {
		return errors.New("the picture can't be decoded")
	}
	if mat.Type() != gocv.MatTypeCV8UC3 {
		return fmt.Errorf("pictures come with %d channels of another kind than BGR: put videoconvert ! video/x-raw,format=BGR before appsink", mat.Channels())
	}
	data, err := mat.DataPtrUint8()
	if err != nil {
		return err
	}
	f.Width, f.Height, f.Data = mat.Cols(), mat.Rows(), data
	f.Stride = 3 * f.Width
	return nil
}

// Close closes the capture; pictures that are still held stay valid until they are released.
func (s *source) Close() error {
	s.vc.Close()
	s.pool.Close()
	return nil
}

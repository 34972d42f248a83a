//go:build gocv

package opencv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/netcam"
	imagingcv "github.com/glimpsed/glimpsed/imaging/opencv"
)

// network opens an RTSP or HTTP stream. What usually goes wrong is found out in Go first,
// where it can be cancelled, tells its reason and holds up nobody.
func (o opening) network() (capture.Source, error) {
	key := o.cfg.Name + " " + o.cfg.Source
	record, _ := o.known.cameras.Load(key)
	snapshot, err := o.ask(record == good)
	if err != nil {
		return nil, err
	}
	if snapshot {
		decoder, err := imagingcv.NewDecoder()
		if err != nil {
			return nil, err
		}
		return netcam.OpenSnapshots(o.cfg, decoder), nil
	}

	vc, slow, err := o.stream(record, o.spec.Kind == capture.KindRTSP)
	if errors.Is(err, errNative) && !slow {
		// It may just have been the wrong moment (see netcam.Describe), or it has to be studied for
		// longer. One that was trusted is asked now.
		if record == good {
			if _, err := o.ask(false); err != nil {
				o.known.cameras.Delete(key)
				return nil, err
			}
		}
		if err := sleep(o.ctx, breather); err != nil {
			return nil, err
		}
		vc, slow, err = o.stream(record, false)
	}
	switch {
	case err == nil:
		o.known.cameras.Store(key, good)
	case slow:
		o.known.cameras.Store(key, bad)
		return nil, fmt.Errorf("the host answers, but FFmpeg gets no picture within %v%s", o.patience(), o.hint())
	case errors.Is(err, errNative):
		o.known.cameras.Delete(key)
		return nil, errors.New("the host answers, but FFmpeg gets no video that it can decode" + o.hint())
	default:
		return nil, err
	}
	s := o.source(vc, o.spec.Redacted)
	if o.spec.Kind == capture.KindHTTP && vc.Get(gocv.VideoCaptureFrameCount) > 1 {
		o.playback(s)
	}
	return s, nil
}

// breather is the pause before a stream is opened again that was refused at once.
const breather = time.Second

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask talks to the host; with one that is trusted no longer than to hear that it answers.
func (o opening) ask(trusted bool) (snapshot bool, err error) {
	switch {
	case o.spec.Kind == capture.KindHTTP:
		return netcam.Ask(o.ctx, o.spec.Target, o.cfg.OpenTimeout)
	case trusted:
		return false, netcam.Greet(o.ctx, o.spec.Target, o.cfg.OpenTimeout)
	}
	return false, netcam.Describe(o.ctx, o.spec.Target, o.cfg.OpenTimeout)
}

// stream has FFmpeg open a network stream, quickly or with a thorough look at it. slow says that an
// error came because time was up.
func (o opening) stream(record any, quick bool) (vc *gocv.VideoCapture, slow bool, err error) {
	u, limit, options := remote, o.patience(), optionsFor(o.cfg)
	if quick {
		options = options.quick()
	}
	if record == bad {
		u = suspect
	}
	vc, took, err := o.native(o.ctx, u, limit, options, propReadTimeout, milliseconds(o.cfg.StallAfter+readSlack))
	switch {
	case err != nil:
		return nil, errors.Is(err, errNative) && took >= limit*9/10, err
	case took >= limit, vc.Get(gocv.VideoCaptureFrameWidth) < 1:
		// FFmpeg was interrupted, or didn't learn the format: OpenCV calls it open, but nothing can be read.
		vc.Close()
		return nil, took >= limit, errNative
	}
	return vc, false, nil
}

func (o opening) patience() time.Duration { return min(o.cfg.OpenTimeout, longestOpening) }

func (o opening) hint() string {
	if o.spec.Kind == capture.KindRTSP {
		return "; try the other rtsp_transport"
	}
	return ""
}

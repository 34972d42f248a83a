//go:build gocv

package opencv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/capture"
)

// Properties that gocv v0.43.0 doesn't name; from opencv2/videoio.hpp. Milliseconds, to be
// given at opening.
const (
	propOpenTimeout gocv.VideoCaptureProperties = 53
	propReadTimeout gocv.VideoCaptureProperties = 54
)

// readSlack is what a native read's own time limit has over StallAfter: the camera is reported as
// stalled first, and then the call returns by itself.
const readSlack = 500 * time.Millisecond

// selectTimeout is how many whole seconds OpenCV waits for a V4L2 camera's next picture before it takes
// the camera for lost. It is read once a process.
const selectTimeout = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"

var (
	waitOnce sync.Once
	waitUser = os.Getenv(selectTimeout) != ""
)

// waitFor makes a V4L2 camera's stall_after come before OpenCV's own limit, so that a camera that hangs is
// told from one that was unplugged. All cameras have the limit that the first one to be opened sets.
func waitFor(stall time.Duration) {
	waitOnce.Do(func() {
		if !waitUser {
			os.Setenv(selectTimeout, strconv.Itoa(int(stall/time.Second)+1))
		}
	})
}

// Opener opens the kinds auto, v4l2, libcamera, rtsp, http, file and gstreamer. What a camera
// grants of the size, rate and format it was asked for is logged to log.
func Opener(log *slog.Logger) capture.Opener {
	ffmpeg.prepare()
	var known memory
	return func(ctx context.Context, cfg capture.Config) (capture.Source, error) {
		quiet()
		spec, err := capture.ParseSource(cfg.Source)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", spec.Redacted, err)
		}
		o := opening{ctx: ctx, cfg: cfg, spec: spec, log: log.With("camera", cfg.Name), known: &known}
		src, err := o.open()
		if err != nil {
			return nil, capture.RedactError(cfg.Source, fmt.Errorf("opening %s: %w", strings.TrimSuffix(spec.Redacted, ":"), err))
		}
		return src, nil
	}
}

// memory is what an Opener remembers of earlier openings.
type memory struct {
	// cameras has the records of network cameras, short the recordings that were said to end too soon.
	cameras, short sync.Map
}

// record is how a network camera was opened last.
type record int

const (
	good record = iota + 1
	bad         // it used up its time
)

// opening is one call of an Opener.
type opening struct {
	ctx  context.Context
	cfg  capture.Config
	spec capture.SourceSpec
	log  *slog.Logger
	// known is shared by all openings of an Opener.
	known *memory
}

func (o opening) open() (capture.Source, error) {
	switch o.spec.Kind {
	case capture.KindAuto:
		return o.auto()
	case capture.KindV4L2:
		return o.v4l2(o.spec.Target)
	case capture.KindLibcamera:
		return o.libcamera(o.spec.Target)
	case capture.KindGStreamer:
		return o.gstreamer(o.spec.Target)
	case capture.KindRTSP, capture.KindHTTP:
		return o.network()
	case capture.KindFile:
		return o.file()
	}
	return nil, fmt.Errorf("OpenCV does not open sources of the kind %s", o.spec.Kind)
}

// auto takes the first camera that opens; a raw CSI camera through libcamera if there is no other.
func (o opening) auto() (capture.Source, error) {
	devices, others := Devices()
	var raw bool
	for _, d := range devices {
		if d.Raw {
			raw = true
			continue
		}
		src, err := o.v4l2(d.Path)
		if err == nil {
			o.log.Info("camera chosen", "device", d.Path, "card", d.Card)
			return src, nil
		}
		others = append(others, fmt.Errorf("%s: %w", d.Path, err))
	}
	if raw {
		src, err := o.libcamera("")
		if err == nil {
			o.log.Info("camera chosen", "device", "libcamera:")
			return src, nil
		}
		others = append(others, err)
	}
	if len(others) == 0 {
		return nil, errors.New("no camera found: there is no /dev/video*; plug one in or set source to a device, URL, file or folder")
	}
	return nil, fmt.Errorf("no usable camera found: %w", errors.Join(others...))
}

func (o opening) v4l2(path string) (capture.Source, error) {
	waitFor(o.cfg.StallAfter)
	node, err := filepath.EvalSymlinks(path) // /dev/v4l/by-id/... are links
	if err != nil {
		node = path
	}
	if _, err := query(node); err != nil {
		return nil, err
	}
	var vc *gocv.VideoCapture
	if n := deviceNumber(node); n >= 0 {
		vc, err = gocv.VideoCaptureDeviceWithAPI(n, gocv.VideoCaptureV4L2)
	} else {
		vc, err = gocv.VideoCaptureFileWithAPI(node, gocv.VideoCaptureV4L2)
	}
	if err != nil {
		vc.Close()
		return nil, errors.New("OpenCV can't use it: is it in use by another program?")
	}
	o.request(vc)
	return o.source(vc, path), nil
}

// request asks for size, rate and format before the first picture and logs what was granted.
func (o opening) request(vc *gocv.VideoCapture) {
	cfg := o.cfg
	if cfg.FOURCC != "" {
		vc.Set(gocv.VideoCaptureFOURCC, vc.ToCodec(cfg.FOURCC))
	}
	if cfg.Width > 0 {
		vc.Set(gocv.VideoCaptureFrameWidth, float64(cfg.Width))
		vc.Set(gocv.VideoCaptureFrameHeight, float64(cfg.Height))
	}
	if cfg.CaptureFPS > 0 {
		vc.Set(gocv.VideoCaptureFPS, cfg.CaptureFPS)
	}
	width, height := int(vc.Get(gocv.VideoCaptureFrameWidth)), int(vc.Get(gocv.VideoCaptureFrameHeight))
	fps, fourcc := vc.Get(gocv.VideoCaptureFPS), vc.CodecString()
	granted := o.log.With("width", width, "height", height, "fps", fps, "fourcc", fourcc)
	differs := cfg.Width > 0 && (width != cfg.Width || height != cfg.Height) ||
		cfg.CaptureFPS > 0 && (fps < cfg.CaptureFPS-0.5 || fps > cfg.CaptureFPS+0.5) ||
		cfg.FOURCC != "" && !strings.EqualFold(fourcc, cfg.FOURCC)
	if differs {
		granted.Warn("camera does not grant what was asked for",
			"asked_width", cfg.Width, "asked_height", cfg.Height, "asked_fps", cfg.CaptureFPS, "asked_fourcc", cfg.FOURCC)
		return
	}
	granted.Info("camera opened")
}

func (o opening) libcamera(name string) (capture.Source, error) {
	src, err := o.pipeline(libcameraPipeline(o.cfg, name))
	if err != nil {
		return nil, fmt.Errorf("%w; it needs the package gstreamer1.0-libcamera and a camera that cam --list shows", err)
	}
	return src, nil
}

func (o opening) gstreamer(pipeline string) (capture.Source, error) {
	return o.pipeline(completePipeline(pipeline))
}

func (o opening) pipeline(pipeline string) (capture.Source, error) {
	if err := tryPipeline(o.ctx, pipeline, o.cfg.OpenTimeout); err != nil {
		return nil, err
	}
	vc, err := gocv.VideoCaptureFileWithAPI(pipeline, gocv.VideoCaptureGstreamer)
	if err != nil {
		vc.Close()
		return nil, errors.New("OpenCV can't read this pipeline: it must end in appsink, with video/x-raw,format=BGR before it")
	}
	return o.source(vc, o.spec.Redacted), nil
}

var errNative = errors.New("FFmpeg finds no video in it that it can decode")

// native has FFmpeg open the target when it is its turn, and says how long that took.
func (o opening) native(ctx context.Context, u urgency, limit time.Duration, options options, params ...gocv.VideoCaptureProperties) (*gocv.VideoCapture, time.Duration, error) {
	if err := ffmpeg.enter(ctx, o.spec.Redacted, u, options); err != nil {
		return nil, 0, err
	}
	defer ffmpeg.leave()
	start := time.Now()
	vc, err := gocv.VideoCaptureFileWithAPIParams(o.spec.Target, gocv.VideoCaptureFFmpeg,
		append(params, propOpenTimeout, milliseconds(limit)))
	if err != nil {
		vc.Close()
		return nil, time.Since(start), errNative
	}
	return vc, time.Since(start), nil
}

func milliseconds(d time.Duration) gocv.VideoCaptureProperties {
	return gocv.VideoCaptureProperties(d.Milliseconds())
}

// playback makes a source one that has an end and a frame rate of its own.
func (o opening) playback(s *source) {
	s.finite, s.loop = true, o.cfg.Loop
	if o.cfg.Pace != capture.PaceFast {
		s.player = newPlayer(s.vc.Get(gocv.VideoCaptureFPS))
	}
}

func (o opening) source(vc *gocv.VideoCapture, name string) *source {
	return &source{
		vc:   vc,
		name: name,
		pool: capture.NewPool(
			func() *gocv.Mat { m := gocv.NewMat(); return &m },
			func(m *gocv.Mat) { m.Close() }),
	}
}

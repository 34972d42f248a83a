//go:build gocv

package opencv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/capture"
)

func (o opening) file() (capture.Source, error) {
	if err := checkFile(o.spec.Target); err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (*gocv.VideoCapture, error) {
		vc, _, err := o.native(ctx, local, o.cfg.OpenTimeout, optionsFor(o.cfg))
		return vc, err
	}
	vc, err := open(o.ctx)
	if err != nil {
		return nil, err
	}
	s := o.source(vc, o.spec.Redacted)
	s.reopen = open
	s.promised = promiseOf(vc, o.spec.Target)
	s.short = o.short
	o.playback(s)
	return s, nil
}

// checkFile finds out what can be wrong with a recording before OpenCV's lock is held, a file
// system that hangs among it.
func checkFile(path string) error {
	info, err := os.Stat(path)
	var asked *fs.PathError
	switch {
	case errors.As(err, &asked):
		return asked.Err // the path is said already
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a folder now; it is read as one at the next opening")
	case !info.Mode().IsRegular():
		return errors.New("it is no file but a pipe, socket or device: use gstreamer:, as in gstreamer:filesrc location=... ! decodebin")
	case info.Size() == 0:
		return errors.New("the file is empty")
	}
	f, err := os.Open(path)
	if errors.As(err, &asked) {
		return asked.Err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// short warns, once for each version of a file, that it ended sooner than its header says.
func (o opening) short(given, promised int) {
	key := o.cfg.Name + " " + o.spec.Target
	if info, err := os.Stat(o.spec.Target); err == nil {
		key = fmt.Sprint(key, info.Size(), info.ModTime().UnixNano())
	}
	if _, said := o.known.short.LoadOrStore(key, true); !said {
		o.log.Warn("video ends before its end: it is cut off or damaged", "file", o.spec.Redacted, "frames", given, "promised", promised)
	}
}

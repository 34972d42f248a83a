// Package pictures is a source that shows the pictures of a folder or a glob, or a
// single one, in the order of their names. It has no pace of its own: the Camera
// takes the next picture when it is time for it.
package pictures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// Options are how pictures are read.
type Options struct {
	// Logger is told, once, of each file that can't be used; nil: slog.Default.
	Logger *slog.Logger
	// NewDecoder makes the decoder; nil: the one in pure Go.
	NewDecoder func() (imaging.Decoder, error)
	// MinSide lets JPEGs be decoded at a reduced size, which is faster: their shorter side
	// keeps at least so many pixels; 0: full size.
	MinSide int
	Limits  imaging.Limits
}

// Opener opens sources of the kind capture.KindPictures.
func Opener(opts Options) capture.Opener {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.NewDecoder == nil {
		opts.NewDecoder = func() (imaging.Decoder, error) { return &imaging.GoDecoder{}, nil }
	}
	// Shared by all that it opens, so that opening again doesn't repeat what was reported.
	told := &reports{log: opts.Logger, seen: make(map[string]bool)}
	return func(_ context.Context, cfg capture.Config) (capture.Source, error) {
		s := &source{path: cfg.Source, loop: cfg.Loop, opts: opts, told: told, camera: cfg.Name}
		if err := s.list(); err != nil {
			return nil, fmt.Errorf("opening %s: %w", cfg.Source, said(cfg.Source, err))
		}
		decoder, err := opts.NewDecoder()
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", cfg.Source, err)
		}
		s.decoder = decoder
		s.pool = capture.NewPool(func() *[]byte { return new([]byte) }, nil)
		return s, nil
	}
}

// reports remembers which files were complained about.
type reports struct {
	log  *slog.Logger
	mu   sync.Mutex
	seen map[string]bool
}

// skipped logs once why a file isn't shown; again if the file was changed.
func (r *reports) skipped(camera, file, reason string) {
	key := camera + "\x00" + file
	if info, err := os.Stat(file); err == nil {
		key = fmt.Sprint(key, "\x00", info.Size(), info.ModTime().UnixNano())
	}
	r.mu.Lock()
	known := r.seen[key]
	r.seen[key] = true
	r.mu.Unlock()
	if !known {
		r.log.Warn("picture skipped", "camera", camera, "file", file, "reason", reason)
	}
}

type source struct {
	path, camera string
	loop         bool
	opts         Options
	told         *reports
	decoder      imaging.Decoder
	pool         *capture.Pool[*[]byte]

	files []string
	next  int
	shown int   // in this round
	first error // why the round's first file was skipped
	seq   uint64
}

// list finds the files, anew in every round: what was added is shown, too.
func (s *source) list() error {
	s.files, s.next, s.shown, s.first = s.files[:0], 0, 0, nil
	switch info, err := os.Stat(s.path); {
	case err == nil && info.IsDir():
		entries, err := os.ReadDir(s.path)
		if err != nil {
			return err
		}
		for _, e := range entries {
			file := filepath.Join(s.path, e.Name())
			switch {
			case e.IsDir() || strings.HasPrefix(e.Name(), "."):
			case capture.IsPicture(e.Name()):
				s.files = append(s.files, file)
			default:
				s.told.skipped(s.camera, file, "its name does not end like a picture's")
			}
		}
		if len(s.files) == 0 {
			return fmt.Errorf("there is no picture in this folder (%s)", strings.Join(capture.PictureExtensions, " "))
		}
	case err == nil:
		s.files = append(s.files, s.path)
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(s.path, "*?["):
		return err
	default:
		if s.files, err = filepath.Glob(s.path); err != nil {
			return err
		}
		s.files = slices.DeleteFunc(s.files, func(f string) bool {
			info, err := os.Stat(f)
			return err != nil || info.IsDir()
		})
		if len(s.files) == 0 {
			return errors.New("no file matches")
		}
	}
	slices.Sort(s.files)
	return nil
}

// Read returns the next picture that can be decoded.
func (s *source) Read(ctx context.Context) (vision.Frame, error) {
	start := time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return vision.Frame{}, err
		}
		if s.next == len(s.files) {
			if err := s.nextRound(); err != nil {
				return vision.Frame{}, err
			}
		}
		file := s.files[s.next]
		f, err := s.read(ctx, file, start)
		if ctx.Err() != nil && err != nil {
			return vision.Frame{}, ctx.Err()
		}
		s.next++
		if err != nil {
			s.told.skipped(s.camera, file, err.Error())
			if s.first == nil {
				s.first = err
			}
			continue
		}
		s.shown++
		s.seq++
		f.Seq = s.seq
		return f, nil
	}
}

func (s *source) nextRound() error {
	if s.shown == 0 {
		if len(s.files) == 1 && s.files[0] == s.path {
			return fmt.Errorf("reading %s: %w", s.path, s.first)
		}
		return fmt.Errorf("reading %s: none of its %d files is a picture that can be decoded; of %s: %w",
			s.path, len(s.files), filepath.Base(s.files[0]), s.first)
	}
	if !s.loop {
		return capture.ErrEnded
	}
	if err := s.list(); err != nil {
		return fmt.Errorf("reading %s again: %w", s.path, said(s.path, err))
	}
	return nil
}

func (s *source) read(ctx context.Context, file string, start time.Time) (vision.Frame, error) {
	data, err := imaging.ReadFile(file, s.opts.Limits)
	if err != nil {
		return vision.Frame{}, said(file, err)
	}
	buf, n, err := s.pool.Get(ctx)
	if err != nil {
		return vision.Frame{}, err
	}
	at := time.Now()
	f, err := s.decoder.Decode(data, imaging.Options{Limits: s.opts.Limits, MinSide: s.opts.MinSide, Buffer: *buf})
	if err != nil {
		s.pool.Recycle(n)
		return vision.Frame{}, err
	}
	*buf = f.Data
	f.Source, f.CapturedAt = file, at
	f.Capture, f.Decode = at.Sub(start), time.Since(at)
	f.Owner, f.Buffer = s.pool, n
	return f, nil
}

func (s *source) Close() error {
	s.pool.Close()
	return s.decoder.Close()
}

// said takes the path out of an error that is told with it anyway.
func said(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == path {
		return e.Err
	}
	if inner := errors.Unwrap(err); inner != nil && err.Error() == path+": "+inner.Error() {
		return inner
	}
	return err
}

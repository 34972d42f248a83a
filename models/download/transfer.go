package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// transfer is one call of Fetch: the bytes at the front of the part file, their
// running hash and what the server said of itself.
type transfer struct {
	Request
	part *partFile
	hash hash.Hash
	// at is how many bytes are in the part file and in hash.
	at int64
	// resumed is what an earlier call left.
	resumed int64
}

func (t *transfer) run(ctx context.Context) (Result, error) {
	if err := t.resume(); err != nil {
		return Result{}, err
	}
	if err := t.receive(ctx); err != nil {
		return Result{}, t.tidy(err)
	}
	sum := hex.EncodeToString(t.hash.Sum(nil))
	if !strings.HasPrefix(sum, t.SHA256) && t.resumed > 0 {
		// The earlier bytes may be another version's, or a power cut's: once more from the start.
		if err := t.restart(); err != nil {
			return Result{}, err
		}
		if err := t.receive(ctx); err != nil {
			return Result{}, t.tidy(err)
		}
		sum = hex.EncodeToString(t.hash.Sum(nil))
	}
	if !strings.HasPrefix(sum, t.SHA256) {
		return Result{}, t.tidy(fmt.Errorf("%w: expected %s, got %s; it was deleted: the source has another file under this name, or it was damaged on the way", ErrHash, t.SHA256, sum[:max(len(t.SHA256), MinDigits)]))
	}
	if err := t.part.finish(t.Path); err != nil {
		return Result{}, t.tidy(diskError(err))
	}
	return Result{SHA256: sum, Size: t.at, ResumedAt: t.resumed}, nil
}

// resume takes over what an earlier call left in the part file.
func (t *transfer) resume() error {
	t.hash = sha256.New()
	size, err := t.part.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size == 0 || size > t.MaxSize {
		return t.restart()
	}
	if _, err := t.part.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(t.hash, t.part.f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", t.part.path, err)
	}
	t.at, t.resumed = n, n
	return nil
}

// restart throws away what is in the part file.
func (t *transfer) restart() error {
	t.hash, t.at, t.resumed = sha256.New(), 0, 0
	return t.part.reset()
}

// tidy decides what becomes of the part file after an error: bytes that are known to
// be wrong go, and so do those that fill a disk which other programs need.
func (t *transfer) tidy(err error) error {
	switch {
	case errors.Is(err, ErrHash), errors.Is(err, ErrSize), isNoSpace(err), t.at == 0:
		t.part.remove()
	default:
		err = fmt.Errorf("%w (%d bytes are kept, the next attempt goes on from there)", err, t.at)
	}
	return err
}

// receive completes the part file, however many connections that takes.
func (t *transfer) receive(ctx context.Context) error {
	wait, furthest := t.Wait, t.at
	for failures := 0; ; {
		err := t.once(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var passing *passingError
		if !errors.As(err, &passing) {
			return err
		}
		if failures++; t.at > furthest {
			failures, wait, furthest = 1, t.Wait, t.at
		}
		if failures >= t.Attempts {
			return passing.err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait = min(2*wait, maxWait)
	}
}

// once is one connection, or one pass over a file.
func (t *transfer) once(ctx context.Context) error {
	if t.Size > 0 && t.at == t.Size {
		return nil
	}
	if err := t.roomFor(t.Size - t.at); err != nil {
		return err
	}
	if t.Open != nil {
		src, err := t.Open()
		if err != nil {
			return err
		}
		defer src.Close()
		return t.copyFrom(ctx, src, -1)
	}
	if path, ok := localPath(t.Source); ok {
		return t.copyFile(ctx, path)
	}
	return t.get(ctx)
}

func (t *transfer) roomFor(need int64) error {
	free, ok := freeSpace(t.part.path)
	if ok && need > 0 && uint64(need) > free {
		return fmt.Errorf("%w: %s needs %s more, the disk of %s has %s", ErrNoSpace, t.name(), Bytes(need), filepath.Dir(t.Path), Bytes(int64(free)))
	}
	return nil
}

func (t *transfer) copyFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no %s", ErrNotFound, path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if err := t.checkTotal(info.Size()); err != nil {
		return err
	}
	return t.copyFrom(ctx, f, info.Size())
}

// copyFrom takes everything again: copying is quick, and leaves no doubt about the first bytes.
func (t *transfer) copyFrom(ctx context.Context, src io.Reader, total int64) error {
	if err := t.restart(); err != nil {
		return err
	}
	return t.body(ctx, src, total, func() {})
}

// checkTotal compares what the source offers with what is expected.
func (t *transfer) checkTotal(total int64) error {
	switch {
	case t.Size > 0 && total != t.Size:
		return fmt.Errorf("%w: the source has %d bytes, the file has %d", ErrSize, total, t.Size)
	case total > t.MaxSize:
		return fmt.Errorf("%w: the source has %d bytes, at most %d are taken", ErrSize, total, t.MaxSize)
	}
	return nil
}

// body appends what src delivers up to total bytes (-1: unknown). touch is called with every piece.
func (t *transfer) body(ctx context.Context, src io.Reader, total int64, touch func()) error {
	shown := max(total, 0, t.Size)
	t.Progress(t.at, shown)
	buf := make([]byte, 256<<10)
	// One byte over the limit is enough to know that there is too much.
	src = io.LimitReader(src, t.MaxSize-t.at+1)
	for {
		n, err := src.Read(buf)
		touch()
		if n > 0 {
			if t.at+int64(n) > t.MaxSize {
				return fmt.Errorf("%w: more than the expected %d bytes came", ErrSize, t.MaxSize)
			}
			if _, err := t.part.f.Write(buf[:n]); err != nil {
				return diskError(err)
			}
			t.hash.Write(buf[:n])
			t.at += int64(n)
			t.Progress(t.at, shown)
		}
		switch {
		case errors.Is(err, io.EOF):
			if want := shown; t.at < want {
				return &passingError{fmt.Errorf("%w: %d of %d bytes came", ErrTruncated, t.at, want)}
			}
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return &passingError{fmt.Errorf("%w after %d of %d bytes", ErrTruncated, t.at, shown)}
		case err != nil:
			return &passingError{err}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

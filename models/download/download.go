// Package download fetches one large file so that it is either there, whole and
// verified, or not there at all. A transfer that was cut off, by the network or by
// a power cut, goes on where it stopped the next time.
package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// PartSuffix is what the unfinished file is called beside the finished one.
const PartSuffix = ".part"

// MinDigits is how many hex digits of a SHA-256 are asked for at least: what the
// file names of PyTorch's hub carry.
const MinDigits = 8

// The kinds of failure that callers tell apart; every error of Fetch names the file and what to do.
var (
	// ErrNotFound: the server or folder has no such file.
	ErrNotFound = errors.New("not found")
	// ErrHash: all bytes came, but they are not the expected ones.
	ErrHash = errors.New("wrong SHA-256")
	// ErrSize: the source offers more or fewer bytes than the file has.
	ErrSize = errors.New("wrong size")
	// ErrTruncated: the transfer ended early, again and again.
	ErrTruncated = errors.New("transfer cut short")
	// ErrNoSpace: the disk, a quota or a file size limit is full.
	ErrNoSpace = errors.New("no space left")
	// ErrBusy: another process is fetching the same file.
	ErrBusy = errors.New("already being downloaded")
	// ErrStalled: the server stopped sending.
	ErrStalled = errors.New("no data arrived")
	// ErrScheme: an address, or a redirect, that is neither http nor https, or leads from https to http.
	ErrScheme = errors.New("address refused")
)

// Request says what to fetch, where to and how to know it is right.
type Request struct {
	// Source is an http or https URL, or a file's path.
	Source string
	// Open, if not nil, gives the bytes instead, and Source only names where from.
	Open func() (io.ReadCloser, error)
	// Path is where the file goes; its folder must exist. Path + PartSuffix holds what came so far.
	Path string
	// Size is the file's exact length in bytes; 0: not known.
	Size int64
	// MaxSize bounds what is read where Size isn't known; 0: 1 GiB.
	MaxSize int64
	// SHA256 is the digest in lower-case hex, or its first digits, at least MinDigits.
	SHA256 string
	// Progress, if not nil, is called with the bytes that are there and the
	// total, 0 if that isn't known. It is called often and must return quickly.
	Progress func(done, total int64)
	// Client makes the requests; nil: one with timeouts and without surprising redirects.
	Client *http.Client
	// Attempts is how often in a row a transfer may fail without a byte of
	// progress; 0: 4. What can't get better (404, a wrong hash) isn't tried again.
	Attempts int
	// Wait is the pause before the second attempt, doubled after each; 0: 1 s.
	Wait time.Duration
	// StallTimeout is how long the server may be silent; 0: 30 s.
	StallTimeout time.Duration
}

// Result tells how the file came.
type Result struct {
	// SHA256 is the whole digest in lower-case hex.
	SHA256 string
	Size   int64
	// Cached: the file was there already and right; nothing was transferred.
	Cached bool
	// ResumedAt is how many bytes an earlier transfer had left, 0 if none were used.
	ResumedAt int64
}

const (
	defaultMaxSize  = 1 << 30
	defaultAttempts = 4
	defaultWait     = time.Second
	defaultStall    = 30 * time.Second
	maxWait         = 30 * time.Second
)

// Fetch brings the file to r.Path and returns once it is verified and on disk.
// On an error there is nothing new at r.Path. What came so far is kept for the
// next call, except where it can't become right or the disk is full.
func Fetch(ctx context.Context, r Request) (Result, error) {
	if err := r.fill(); err != nil {
		return Result{}, err
	}
	if res, ok := r.present(); ok {
		return res, nil
	}
	part, err := openPart(r.Path + PartSuffix)
	if err != nil {
		return Result{}, fmt.Errorf("downloading %s: %w", r.name(), err)
	}
	defer part.close()
	t := &transfer{Request: r, part: part}
	res, err := t.run(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("downloading %s from %s: %w", r.name(), Redact(r.Source), err)
	}
	return res, nil
}

func (r *Request) fill() error {
	r.SHA256 = strings.ToLower(r.SHA256)
	if len(r.SHA256) < MinDigits || len(r.SHA256) > 2*sha256.Size || strings.Trim(r.SHA256, "0123456789abcdef") != "" {
		return fmt.Errorf("downloading %s: %q is no SHA-256: at least its first %d hex digits are needed to know that the file is right", r.name(), r.SHA256, MinDigits)
	}
	if r.MaxSize <= 0 {
		r.MaxSize = defaultMaxSize
	}
	if r.Size > 0 {
		r.MaxSize = r.Size
	}
	if r.Attempts <= 0 {
		r.Attempts = defaultAttempts
	}
	if r.Wait <= 0 {
		r.Wait = defaultWait
	}
	if r.StallTimeout <= 0 {
		r.StallTimeout = defaultStall
	}
	if r.Client == nil {
		r.Client = newClient(r.StallTimeout)
	}
	if r.Progress == nil {
		r.Progress = func(int64, int64) {}
	}
	return nil
}

func (r *Request) name() string { return filepath.Base(r.Path) }

// present reports whether the finished file is there and right.
func (r *Request) present() (Result, bool) {
	info, err := os.Stat(r.Path)
	if err != nil || !info.Mode().IsRegular() || r.Size > 0 && info.Size() != r.Size {
		return Result{}, false
	}
	sum, n, err := HashFile(r.Path)
	if err != nil || !strings.HasPrefix(sum, r.SHA256) {
		return Result{}, false
	}
	r.Progress(n, n)
	return Result{SHA256: sum, Size: n, Cached: true}, true
}

// HashFile returns the SHA-256 of a file in lower-case hex, and its length.
func HashFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// passingError is a failure that may be over the next time.
type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

// diskError names a full disk as such.
func diskError(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w; free some and try again", ErrNoSpace, err)
	}
	return err
}

// Bytes prints a number of bytes for a person, as in "46.8 MB".
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

package download

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFileSize makes writes over the limit fail with EFBIG.
func limitFileSize(limit uint64) error {
	signal.Ignore(unix.SIGXFSZ)
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit})
}

func mountSmallDisk(dir string, size int) error {
	return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
}

// A limit on the size of files stands for a full disk where no disk can be mounted.
func TestFileSizeLimit(t *testing.T) {
	m := newMirror(t, 500_000)
	r := m.request(t)
	cmd, stderr := startChild(t, r.Source, r.Path, r.SHA256, 200_000)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, stderr)
	}
	if s := stderr.String(); !strings.Contains(s, "no space left") || !strings.Contains(s, "free some and try again") {
		t.Errorf("%s", s)
	}
	wantNoFile(t, r.Path, 0)
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmallDisk(dir, 1<<20); err != nil {
		t.Skipf("needs root to mount a small disk: %v", err)
	}
	defer unmount(t, dir)
	m := newMirror(t, 3<<20)
	r := m.request(t)
	r.Path = filepath.Join(dir, "file.pth")

	// Known beforehand: nothing is asked for.
	_, err := Fetch(t.Context(), r)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "needs 3.1 MB more, the disk of "+dir+" has 1.0 MB") || len(m.seen()) != 0 {
		t.Errorf("%v, requests %q", err, m.seen())
	}
	// Not known: it runs full, and is given back.
	chunked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, bytes.NewReader(m.data))
	}))
	defer chunked.Close()
	r.Source, r.Size = chunked.URL, 0
	_, err = Fetch(t.Context(), r)
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some and try again") {
		t.Errorf("%v", err)
	}
	wantNoFile(t, r.Path, 0)
}

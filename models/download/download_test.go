package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test program is also the process that is killed or limited half-way.
const childEnv = "GLIMPSED_TEST_DOWNLOAD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		os.Exit(child(job))
	}
	goleak.VerifyTestMain(m)
}

// child downloads as its arguments say: source, path, digest, largest file in bytes.
func child(job string) int {
	arg := strings.Split(job, "|")
	if limit, _ := strconv.ParseUint(arg[3], 10, 64); limit > 0 {
		if err := limitFileSize(limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
	}
	_, err := Fetch(context.Background(), Request{Source: arg[0], Path: arg[1], SHA256: arg[2]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func startChild(t *testing.T, source, path, digest string, limit int) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{source, path, digest, strconv.Itoa(limit)}, "|"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stderr
}

// mirror is a server with one file, and the ways in which servers disappoint.
type mirror struct {
	*httptest.Server
	data []byte
	etag string
	// noRanges ignores Range; cut ends that many first answers after half of what is left;
	// silent stops every answer there until the client goes away.
	noRanges bool
	cut      int
	silent   atomic.Bool

	mu     sync.Mutex
	ranges []string
}

func newMirror(t *testing.T, size int) *mirror {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(size)})
	m := &mirror{data: make([]byte, size), etag: `"v1"`}
	_, _ = rng.Read(m.data)
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) digest() string {
	sum := sha256.Sum256(m.data)
	return hex.EncodeToString(sum[:])
}

func (m *mirror) seen() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ranges)
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/file.pth" {
		http.NotFound(w, r)
		return
	}
	m.mu.Lock()
	m.ranges = append(m.ranges, r.Header.Get("Range"))
	cut := m.cut > 0
	m.cut--
	m.mu.Unlock()
	w.Header().Set("ETag", m.etag)
	if m.noRanges {
		r.Header.Del("Range")
	}
	if !cut && !m.silent.Load() {
		http.ServeContent(w, r, "file.pth", time.Time{}, bytes.NewReader(m.data))
		return
	}
	start := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(m.data)-1, len(m.data)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(m.data)-start))
	if start > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	half := (len(m.data) - start) / 2
	_, _ = w.Write(m.data[start : start+half])
	_ = http.NewResponseController(w).Flush()
	if cut {
		panic(http.ErrAbortHandler)
	}
	<-r.Context().Done()
}

func (m *mirror) request(t *testing.T) Request {
	t.Helper()
	return Request{
		Source: m.URL + "/file.pth", Path: filepath.Join(t.TempDir(), "file.pth"),
		Size: int64(len(m.data)), SHA256: m.digest(), Wait: time.Millisecond,
	}
}

// wantFile checks that the file is there as it should be, and nothing beside it.
func wantFile(t *testing.T, path string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%s: %d bytes, %v; want the %d of the mirror", path, len(got), err, len(data))
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// wantNoFile checks that no finished file is there, and how much of the part is.
func wantNoFile(t *testing.T, path string, part int) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		t.Errorf("%s exists after an error", path)
	}
	info, err := os.Stat(path + PartSuffix)
	switch {
	case err != nil && part > 0:
		t.Errorf("no part file, want one of %d bytes", part)
	case err == nil && info.Size() != int64(part):
		t.Errorf("the part file has %d bytes, want %d", info.Size(), part)
	}
}

func TestFetch(t *testing.T) {
	m := newMirror(t, 700_000)
	r := m.request(t)
	var last, total int64
	r.Progress = func(d, n int64) {
		if d < last {
			t.Errorf("progress went from %d back to %d", last, d)
		}
		last, total = d, n
	}
	res, err := Fetch(t.Context(), r)
	if err != nil || res.SHA256 != m.digest() || res.Size != 700_000 || res.Cached || res.ResumedAt != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
	if last != 700_000 || total != 700_000 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	if res, err = Fetch(t.Context(), r); err != nil || !res.Cached || len(m.seen()) != 1 {
		t.Errorf("second call: %+v, %v, requests %q", res, err, m.seen())
	}
}

func TestFetchKnowsOnlyTheFirstDigits(t *testing.T) {
	m := newMirror(t, 1000)
	r := m.request(t)
	r.SHA256, r.Size = strings.ToUpper(m.digest()[:8]), 0
	if res, err := Fetch(t.Context(), r); err != nil || res.SHA256 != m.digest() {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, digest := range []string{"", m.digest()[:7], "resnet18", m.digest() + "0"} {
		r.SHA256 = digest
		if _, err := Fetch(t.Context(), r); err == nil || !strings.Contains(err.Error(), "is no SHA-256") {
			t.Errorf("digest %q: %v", digest, err)
		}
	}
}

func TestFetchFromFolder(t *testing.T) {
	m := newMirror(t, 5000)
	dir := t.TempDir()
	r := m.request(t)
	for _, mirror := range []string{dir, dir + "/", "file://" + dir} {
		r.Source = At(mirror, "file.pth")
		if _, err := Fetch(t.Context(), r); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), filepath.Join(dir, "file.pth")) {
			t.Errorf("empty folder %s: %v", mirror, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file.pth"), m.data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wantFile(t, r.Path, m.data)
	r.Source, r.Path = dir, r.Path+"2"
	if _, err := Fetch(t.Context(), r); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("folder as source: %v", err)
	}
}

func TestAt(t *testing.T) {
	for _, c := range [][2]string{
		{"https://mirror.example/models", "https://mirror.example/models/a.pth"},
		{"https://mirror.example/models/", "https://mirror.example/models/a.pth"},
		{"https://mirror.example/m?key=1", "https://mirror.example/m/a.pth?key=1"},
		{"/srv/models/", "/srv/models/a.pth"},
		{"file:///srv/my%20models", "/srv/my models/a.pth"},
		{"models", "models/a.pth"},
	} {
		if got := At(c[0], "a.pth"); got != c[1] {
			t.Errorf("At(%q) is %q, want %q", c[0], got, c[1])
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range [][2]string{
		{"https://user:secret@mirror.example/a.pth", "https://user:xxxxx@mirror.example/a.pth"},
		{"https://mirror.example/a.pth?token=secret", "https://mirror.example/a.pth?redacted"},
		{"/srv/a.pth", "/srv/a.pth"},
		{"https://us er:secret@[", "(unreadable address)"},
	} {
		if got := Redact(c[0]); got != c[1] {
			t.Errorf("Redact(%q) is %q, want %q", c[0], got, c[1])
		}
	}
}

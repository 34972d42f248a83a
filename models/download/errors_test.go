package download

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWrongHash(t *testing.T) {
	m := newMirror(t, 5000)
	r := m.request(t)
	r.SHA256 = "f37072fd"
	_, err := Fetch(t.Context(), r)
	if !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), "expected f37072fd, got "+m.digest()[:8]) {
		t.Fatal(err)
	}
	wantNoFile(t, r.Path, 0)
	if n := len(m.seen()); n != 1 {
		t.Errorf("%d requests for a file that can't become right", n)
	}
}

// An existing file that isn't the right one is replaced, and stays until then.
func TestWrongFileIsReplaced(t *testing.T) {
	m := newMirror(t, 5000)
	r := m.request(t)
	if err := os.WriteFile(r.Path, make([]byte, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	if res, err := Fetch(t.Context(), r); err != nil || res.Cached {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
}

func TestWrongSize(t *testing.T) {
	m := newMirror(t, 5000)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 64<<10))
		}
	}))
	defer endless.Close()
	for name, c := range map[string]struct {
		source    string
		size, max int64
	}{
		"too short":      {m.URL + "/file.pth", 6000, 0},
		"too long":       {m.URL + "/file.pth", 4000, 0},
		"over the limit": {m.URL + "/file.pth", 0, 4999},
		"endless":        {endless.URL, 0, 1 << 20},
		"endless, known": {endless.URL, 5000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := m.request(t)
			r.Source, r.Size, r.MaxSize = c.source, c.size, c.max
			if _, err := Fetch(t.Context(), r); !errors.Is(err, ErrSize) {
				t.Fatal(err)
			}
			wantNoFile(t, r.Path, 0)
		})
	}
}

func TestAnswers(t *testing.T) {
	for code, want := range map[int]struct {
		text     string
		is       error
		requests int
	}{
		404: {"404 Not Found; check the mirror's address", ErrNotFound, 1},
		410: {"410 Gone", ErrNotFound, 1},
		403: {"403 Forbidden", nil, 1},
		500: {"500 Internal Server Error", nil, 3},
		503: {"503 Service Unavailable", nil, 3},
		429: {"429 Too Many Requests", nil, 3},
		204: {"204 No Content", nil, 1},
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			requests := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				w.WriteHeader(code)
			}))
			defer s.Close()
			path := filepath.Join(t.TempDir(), "file.pth")
			_, err := Fetch(t.Context(), Request{Source: s.URL + "/file.pth", Path: path, SHA256: "f37072fd", Attempts: 3, Wait: time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), want.text) || want.is != nil && !errors.Is(err, want.is) {
				t.Errorf("%v", err)
			}
			if requests != want.requests {
				t.Errorf("%d requests, want %d", requests, want.requests)
			}
			wantNoFile(t, path, 0)
		})
	}
}

func TestServerComesBack(t *testing.T) {
	m := newMirror(t, 5000)
	failed := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !failed {
			failed = true
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		m.ServeHTTP(w, r)
	}))
	defer s.Close()
	r := m.request(t)
	r.Source = s.URL + "/file.pth"
	if _, err := Fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestNobodyListens(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	source := strings.Replace(s.URL, "http://", "http://user:hunter2@", 1) + "/file.pth?token=hunter3"
	_, err := Fetch(t.Context(), Request{Source: source, Path: filepath.Join(t.TempDir(), "file.pth"), SHA256: "f37072fd", Attempts: 1})
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "--mirror") {
		t.Fatal(err)
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("a secret is in %q", err)
	}
}

func TestSchemes(t *testing.T) {
	m := newMirror(t, 100)
	secure := httptest.NewTLSServer(http.RedirectHandler(m.URL+"/file.pth", http.StatusFound))
	defer secure.Close()
	var target string
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer plain.Close()

	r := m.request(t)
	get := func(source string, client *http.Client) error {
		r.Source, r.Client = source, client
		_, err := Fetch(t.Context(), r)
		return err
	}
	tls := secure.Client()
	tls.CheckRedirect = checkRedirect
	if err := get(secure.URL, tls); !errors.Is(err, ErrScheme) {
		t.Errorf("https to http: %v", err)
	}
	for _, target = range []string{"ftp://example.org/file.pth", "file:///etc/passwd", plain.URL} {
		if err := get(plain.URL, nil); !errors.Is(err, ErrScheme) {
			t.Errorf("http to %s: %v", target, err)
		}
	}
	for _, source := range []string{"ftp://example.org/file.pth", "gopher://x", "http://[::1"} {
		if err := get(source, nil); !errors.Is(err, ErrScheme) {
			t.Errorf("%s: %v", source, err)
		}
	}
	target = m.URL + "/file.pth"
	if err := get(plain.URL, nil); err != nil {
		t.Errorf("http to http: %v", err)
	}
	tls.CloseIdleConnections()
}

func TestUnwritable(t *testing.T) {
	m := newMirror(t, 100)
	r := m.request(t)
	r.Path = filepath.Join(filepath.Dir(r.Path), "missing", "file.pth")
	if _, err := Fetch(t.Context(), r); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "downloading file.pth") {
		t.Error(err)
	}
}

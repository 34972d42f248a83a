package download

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Two of three connections break; the third completes what the others left.
func TestCutConnectionsAreResumed(t *testing.T) {
	m := newMirror(t, 800_000)
	m.cut = 2
	r := m.request(t)
	if _, err := Fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wantFile(t, r.Path, m.data)
	if want := []string{"", "bytes=400000-", "bytes=600000-"}; !slices.Equal(m.seen(), want) {
		t.Errorf("asked for %q, want %q", m.seen(), want)
	}
}

func TestTruncatedForGood(t *testing.T) {
	m := newMirror(t, 64)
	m.cut = 1000
	r := m.request(t)
	_, err := Fetch(t.Context(), r)
	if !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "the next attempt goes on from there") {
		t.Fatalf("%v", err)
	}
	wantNoFile(t, r.Path, 63)
	m.cut = 0
	if res, err := Fetch(t.Context(), r); err != nil || res.ResumedAt != 63 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
}

func TestServerWithoutRanges(t *testing.T) {
	m := newMirror(t, 300_000)
	m.noRanges, m.cut = true, 1
	r := m.request(t)
	if res, err := Fetch(t.Context(), r); err != nil || res.ResumedAt != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
}

// What is in the part file must not decide about the result: it may be damaged,
// too long, complete, or of a file that has changed on the server since.
func TestEarlierPart(t *testing.T) {
	m := newMirror(t, 200_000)
	damaged := append(bytes.Repeat([]byte{0}, 1000), m.data[1000:50_000]...)
	cases := map[string]struct {
		part    []byte
		etag    string
		size    int64
		resumed int64
		ranges  []string
	}{
		"good":                 {m.data[:50_000], `"v1"`, 200_000, 50_000, []string{"bytes=50000-"}},
		"good, size unknown":   {m.data[:50_000], `"v1"`, 0, 50_000, []string{"bytes=50000-"}},
		"good, no validator":   {m.data[:50_000], "", 200_000, 50_000, []string{"bytes=50000-"}},
		"changed on server":    {damaged, `"v0"`, 200_000, 0, []string{"bytes=50000-"}},
		"damaged":              {damaged, `"v1"`, 200_000, 0, []string{"bytes=50000-", ""}},
		"whole":                {m.data, `"v1"`, 200_000, 200_000, nil},
		"whole, size unknown":  {m.data, `"v1"`, 0, 200_000, []string{"bytes=200000-"}},
		"whole but damaged":    {append(slices.Clone(damaged), m.data[50_000:]...), `"v1"`, 200_000, 0, []string{""}},
		"too long":             {append(slices.Clone(m.data), 1), `"v1"`, 200_000, 0, []string{""}},
		"longer than the file": {append(slices.Clone(m.data), 1), `"v1"`, 0, 0, []string{"bytes=200001-", ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m.mu.Lock()
			m.ranges = nil
			m.mu.Unlock()
			r := m.request(t)
			r.Size = c.size
			if err := os.WriteFile(r.Path+PartSuffix, c.part, 0o644); err != nil {
				t.Fatal(err)
			}
			if c.etag != "" {
				if err := os.WriteFile(r.Path+PartSuffix+metaSuffix, []byte(`{"etag":`+strconv.Quote(c.etag)+`}`), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			res, err := Fetch(t.Context(), r)
			if err != nil || res.ResumedAt != c.resumed {
				t.Fatalf("%+v, %v; want resumed at %d", res, err, c.resumed)
			}
			wantFile(t, r.Path, m.data)
			if !slices.Equal(m.seen(), c.ranges) {
				t.Errorf("asked for %q, want %q", m.seen(), c.ranges)
			}
		})
	}
}

func TestSilentServer(t *testing.T) {
	m := newMirror(t, 200_000)
	m.silent.Store(true)
	r := m.request(t)
	r.StallTimeout, r.Attempts = 50*time.Millisecond, 1
	if _, err := Fetch(t.Context(), r); !errors.Is(err, ErrStalled) {
		t.Fatal(err)
	}
	wantNoFile(t, r.Path, 100_000)
}

func TestCancelled(t *testing.T) {
	m := newMirror(t, 200_000)
	m.silent.Store(true)
	r := m.request(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Progress = func(done, _ int64) {
		if done == 100_000 {
			cancel()
		}
	}
	if _, err := Fetch(ctx, r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	wantNoFile(t, r.Path, 100_000)
	m.silent.Store(false)
	if res, err := Fetch(t.Context(), r); err != nil || res.ResumedAt != 100_000 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
}

func TestTwoAtOnce(t *testing.T) {
	m := newMirror(t, 200_000)
	m.silent.Store(true)
	r := m.request(t)
	ctx, cancel := context.WithCancel(t.Context())
	half, done := make(chan struct{}), make(chan struct{})
	first := r
	first.Progress = func(n, _ int64) {
		if n == 100_000 {
			close(half)
		}
	}
	go func() {
		defer close(done)
		_, _ = Fetch(ctx, first)
	}()
	<-half
	if _, err := Fetch(t.Context(), r); !errors.Is(err, ErrBusy) {
		t.Errorf("second download: %v", err)
	}
	cancel()
	<-done
	wantNoFile(t, r.Path, 100_000)
}

// A process that is killed half-way leaves what the next one goes on with.
func TestKilledHalfWay(t *testing.T) {
	m := newMirror(t, 4_000_000)
	m.silent.Store(true)
	r := m.request(t)
	cmd, stderr := startChild(t, r.Source, r.Path, r.SHA256, 0)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if info, err := os.Stat(r.Path + PartSuffix); err == nil && info.Size() == 2_000_000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other process has not come half-way: %s", stderr)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wantNoFile(t, r.Path, 2_000_000)

	m.silent.Store(false)
	res, err := Fetch(t.Context(), r)
	if err != nil || res.ResumedAt != 2_000_000 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantFile(t, r.Path, m.data)
	if want := []string{"", "bytes=2000000-"}; !slices.Equal(m.seen(), want) {
		t.Errorf("asked for %q, want %q", m.seen(), want)
	}
}

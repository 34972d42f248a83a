package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve listens in a state directory whose name is longer than a socket's may be.
func serve(t *testing.T, do func(context.Context, string, []byte) []byte) (dir string, stop func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	s, err := Listen(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Serve(ctx, do); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return dir, stop
}

func TestSocket(t *testing.T) {
	c := New(All, commands())
	dir, stop := serve(t, c.Do)
	var answer struct {
		UptimeS int `json:"uptime_s"`
	}
	if err := Ask(t.Context(), dir, "ping", &answer); err != nil || answer.UptimeS != 7 {
		t.Errorf("%v, %+v", err, answer)
	}
	if err := Ask(t.Context(), dir, "model", nil); err == nil || err.Error() != "no such model" {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, socketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Listen(dir, slog.Default()); err == nil || !strings.Contains(err.Error(), "another glimpsed uses the state directory "+dir) {
		t.Errorf("got %v", err)
	}
	stop()
	for _, dir := range []string{dir, filepath.Join(dir, "none")} {
		if err := Ask(t.Context(), dir, "ping", nil); !errors.Is(err, ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	}
	// What a killed daemon left behind is in nobody's way.
	s, err := Listen(dir, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	s.listener.Close()
}

// Whoever says nothing, too much or nonsense keeps nobody else from being served.
func TestSocketWithRudeClients(t *testing.T) {
	dir, _ := serve(t, New(All, commands()).Do)
	dial := func() net.Conn {
		t.Helper()
		c, err := dial(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	const rude = 4 // below; each keeps its place for a moment after its end
	for range maxConnections - rude {
		dial()
	}
	for request, want := range map[string]string{
		"nonsense\n": "not a line of JSON", `{"command":"none"}` + "\n": "there is no command", strings.Repeat("x", 3*MaxRequest): "", "": "",
	} {
		c := dial()
		if _, err := c.Write([]byte(request)); err != nil && len(request) < MaxRequest {
			t.Error(err)
		}
		if want == "" {
			c.Close()
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(answer), want) || !json.Valid(answer) {
			t.Errorf("%.20q: %s, %v", request, answer, err)
		}
	}
	// There is a place again soon, though the silent ones still have theirs.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := Ask(t.Context(), dir, "ping", nil)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

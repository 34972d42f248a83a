package daemon

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressNamesStagesThatAreStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Progress
		slow, idle := p.Stage("classifying for camera front"), p.Stage("classifying for camera back")
		idle.Begin()
		idle.End()
		slow.Begin()
		time.Sleep(2 * time.Second)
		if stuck := p.Stuck(3 * time.Second); len(stuck) > 0 {
			t.Errorf("after 2 s of 3 allowed: stuck = %q", stuck)
		}
		time.Sleep(2 * time.Second)
		stuck := p.Stuck(3 * time.Second)
		if len(stuck) != 1 || !strings.HasPrefix(stuck[0], "classifying for camera front for ") {
			t.Errorf("after 4 s of 3 allowed: stuck = %q", stuck)
		}
		slow.End()
		if stuck := p.Stuck(3 * time.Second); len(stuck) > 0 {
			t.Errorf("after the step's end: stuck = %q", stuck)
		}
	})
}

// systemd stands for the service manager: it is the other end of sd_notify(3).
func systemd(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

// told returns the next message, or "" if none comes within limit.
func told(t *testing.T, conn *net.UnixConn, limit time.Duration) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

func TestWatchdogStarvesWhileAStageIsStuck(t *testing.T) {
	conn := systemd(t)
	t.Setenv("WATCHDOG_USEC", "400000")
	var p Progress
	stage := p.Stage("classifying for camera front")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- feedWatchdog(ctx, slog.New(slog.DiscardHandler), &p) }()

	for range 3 {
		if m := told(t, conn, 10*time.Second); m != "WATCHDOG=1" {
			t.Fatalf("while all is well systemd is told %q", m)
		}
	}
	stage.Begin()
	// What was sent before half of the interval had passed is still allowed.
	for deadline := time.Now().Add(10 * time.Second); told(t, conn, time.Second) != ""; {
		if time.Now().After(deadline) {
			t.Fatal("the watchdog is fed although a stage is stuck")
		}
	}
	stage.End()
	if m := told(t, conn, 10*time.Second); m != "WATCHDOG=1" {
		t.Errorf("after the stage got on again systemd is told %q", m)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPercentilesAreNearestRank(t *testing.T) {
	var l Latencies
	if got := l.Percentiles(50, 99); got[0] != 0 || got[1] != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 100 {
		l.Add(time.Duration(100-i) * time.Millisecond)
	}
	got := l.Percentiles(0, 50, 95, 99, 100)
	for i, want := range []time.Duration{1, 50, 95, 99, 100} {
		if got[i] != want*time.Millisecond {
			t.Errorf("percentile %d is %v, want %d ms", i, got[i], want)
		}
	}
	for range window {
		l.Add(time.Second)
	}
	if got := l.Percentiles(0); got[0] != time.Second {
		t.Errorf("old durations are still there: %v", got)
	}
}

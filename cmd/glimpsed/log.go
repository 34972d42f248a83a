package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"sync"
)

// newLogger writes to w as text or JSON. With format "auto" it is text, and under
// journald (which sets JOURNAL_STREAM) text without timestamps but with the priority
// prefix of sd-daemon(3), so that `journalctl -p warning` works.
func newLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	journal := os.Getenv("JOURNAL_STREAM") != ""
	if journal {
		opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	if journal {
		w = &priorityWriter{w: w}
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// priorities are syslog's for slog's levels, as TextHandler writes them at the
// start of a line that has no time.
var priorities = []struct{ level, prefix []byte }{
	{[]byte("level=DEBUG"), []byte("<7>")},
	{[]byte("level=INFO"), []byte("<6>")},
	{[]byte("level=WARN"), []byte("<4>")},
	{[]byte("level=ERROR"), []byte("<3>")},
}

// priorityWriter puts the priority that journald reads in front of each line.
type priorityWriter struct {
	mu   sync.Mutex
	line []byte // guarded by mu
	w    io.Writer
}

// Write takes one line of a slog handler.
func (p *priorityWriter) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = p.line[:0]
	for _, pr := range priorities {
		if bytes.HasPrefix(b, pr.level) {
			p.line = append(p.line, pr.prefix...)
			break
		}
	}
	p.line = append(p.line, b...)
	if _, err := p.w.Write(p.line); err != nil {
		return 0, err
	}
	return len(b), nil
}

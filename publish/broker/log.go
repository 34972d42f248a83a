package broker

import (
	"context"
	"log/slog"
)

// quiet brings mochi's log down to what concerns the daemon's owner: its news
// and its remarks on clients become debug messages, its errors warnings. Packets are
// left out, since a CONNECT holds a password.
type quiet struct{ next slog.Handler }

func lowered(l slog.Level) slog.Level {
	if l >= slog.LevelError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.next.Enabled(ctx, lowered(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, lowered(r.Level), "embedded broker: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "pk" && a.Key != "packet" {
			out.AddAttrs(a)
		}
		return true
	})
	return q.next.Handle(ctx, out)
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.next.WithAttrs(as)} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.next.WithGroup(name)} }

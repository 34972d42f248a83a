package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// lookThrough is how often problems are looked for that nobody reports.
const lookThrough = 5 * time.Second

// tellDiagnostics publishes what is wrong with the device whenever that changes, and tells
// systemd one line of it.
func (a *App) tellDiagnostics(ctx context.Context) {
	ticker := time.NewTicker(lookThrough)
	defer ticker.Stop()
	known := map[string]time.Time{}
	first := true
	var status string
	for {
		problems := a.problems()
		changed := first || len(problems) != len(known)
		since := make(map[string]time.Time, len(problems))
		told := make([]publish.Problem, 0, len(problems))
		for _, what := range problems {
			at, was := known[what]
			if !was {
				at, changed = time.Now(), true
			}
			since[what] = at
			told = append(told, publish.Problem{What: what, Since: at})
		}
		known, first = since, false
		if changed {
			state := a.mqtt.State()
			a.publish(a.encoder.Diagnostics(publish.Diagnostics{Problems: told, Reconnects: state.Reconnects, Lost: state.Lost}))
		}
		if s := a.statusLine(); s != status {
			status = s
			notify(a.log, "STATUS="+s)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-ticker.C:
		}
	}
}

// problems are what is wrong now, a sentence each, sorted.
func (a *App) problems() []string {
	var out []string
	link := a.mqtt.State()
	if !link.Connected && link.Reason != "" {
		out = append(out, "broker: "+link.Reason)
	}
	if id := link.Contested; id != "" {
		out = append(out, fmt.Sprintf("broker: another client uses the client id %s, as copied SD cards do: "+
			"give each machine its own /etc/machine-id, or set mqtt.client_id", id))
	}
	if reason := link.Unreadable; reason != "" {
		out = append(out, "broker: "+reason)
	}
	if a.noOutbox != "" {
		out = append(out, "outbox: "+a.noOutbox)
	}
	if a.outbox != nil {
		if s := a.outbox.State(); s.Fault != "" {
			out = append(out, "outbox: "+s.Fault)
		}
	}
	if reason := a.refused.String(); reason != "" {
		out = append(out, "configuration: "+reason)
	}
	reasons, _ := board.Throttled()
	for _, reason := range reasons {
		out = append(out, "processor: "+reason)
	}
	out = append(out, a.webhooks.faults()...)
	for _, c := range a.all() {
		if fault := c.pipeline.Fault(); fault != "" {
			out = append(out, fmt.Sprintf("camera %s: %s", c.name, fault))
		}
		if fault := c.healthCheck().Fault(); fault != "" {
			out = append(out, fmt.Sprintf("camera %s: checking its health: %s", c.name, fault))
		}
		if s := c.source().Status(); s.Frames+s.Reconnects > 0 || s.Reason != capture.Starting {
			if s.State == vision.CameraOffline || s.State == vision.CameraStalled {
				out = append(out, fmt.Sprintf("camera %s is %s: %s", c.name, s.State, s.Reason))
			}
		}
	}
	slices.Sort(out)
	return out
}

// statusLine is the daemon's state for `systemctl status`.
func (a *App) statusLine() string {
	var parts []string
	for _, c := range a.all() {
		s := c.source().Status()
		part := fmt.Sprintf("%s %s", c.name, s.State)
		if s.Reason != "" {
			part += " (" + s.Reason + ")"
		}
		parts = append(parts, part)
	}
	broker := "broker connected"
	if s := a.mqtt.State(); !s.Connected {
		broker = "broker not connected"
		if s.Reason != "" {
			broker += " (" + s.Reason + ")"
		}
	}
	return strings.Join(append(parts, broker), ", ")
}

// tellStats publishes the device's numbers every stats.every.
func (a *App) tellStats(ctx context.Context) {
	every := a.config().Stats.Every
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	at := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-a.statsChanged:
			if e := a.config().Stats.Every; e != every {
				every = e
				ticker.Reset(every)
			}
			continue
		}
		now := time.Now()
		a.publish(a.encoder.Stats(a.stats(now, now.Sub(at))))
		at = now
	}
}

// stats gathers the device's numbers, interval after the last time.
func (a *App) stats(now time.Time, interval time.Duration) publish.Stats {
	state := a.mqtt.State()
	s := publish.Stats{
		At: now, Uptime: now.Sub(a.began),
		Pending: state.Pending, Lost: state.Lost,
	}
	if rss, err := board.Resident(); err == nil {
		s.RSS = uint64(rss)
	} else {
		a.log.Debug("gathering stats", "error", err)
	}
	if c, known := board.Temperature(); known {
		s.Temperature = &c
	}
	if reasons, known := board.Throttled(); known {
		held := len(reasons) > 0
		s.Throttled = &held
	}
	for _, c := range a.all() {
		status := c.source().Status()
		one := c.pipeline.stats()
		one.Camera, one.Dropped, one.Stale = c.name, status.Dropped, status.Stale
		one.FPS = float64(one.Results-c.counted) / interval.Seconds()
		c.counted = one.Results
		s.Cameras = append(s.Cameras, one)
	}
	return s
}

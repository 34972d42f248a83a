package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/control"
	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/mqtt"
	"github.com/glimpsed/glimpsed/vision"
)

// maxFPS bounds what may be commanded.
const maxFPS = 1000

// commands are what the daemon does when it is asked to.
func (a *App) commands() map[string]control.Command {
	return map[string]control.Command{
		"ping":     {Safe: true, Run: a.ping},
		"pause":    {Safe: true, Run: func(_ context.Context, args json.RawMessage) (any, error) { return a.setEnabled(args, false) }},
		"resume":   {Safe: true, Run: func(_ context.Context, args json.RawMessage) (any, error) { return a.setEnabled(args, true) }},
		"set":      {Safe: true, Run: a.set},
		"snapshot": {Safe: true, Run: a.snapshot},
		"model":    {Run: a.setModel},
		"reload":   {Run: a.reload},
		"restart":  {Run: a.restart},
	}
}

// subscriptions are the topics that commands come by.
func (a *App) subscriptions() []mqtt.Subscription {
	out := a.homeSubscriptions()
	if len(a.control.Allowed()) > 0 {
		out = append(out, mqtt.Subscription{Filter: publish.CommandTopic("+"), QoS: 1, Handle: a.command})
	}
	return out
}

// command carries out what was asked for over MQTT.
func (a *App) command(m mqtt.Received) {
	if m.Retained {
		// It was meant for whoever was there when it was sent.
		a.log.Warn("a retained command is ignored: send commands without the retain flag", "topic", m.Topic)
		return
	}
	name := m.Topic[strings.LastIndexByte(m.Topic, '/')+1:]
	answer := a.control.Do(context.Background(), name, m.Payload)
	a.publish(a.encoder.Reply(name, answer))
	a.followUp()
}

// followUp does what a command left to do until its answer was out.
func (a *App) followUp() {
	if then := a.then.Swap(nil); then != nil {
		(*then)()
	}
}

type target struct {
	// Camera is the one that is meant; empty: all.
	Camera string `json:"camera"`
}

// meant are the cameras that a command without other arguments is about.
func (a *App) meant(args json.RawMessage) ([]*camera, error) {
	var t target
	if err := control.Decode(args, &t); err != nil {
		return nil, err
	}
	return a.targets(t.Camera)
}

// targets are the cameras of a name, or all.
func (a *App) targets(name string) ([]*camera, error) {
	if name == "" {
		return a.all(), nil
	}
	if c := a.cameraNamed(name); c != nil {
		return []*camera{c}, nil
	}
	var names []string
	for _, c := range a.all() {
		names = append(names, c.name)
	}
	return nil, fmt.Errorf("there is no camera %q; there are %s", name, strings.Join(names, ", "))
}

func (a *App) ping(_ context.Context, args json.RawMessage) (any, error) {
	if err := control.Decode(args, &struct{}{}); err != nil {
		return nil, err
	}
	return struct {
		RunID   string `json:"run_id"`
		UptimeS int64  `json:"uptime_s"`
	}{a.runID, int64(time.Since(a.began) / time.Second)}, nil
}

func (a *App) setEnabled(args json.RawMessage, enabled bool) (any, error) {
	cameras, err := a.meant(args)
	if err != nil {
		return nil, err
	}
	for _, c := range cameras {
		c.enable(enabled)
		a.tellSettings(c)
	}
	return nil, nil
}

func (c *camera) enable(enabled bool) {
	if enabled {
		c.source().Resume()
	} else {
		c.source().Pause()
	}
}

// set changes frame rate and thresholds, until the configuration is loaded again or for good.
func (a *App) set(_ context.Context, args json.RawMessage) (any, error) {
	var s struct {
		target
		Enabled *bool    `json:"enabled"`
		FPS     *float64 `json:"fps"`
		Enter   *float64 `json:"enter"`
		Leave   *float64 `json:"leave"`
		Keep    bool     `json:"keep"`
	}
	if err := control.Decode(args, &s); err != nil {
		return nil, err
	}
	if s.Enabled == nil && s.FPS == nil && s.Enter == nil && s.Leave == nil {
		return nil, errors.New("nothing to set: there are enabled, fps, enter and leave")
	}
	if s.FPS != nil && (*s.FPS < 0 || *s.FPS > maxFPS || math.IsNaN(*s.FPS)) {
		return nil, fmt.Errorf("fps must be from 0 to %d, got %v", maxFPS, *s.FPS)
	}
	cameras, err := a.targets(s.Camera)
	if err != nil {
		return nil, err
	}
	var keep []config.Override
	for _, c := range cameras {
		kept := func(key string, value any) {
			keep = append(keep, config.Override{Camera: c.name, Key: key, Value: value})
		}
		enter, leave := c.events.Thresholds()
		if s.Enter != nil {
			enter = *s.Enter
		}
		if s.Leave != nil {
			leave = *s.Leave
		} else {
			leave = min(leave, enter)
		}
		if err := c.events.SetThresholds(enter, leave); err != nil {
			return nil, err
		}
		if s.Enter != nil || s.Leave != nil {
			kept("events.enter", enter)
			kept("events.leave", leave)
		}
		if s.Enabled != nil {
			c.enable(*s.Enabled)
			kept("enabled", *s.Enabled)
		}
		if s.FPS != nil {
			c.source().SetFPS(*s.FPS)
			kept("fps", *s.FPS)
		}
		a.tellSettings(c)
	}
	if s.Keep {
		return nil, a.keep(keep)
	}
	return nil, nil
}

// keep has changes outlive a restart.
func (a *App) keep(changes []config.Override) error {
	if err := config.SaveOverrides(a.config().StateDir, changes); err != nil {
		return fmt.Errorf("changed, but not kept: %w", err)
	}
	return nil
}

// setModel has cameras classified with another installed model, between two frames.
func (a *App) setModel(ctx context.Context, args json.RawMessage) (any, error) {
	var m struct {
		target
		Model string `json:"model"`
		Keep  bool   `json:"keep"`
	}
	if err := control.Decode(args, &m); err != nil {
		return nil, err
	}
	if m.Model == "" {
		return nil, errors.New("no model is named")
	}
	if err := models.CheckName(m.Model); err != nil && m.Model != models.Auto { // files are not for those who command
		return nil, fmt.Errorf("model must be auto or the name of an installed model, got %q", m.Model)
	}
	cameras, err := a.targets(m.Camera)
	if err != nil {
		return nil, err
	}
	var keep []config.Override
	err = a.amend(ctx, func(cfg *config.Config) {
		for i := range cfg.Cameras {
			cam := &cfg.Cameras[i]
			if slices.ContainsFunc(cameras, func(c *camera) bool { return c.name == cam.Name }) {
				cam.Model, cam.Labels = m.Model, ""
				keep = append(keep, config.Override{Camera: cam.Name, Key: "model", Value: m.Model}, config.Override{Camera: cam.Name, Key: "labels", Value: ""})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if m.Keep {
		return nil, a.keep(keep)
	}
	return nil, nil
}

// reload takes on the configuration as the files have it now.
func (a *App) reload(ctx context.Context, args json.RawMessage) (any, error) {
	if err := control.Decode(args, &struct{}{}); err != nil {
		return nil, err
	}
	if a.supervisor == nil {
		return nil, errors.New("this daemon has no configuration to load again")
	}
	done, then, err := a.supervisor.reload(ctx)
	a.then.Store(&then)
	if err != nil {
		return nil, err
	}
	return struct {
		Done string `json:"done"`
	}{done}, nil
}

// restart has the process start itself anew.
func (a *App) restart(_ context.Context, args json.RawMessage) (any, error) {
	if err := control.Decode(args, &struct{}{}); err != nil {
		return nil, err
	}
	if a.supervisor == nil {
		return nil, errors.New("this daemon can't restart itself")
	}
	then := a.supervisor.askRestart()
	a.then.Store(&then)
	return nil, nil
}

// tellSettings publishes what can be changed on a camera.
func (a *App) tellSettings(c *camera) {
	enter, leave := c.events.Thresholds()
	a.publish(a.encoder.Settings(publish.Settings{
		Camera: c.name, Enabled: !c.source().Paused(), FPS: c.source().FPS(),
		Enter: enter, Leave: leave, Model: c.modelInUse().Name,
	}))
}

const (
	// snapshotSide bounds a snapshot's longer side, in pixels.
	snapshotSide    = 1280
	snapshotQuality = 85
)

// snapshot publishes the next picture that is classified of each camera that is meant.
func (a *App) snapshot(ctx context.Context, args json.RawMessage) (any, error) {
	cameras, err := a.meant(args)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, c := range cameras {
		jpeg, err := c.pipeline.Snapshot(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("camera %s: %w", c.name, err))
			continue
		}
		a.publish(a.encoder.Image(c.name, jpeg))
	}
	return nil, errors.Join(errs...)
}

// snapshotRequest asks a pipeline for its next frame.
type snapshotRequest struct {
	done chan struct{}
	jpeg []byte
	err  error
}

// Snapshot returns the next frame that is classified, as JPEG.
func (p *Pipeline) Snapshot(ctx context.Context) ([]byte, error) {
	r := &snapshotRequest{done: make(chan struct{})}
	select {
	case p.snapshots <- r:
	default:
		return nil, errors.New("another snapshot is being waited for")
	}
	select {
	case <-r.done:
		return r.jpeg, r.err
	case <-ctx.Done():
		select { // it must not be taken after all
		case <-p.snapshots:
		default:
		}
		return nil, errors.New("no picture came: is the camera online?")
	}
}

// answerSnapshot encodes the frame if somebody asked for one.
func (p *Pipeline) answerSnapshot(frame vision.Frame) {
	select {
	case r := <-p.snapshots:
		r.jpeg, r.err = new(imaging.Encoder).Snapshot(frame, snapshotSide, snapshotQuality)
		close(r.done)
	default:
	}
}

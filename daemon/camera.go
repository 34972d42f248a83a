package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/events"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/vision"
)

// camera is one camera with the pipeline behind it. Pipeline and events live as long as it is configured under its
// name, so that results are numbered without a gap; everything else may be replaced while it runs.
type camera struct {
	name     string
	pipeline *Pipeline
	events   *events.Tracker
	best     bestPicture
	counted  uint64 // results when the last stats were gathered, tellStats's
	// picture says that events have one.
	picture atomic.Bool

	mu      sync.Mutex
	cfg     config.Camera   // guarded by mu, as all below
	capture *capture.Camera // replaced only while it doesn't run
	model   *Model
	health  *HealthCheck // nil where none is wanted

	// What follows belongs to whoever holds App.changing.
	running *crew // nil until start
	checks  *crew // health's
	unwatch func()
}

// crew is goroutines that end together.
type crew struct {
	end  context.CancelFunc
	done <-chan struct{}
}

// muster starts goroutines that run until ctx ends or the crew is dismissed. The first error of each is told to failed.
func muster(ctx context.Context, failed func(error), duties ...func(context.Context) error) *crew {
	ctx, cancel := context.WithCancel(ctx)
	var g group
	for _, duty := range duties {
		g.start(func() error {
			err := duty(ctx)
			if err != nil {
				failed(err)
			}
			return err
		})
	}
	return &crew{end: cancel, done: g.done()}
}

// dismiss ends a crew and says whether it was gone within limit. A nil crew is gone.
func (c *crew) dismiss(limit time.Duration) bool {
	if c == nil {
		return true
	}
	c.end()
	return within(limit, c.done)
}

// gone is closed when a crew has ended; a nil crew has.
func (c *crew) gone() <-chan struct{} {
	if c == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return c.done
}

// config is the camera's configuration in force.
func (c *camera) config() config.Camera {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg
}

// source is what the camera's pictures come from.
func (c *camera) source() *capture.Camera {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.capture
}

func (c *camera) modelInUse() *Model {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.model
}

func (c *camera) healthCheck() *HealthCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// cameraPlan is what a camera is to be: everything that can fail has been done.
type cameraPlan struct {
	cfg    config.Camera
	model  *Model
	labels *infer.Classifier // nil: the one it has
	health *HealthCheck      // nil: none is wanted
}

// newCamera makes a camera that isn't running yet.
func (a *App) newCamera(p cameraPlan) *camera {
	name := p.cfg.Name
	c := &camera{name: name, cfg: p.cfg, model: p.model, health: p.health, events: events.New(p.cfg.Events, name, a.runID)}
	c.picture.Store(p.cfg.Events.Picture)
	c.pipeline = newPipeline(name, a.runID, view{
		model: p.model.Ref(), labels: p.labels, health: p.health, motion: capture.NewMotion(p.cfg.Motion),
	})
	c.pipeline.stage = a.progress.Stage("classifying for camera " + name)
	c.pipeline.log, c.pipeline.onFault = a.log, a.wake
	c.pipeline.emit = func(r vision.Result, frame vision.Frame) {
		a.emit(r)
		a.tellEvents(c.events.Observe(r.CapturedAt, r.Top))
		if c.picture.Load() {
			a.keepBest(c, frame)
		}
	}
	a.openSource(c)
	return c
}

// openSource gives a camera that isn't running what its pictures come from.
func (a *App) openSource(c *camera) {
	c.mu.Lock()
	defer c.mu.Unlock()
	paused := !c.cfg.Enabled
	if c.capture != nil {
		paused = c.capture.Paused()
	}
	c.capture = capture.New(c.cfg.Config, kinds.SourceOpener(a.log), capture.Options{
		Logger: a.log, OnStatus: func(s vision.CameraStatus) { a.cameraChanged(c, s) },
	})
	if paused {
		c.capture.Pause()
	}
	c.pipeline.frames = c.capture
	if c.unwatch != nil {
		c.unwatch()
	}
	// The camera notices by itself what hangs; this is for the case that it doesn't.
	c.unwatch = a.progress.Watch("supervising camera "+c.name, max(c.cfg.StallAfter, c.cfg.OpenTimeout)+5*time.Second, c.capture.Progress)
}

// start has a camera look and classify until ctx ends or it is stopped. over is told when it has come to its end.
func (c *camera) start(ctx context.Context, failed func(error), over func()) {
	source := c.source()
	c.running = muster(ctx, failed, source.Run, func(ctx context.Context) error {
		defer over()
		return c.pipeline.Run(ctx)
	})
	if health := c.healthCheck(); health != nil && c.checks == nil {
		c.checks = muster(ctx, failed, health.Run)
	}
}

// stop ends what start began, but for the health check, and says whether it ended within limit.
func (c *camera) stop(limit time.Duration) bool { return c.running.dismiss(limit) }

// errUnstoppable says that a native call doesn't return, so that only a new process helps.
var errUnstoppable = errors.New("a native call does not return")

// change makes a running camera what p says.
func (a *App) change(ctx context.Context, c *camera, p cameraPlan) error {
	was := c.config()
	reopen := !reflect.DeepEqual(sourceConfig(was), sourceConfig(p.cfg))
	if reopen && !c.stop(stageBudget) {
		return fmt.Errorf("camera %s: %w", c.name, errUnstoppable)
	}
	health := c.healthCheck()
	// Before anything uses the new one: the tracker must not take the old model's labels for the new one's.
	err := c.pipeline.Swap(ctx, func(v *view) {
		if p.labels != nil {
			v.model, v.labels = p.model.Ref(), p.labels
		}
		v.health = p.health
		if was.Motion != p.cfg.Motion {
			v.motion = capture.NewMotion(p.cfg.Motion)
		}
		if p.labels != nil || !reflect.DeepEqual(was.Events, p.cfg.Events) {
			a.tellEvents(c.events.Configure(p.cfg.Events, time.Now()))
			c.picture.Store(p.cfg.Events.Picture)
		}
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errUnstoppable, err)
	}
	c.mu.Lock()
	c.cfg, c.model, c.health = p.cfg, p.model, p.health
	c.mu.Unlock()
	if p.health != health {
		if !c.checks.dismiss(stageBudget) {
			return fmt.Errorf("camera %s: checking its health: %w", c.name, errUnstoppable)
		}
		if c.checks = nil; p.health != nil && !reopen {
			c.checks = muster(a.looking, a.fail, p.health.Run)
		}
		a.progress.Remove(health.stageOf())
	}
	if reopen {
		a.openSource(c)
	} else if was.FPS != p.cfg.FPS {
		c.source().SetFPS(p.cfg.FPS)
	}
	if was.Enabled != p.cfg.Enabled {
		c.enable(p.cfg.Enabled)
	}
	if reopen {
		a.start(c)
	} else {
		a.tellSettings(c)
	}
	return nil
}

// sourceConfig is the part of a camera's configuration that can't change while it is open.
func sourceConfig(c config.Camera) capture.Config {
	open := c.Config
	open.FPS, open.Motion = 0, capture.MotionConfig{}
	return open
}

// retire ends a camera that is no longer configured, and clears what the broker retains of it.
func (a *App) retire(c *camera) error {
	if !c.stop(stageBudget) || !c.checks.dismiss(stageBudget) {
		return fmt.Errorf("camera %s: %w", c.name, errUnstoppable)
	}
	a.tellEvents(c.events.Stop(time.Now()))
	a.progress.Remove(c.pipeline.stage)
	a.progress.Remove(c.healthCheck().stageOf())
	c.unwatch()
	a.forget(c.name)
	return nil
}

// all are the cameras in force, in the order of the configuration. The list must not be changed.
func (a *App) all() []*camera { return *a.cameras.Load() }

// cameraNamed is the camera of a name, or nil.
func (a *App) cameraNamed(name string) *camera {
	for _, c := range a.all() {
		if c.name == name {
			return c
		}
	}
	return nil
}

// start has a camera run within App.looking.
func (a *App) start(c *camera) {
	a.runningCameras.Add(1)
	a.cameraChanged(c, c.source().Status())
	a.tellSettings(c)
	c.start(a.looking, a.fail, a.oneEnded)
}

// oneEnded notes that a camera came to its end, or was stopped.
func (a *App) oneEnded() {
	if a.runningCameras.Add(-1) == 0 {
		wake(a.ended)
	}
}

// fail ends the run.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default: // the first one is what ended it
	}
}

// modelsOf are the models that cameras use.
func modelsOf(cameras []*camera) []*Model {
	var out []*Model
	for _, c := range cameras {
		c.mu.Lock()
		out = append(out, c.model)
		if c.health != nil {
			out = append(out, c.health.used)
		}
		c.mu.Unlock()
	}
	return slices.Compact(out)
}

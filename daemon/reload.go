package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/control"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/publish"
)

// plan is a configuration with everything done that can fail.
type plan struct {
	cfg     config.Config
	cameras []cameraPlan
	opened  []*Model // for this plan
	stages  []*Stage // too
}

// drop undoes a plan that isn't carried out.
func (a *App) drop(p *plan) error {
	for _, s := range p.stages {
		a.progress.Remove(s)
	}
	var errs []error
	for _, m := range p.opened {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// plan opens what the cameras of cfg need beside what is open already. The plan is never nil, and has to be
// dropped even after an error.
func (a *App) plan(cfg config.Config) (*plan, error) {
	p := &plan{cfg: cfg}
	store := models.NewStore(cfg.Models.Dir)
	resolved := map[[2]string]*Model{}
	for i, cam := range cfg.Cameras {
		ref, labels := cfg.ModelOf(i)
		m, err := a.planModel(p, resolved, store, ref, labels)
		if err != nil {
			return p, err
		}
		one := cameraPlan{cfg: cam, model: m}
		old := a.cameraNamed(cam.Name)
		if old == nil || old.modelInUse() != m || old.config().Crop != cam.Crop || a.config().Infer.Top != cfg.Infer.Top {
			if one.labels, err = m.Classifier(infer.ClassifierOptions{Top: cfg.Infer.Top, Crop: cam.Crop}); err != nil {
				return p, fmt.Errorf("%w: cameras[%d]: %w", ErrModel, i, err)
			}
			for _, label := range cam.Events.Strangers(m.Labels) {
				a.log.Warn("the model has no such label", "camera", cam.Name, "label", label, "key", fmt.Sprintf("cameras[%d].events", i), "model", m.Name)
			}
		}
		if one.health, err = a.planHealth(p, resolved, store, cam.Name, old); err != nil {
			return p, err
		}
		p.cameras = append(p.cameras, one)
	}
	return p, nil
}

// planModel returns the model that a reference means, opened if it is not.
func (a *App) planModel(p *plan, resolved map[[2]string]*Model, store *models.Store, ref, labels string) (*Model, error) {
	key := [2]string{ref, labels}
	if m := resolved[key]; m != nil {
		return m, nil
	}
	found, note, err := models.Resolve(ref, labels, store)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	for _, m := range slices.Concat(a.models, p.opened) {
		if m.is(found, p.cfg.Infer) {
			resolved[key] = m
			return m, nil
		}
	}
	m, err := OpenFound(found, p.cfg.Infer)
	if err != nil {
		return nil, err
	}
	m.Note = note
	p.opened = append(p.opened, m)
	if len(a.models) > 0 { // something works: it isn't given up for what may not
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrModel, err)
		}
	}
	resolved[key] = m
	attrs := []any{"model", m.Name, "sha256", m.SHA256, "runtime", m.Runtime, "labels", len(m.Labels)}
	if m.Note != "" {
		attrs = append(attrs, "note", m.Note)
	}
	a.log.Info("model ready", attrs...)
	return m, nil
}

// planHealth makes a camera's health check: the one it has, where that is the same, or nil where none is wanted.
func (a *App) planHealth(p *plan, resolved map[[2]string]*Model, store *models.Store, camera string, old *camera) (*HealthCheck, error) {
	every := p.cfg.Health.Every
	if every == 0 {
		return nil, nil
	}
	m, err := a.planModel(p, resolved, store, models.CameraHealth, "")
	if err != nil {
		return nil, fmt.Errorf("health.every: %w", err)
	}
	if old != nil {
		if h := old.healthCheck(); h != nil && h.every == every && h.used == m {
			return h, nil
		}
	}
	classifier, err := m.Classifier(infer.ClassifierOptions{})
	if err != nil {
		return nil, fmt.Errorf("health.every: %w: %w", ErrModel, err)
	}
	h := &HealthCheck{
		camera: camera, every: every, used: m, model: m.Ref(), labels: classifier,
		stage: a.progress.Stage("checking the health of camera " + camera), log: a.log,
		emit:    func(h publish.Health) { a.publish(a.encoder.Health(h)) },
		onFault: a.wake,
	}
	p.stages = append(p.stages, h.stage)
	return h.start(), nil
}

// ErrOtherLink says that a configuration can't be taken on without connecting anew, since other than cameras
// have changed.
var ErrOtherLink = errors.New("a new connection is needed")

// Reload takes on another configuration while everything goes on: cameras that are the same notice nothing. An error
// leaves all as it was; ErrOtherLink wants another App.
func (a *App) Reload(ctx context.Context, cfg config.Config) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	return a.takeOn(ctx, cfg)
}

// amend takes on the configuration in force with a change, as Reload does.
func (a *App) amend(ctx context.Context, change func(*config.Config)) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg := *a.config()
	cfg.Cameras = slices.Clone(cfg.Cameras)
	change(&cfg)
	return a.takeOn(ctx, cfg)
}

func (a *App) takeOn(ctx context.Context, cfg config.Config) error {
	p, err := a.plan(cfg)
	if err != nil {
		return errors.Join(err, a.drop(p))
	}
	if keys := linkChanges(*a.config(), cfg); len(keys) > 0 {
		return errors.Join(fmt.Errorf("%w: %s changed", ErrOtherLink, strings.Join(keys, ", ")), a.drop(p))
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.looking == nil {
		return errors.Join(errors.New("the daemon is not running"), a.drop(p))
	}
	if err := a.carryOut(ctx, p); err != nil {
		a.fail(err) // half done, and a native call hangs: only a new process helps
		return err
	}
	return nil
}

// carryOut makes the daemon what p says. It needs changing.
func (a *App) carryOut(ctx context.Context, p *plan) error {
	a.runningCameras.Add(1) // so that there is always one, whatever is stopped before another is started
	defer a.oneEnded()
	a.models = append(a.models, p.opened...)

	var next, added []*camera
	gone := map[string]*camera{}
	for _, c := range a.all() {
		gone[c.name] = c
	}
	for _, one := range p.cameras {
		c := gone[one.cfg.Name]
		if c != nil {
			delete(gone, c.name)
			if err := a.change(ctx, c, one); err != nil {
				return err
			}
		} else {
			c = a.newCamera(one)
			added = append(added, c)
		}
		next = append(next, c)
	}
	a.cfg.Store(&p.cfg)
	a.proven.Store(false)
	a.cameras.Store(&next)
	// The old ones first: a new one may be the same device under another name.
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if err := a.retire(gone[name]); err != nil {
			return err
		}
	}
	for _, c := range added {
		a.start(c)
	}
	if len(added)+len(gone) > 0 {
		a.noteCameras()
	}
	a.webhooks.set(p.cfg.Webhooks)
	a.webhooks.serve(a.serving, a.fail)
	a.control.SetLevel(control.Level(p.cfg.MQTT.Commands))
	wake(a.statsChanged)
	wake(a.home.born)
	a.wake()
	return a.closeUnused(modelsOf(next))
}

// closeUnused frees the models that no camera needs any more.
func (a *App) closeUnused(used []*Model) error {
	var kept []*Model
	var errs []error
	for _, m := range a.models {
		if slices.Contains(used, m) {
			kept = append(kept, m)
			continue
		}
		errs = append(errs, m.Close())
	}
	a.models = kept
	return errors.Join(errs...)
}

// linkChanges names the keys that differ and can't be changed while there is a connection.
func linkChanges(was, is config.Config) []string {
	var keys []string
	differ := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key)
		}
	}
	differ("device", was.Device, is.Device)
	differ("state_dir", was.StateDir, is.StateDir)
	differ("homeassistant", was.HomeAssistant, is.HomeAssistant)
	if is.EmbeddedBroker() {
		differ("broker", was.Broker, is.Broker)
	}
	// Which commands are allowed is asked at each; whether any are is what is subscribed to.
	if (was.MQTT.Commands == "off") == (is.MQTT.Commands == "off") {
		was.MQTT.Commands = is.MQTT.Commands
	}
	differ("mqtt", was.MQTT, is.MQTT)
	differ("log.format", was.Log.Format, is.Log.Format)
	return keys
}

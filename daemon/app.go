// Package daemon wires the stages together: cameras to classifiers to
// publishers, started in order, watched, and stopped in order.
package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/control"
	"github.com/glimpsed/glimpsed/events"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/broker"
	"github.com/glimpsed/glimpsed/publish/mqtt"
	"github.com/glimpsed/glimpsed/publish/outbox"
	"github.com/glimpsed/glimpsed/publish/stdout"
	"github.com/glimpsed/glimpsed/publish/webhook"
	"github.com/glimpsed/glimpsed/vision"
)

// Stopping has to be over within 5 s. The stages get the larger part, since a
// frame may be in a slow model; what is left is for the broker.
const (
	stageBudget   = 2500 * time.Millisecond
	publishBudget = 2 * time.Second
)

// Options are what a run is given beside its configuration.
type Options struct {
	// Log; nil: slog.Default.
	Log *slog.Logger
	// Version is the program's.
	Version string
	// Print, if not nil, gets a line for every result.
	Print io.Writer
	// Frames is the number of results to end after; 0: none.
	Frames uint64
	// OnResult, if not nil, is told of every result as soon as the message with it was
	// acknowledged by the broker.
	OnResult func(vision.Result)
}

// App is one run of the daemon.
type App struct {
	cfg   config.Config
	opts  Options
	log   *slog.Logger
	runID string
	began time.Time

	broker    *broker.Broker // nil where another one is configured
	outbox    *outbox.Outbox // nil where what waits is kept in memory
	mqtt      *mqtt.Publisher
	home      home
	control   *control.Controller
	publisher publish.Publisher
	webhooks  []*webhook.Publisher
	encoder   *publish.Encoder
	models    map[modelKey]*Model
	cameras   []*camera
	progress  Progress

	results  atomic.Uint64
	telling  sync.WaitGroup // calls of Options.OnResult that are still to come
	enough   chan struct{}  // closed after Options.Frames results
	refusals refusals
	noOutbox string        // why there is none although one is wanted
	changed  chan struct{} // a problem may have come or gone
}

// camera is one camera with the pipeline behind it.
type camera struct {
	cfg      config.Camera
	capture  *capture.Camera
	pipeline *Pipeline
	model    *Model
	health   *HealthCheck // nil where none is wanted
	events   *events.Tracker
	best     bestPicture
}

type modelKey struct{ ref, labels string }

// New prepares a run: it starts the embedded broker, if one is wanted, and opens the
// models. An error that wraps ErrModel or broker.ErrPortTaken is one of configuration.
func New(cfg config.Config, opts Options) (*App, error) {
	a := &App{
		cfg: cfg, opts: opts, log: opts.Log,
		runID:   newRunID(),
		began:   time.Now(),
		models:  map[modelKey]*Model{},
		enough:  make(chan struct{}),
		changed: make(chan struct{}, 1),
		home:    newHome(),
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.free())
	}
	return a, nil
}

// newRunID is 16 random hex digits.
func newRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

func (a *App) open() error {
	if err := a.openLink(); err != nil {
		return err
	}
	return a.openCameras()
}

// openLink prepares everything between a result and the broker.
func (a *App) openLink() error {
	link := a.cfg.MQTT.Config
	if a.cfg.EmbeddedBroker() {
		b, err := broker.Start(a.cfg.Broker.Config, a.log)
		if err != nil {
			return err
		}
		a.broker = b
		link.Brokers = []string{b.URL()}
		link.Username, link.Password = a.cfg.Broker.Username, a.cfg.Broker.Password
	}
	a.encoder = &publish.Encoder{
		Device: a.cfg.Device, RunID: a.runID, BootID: board.BootID(),
		ClockSynced: board.ClockSynced, SinceBoot: board.SinceBoot, Deliveries: link.Deliveries(),
	}
	a.openOutbox()
	a.control = control.New(control.Level(a.cfg.MQTT.Commands), a.commands())
	var err error
	a.mqtt, err = mqtt.New(link, mqtt.Options{
		Device: a.cfg.Device, Log: a.log, OnChange: a.linkChanged,
		Subscriptions: a.subscriptions(),
		Clock:         a.clock, Outbox: a.outbox, OutboxFirst: a.cfg.MQTT.Outbox.Mode == "always",
	})
	if err != nil {
		return err
	}
	all := publish.Fanout{a.mqtt}
	for _, w := range a.cfg.Webhooks {
		hook := webhook.New(w.Config, a.log)
		a.webhooks = append(a.webhooks, hook)
		all = append(all, hook)
	}
	if a.opts.Print != nil {
		all = append(all, stdout.New(a.opts.Print))
	}
	a.publisher = all
	if len(all) == 1 {
		a.publisher = a.mqtt
	}
	return nil
}

// linkChanged is told of each new state of the connection to the broker.
func (a *App) linkChanged(s mqtt.State) {
	a.wake()
	if s.Connected && s.Reconnects == 0 {
		wake(a.home.born)
	}
}

// openOutbox opens the outbox, if one is wanted. A daemon whose disk fails does its work without.
func (a *App) openOutbox() {
	cfg := a.cfg.MQTT.Outbox
	if cfg.Mode == "off" || a.cfg.StateDir == "" {
		return
	}
	b, err := outbox.Open(outbox.Options{
		Dir: filepath.Join(a.cfg.StateDir, "outbox"), MaxBytes: int64(cfg.MaxMB) << 20,
		MaxMessages: uint64(cfg.MaxMessages), MaxAge: cfg.MaxAge, Sync: cfg.Sync,
		Clock: a.clock, Log: a.log,
	})
	if err != nil {
		a.noOutbox = fmt.Sprintf("%v; what waits for the broker is kept in memory only", err)
		a.log.Error("there is no outbox on disk", "error", err)
		return
	}
	a.outbox = b
}

// clock is a publish.BootClock.
func (a *App) clock() (bootID string, booted time.Time, synced bool) {
	return a.encoder.BootID, time.Now().Add(-board.SinceBoot()), board.ClockSynced()
}

// openCameras makes every camera's pipeline and the models that they share.
func (a *App) openCameras() error {
	store := models.NewStore(a.cfg.Models.Dir)
	openSource := kinds.SourceOpener(a.log)
	for i, cfg := range a.cfg.Cameras {
		ref, labels := a.cfg.ModelOf(i)
		m, err := a.openModel(store, ref, labels)
		if err != nil {
			return err
		}
		classifier, err := m.Classifier(infer.ClassifierOptions{Top: a.cfg.Infer.Top, Crop: cfg.Crop})
		if err != nil {
			return fmt.Errorf("%w: cameras[%d]: %w", ErrModel, i, err)
		}
		c := &camera{cfg: cfg, model: m, events: events.New(cfg.Events, cfg.Name, a.runID)}
		for _, label := range cfg.Events.Strangers(m.Labels) {
			a.log.Warn("the model has no such label", "camera", cfg.Name, "label", label, "key", fmt.Sprintf("cameras[%d].events", i), "model", m.Name)
		}
		if c.health, err = a.openHealth(store, cfg.Name); err != nil {
			return err
		}
		c.capture = capture.New(cfg.Config, openSource, capture.Options{Logger: a.log, OnStatus: a.cameraChanged})
		c.pipeline = &Pipeline{
			camera: cfg.Name, runID: a.runID, model: m.Ref(),
			frames: c.capture, labels: classifier, health: c.health,
			stage: a.progress.Stage("classifying for camera " + cfg.Name),
			log:   a.log, onFault: a.wake, snapshots: make(chan *snapshotRequest, 1), motion: capture.NewMotion(cfg.Motion),
			emit: func(r vision.Result, frame vision.Frame) {
				a.emit(r)
				a.tellEvents(c.events.Observe(r.CapturedAt, r.Top))
				if cfg.Events.Picture {
					a.keepBest(c, frame)
				}
			},
		}
		// The camera notices by itself what hangs; this is for the case that it doesn't.
		a.progress.Watch("supervising camera "+cfg.Name, max(cfg.StallAfter, cfg.OpenTimeout)+5*time.Second, c.capture.Progress)
		a.cameras = append(a.cameras, c)
	}
	return nil
}

// cameraNamed is the camera of a name, or nil.
func (a *App) cameraNamed(name string) *camera {
	for _, c := range a.cameras {
		if c.cfg.Name == name {
			return c
		}
	}
	return nil
}

// openModel makes a model ready to run, or returns the one that is.
func (a *App) openModel(store *models.Store, ref, labels string) (*Model, error) {
	if m := a.models[modelKey{ref, labels}]; m != nil {
		return m, nil
	}
	m, err := OpenModel(store, ref, labels, a.cfg.Infer)
	if err != nil {
		return nil, err
	}
	a.models[modelKey{ref, labels}] = m
	attrs := []any{"model", m.Name, "sha256", m.SHA256, "runtime", m.Runtime, "labels", len(m.Labels)}
	if m.Note != "" {
		attrs = append(attrs, "note", m.Note)
	}
	a.log.Info("model ready", attrs...)
	return m, nil
}

// openHealth makes a camera's health check, or nil where none is wanted.
func (a *App) openHealth(store *models.Store, camera string) (*HealthCheck, error) {
	if a.cfg.Health.Every == 0 {
		return nil, nil
	}
	m, err := a.openModel(store, models.CameraHealth, "")
	if err != nil {
		return nil, fmt.Errorf("health.every: %w", err)
	}
	classifier, err := m.Classifier(infer.ClassifierOptions{})
	if err != nil {
		return nil, fmt.Errorf("health.every: %w: %w", ErrModel, err)
	}
	h := &HealthCheck{
		camera: camera, every: a.cfg.Health.Every, model: m.Ref(), labels: classifier,
		stage: a.progress.Stage("checking the health of camera " + camera), log: a.log,
		emit:    func(h publish.Health) { a.publish(a.encoder.Health(h)) },
		onFault: a.wake,
	}
	return h.start(), nil
}

// BrokerURL is where to subscribe: the embedded broker's address, or the first of those configured,
// without credentials.
func (a *App) BrokerURL() string {
	if a.broker != nil {
		return a.broker.URL()
	}
	return capture.Redact(a.cfg.MQTT.Brokers[0])
}

// Run looks, classifies and publishes until ctx ends, every camera has come to its
// end, or Options.Frames results were made; then it stops in order. It may be called once.
func (a *App) Run(ctx context.Context) error { return a.run(ctx, func() {}) }

// run is Run, with a last look at the daemon before it is stopped.
func (a *App) run(ctx context.Context, lastLook func()) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	telling, stopTelling := context.WithCancel(serving)
	defer stopTelling()
	var serve, tell group
	serve.start(func() error { return a.mqtt.Run(serving) })
	for _, w := range a.webhooks {
		serve.start(func() error { return w.Run(serving) })
	}
	serve.start(func() error { return feedWatchdog(serving, a.log, &a.progress) })
	tell.start(func() error { a.tellDiagnostics(telling); return nil })
	tell.start(func() error { a.tellStats(telling); return nil })
	tell.start(func() error { a.tellHome(telling); return nil })
	for _, c := range a.cameras {
		a.cameraChanged(c.capture.Status())
		a.tellSettings(c)
	}

	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	var look, classify, check group
	for _, c := range a.cameras {
		look.start(func() error { return c.capture.Run(looking) })
		if c.health != nil {
			check.start(func() error { return c.health.Run(looking) })
		}
		classify.start(func() error { return c.pipeline.Run(looking) })
	}
	a.log.Info("running", "device", a.cfg.Device, "cameras", len(a.cameras), "run_id", a.runID)
	notify(a.log, sd.SdNotifyReady)

	var err error
	select {
	case <-ctx.Done():
	case <-a.enough:
	case <-a.ended(&classify):
	case err = <-look.failed():
	case err = <-classify.failed():
	case err = <-serve.failed():
	}
	lastLook()
	notify(a.log, sd.SdNotifyStopping)
	a.log.Info("stopping", "results", a.results.Load())
	stopLooking()
	stopTelling()
	<-tell.done() // they wait for nothing, and would publish to a publisher that is closed
	return errors.Join(err, a.stop(&look, &classify, &check, &serve, stopServing))
}

// ended is closed when every camera has come to its end. Under systemd that is no reason to
// stop: it would only start the daemon again.
func (a *App) ended(classify *group) <-chan struct{} {
	if os.Getenv("NOTIFY_SOCKET") != "" {
		return nil
	}
	return classify.done()
}

// stop ends what Run started, in the order of the data's flow.
func (a *App) stop(look, classify, check, serve *group, stopServing func()) error {
	clean := within(stageBudget, classify.done(), look.done(), check.done())
	if !clean {
		a.log.Error("a camera or model did not stop", "within", stageBudget)
	}
	now := time.Now()
	for _, c := range a.cameras {
		s := c.capture.Status()
		if s.State != vision.CameraOffline {
			s.Reason, s.Since = "glimpsed was stopped", now
		}
		s.State = vision.CameraOffline
		a.cameraChanged(s)
	}
	flush, cancel := context.WithTimeout(context.Background(), publishBudget)
	defer cancel()
	if err := a.publisher.Close(flush); err != nil {
		a.log.Warn("stopping: not everything was delivered", "error", err)
	}
	a.telling.Wait() // every Ack has completed now
	stopServing()
	within(time.Second/4, serve.done())
	if a.outbox != nil {
		if kept := a.outbox.State().Pending; kept > 0 {
			a.log.Info("messages wait in the outbox for the next start", "messages", kept)
		}
	}
	if !clean {
		// Freeing native memory under a call that still runs would crash.
		return errors.Join(errors.New("stopping: a native call did not return in time"), a.closeOutbox())
	}
	return a.free()
}

// free releases what New made, the models first.
func (a *App) free() error {
	var errs []error
	for _, m := range a.models {
		errs = append(errs, m.Close())
	}
	if a.broker != nil {
		errs = append(errs, a.broker.Close())
	}
	return errors.Join(append(errs, a.closeOutbox())...)
}

func (a *App) closeOutbox() error {
	if a.outbox == nil {
		return nil
	}
	return a.outbox.Close()
}

// emit publishes a result. It runs in the pipeline's goroutine.
func (a *App) emit(r vision.Result) {
	n := a.results.Add(1)
	if a.opts.Frames > 0 && n > a.opts.Frames {
		return // another camera's frame, finished while this run comes to its end
	}
	ack := a.publish(a.encoder.Result(&r))
	if a.opts.OnResult != nil && ack != nil {
		a.telling.Go(func() {
			<-ack.Done()
			if ack.Err() == nil {
				a.opts.OnResult(r)
			}
		})
	}
	if n == a.opts.Frames {
		close(a.enough)
	}
}

// tellEvents publishes what changed before a camera.
func (a *App) tellEvents(changes []events.Change) {
	for _, c := range changes {
		if c.State != nil {
			a.publish(a.encoder.State(*c.State))
		}
		if c.Event != nil {
			a.publish(a.encoder.Event(*c.Event))
		}
	}
}

// publish hands a message over, and logs when that begins to fail and when it works again.
func (a *App) publish(m publish.Message) publish.Ack {
	ack, err := a.publisher.Publish(context.Background(), m)
	a.refusals.note(a.log, m.Topic, err)
	return ack
}

// cameraChanged publishes a camera's state with its reason.
func (a *App) cameraChanged(s vision.CameraStatus) {
	a.publish(a.encoder.CameraStatus(s))
	a.publish(a.encoder.CameraDiagnostics(s))
	if s.State != vision.CameraOnline { // it shows nothing
		a.tellEvents(a.cameraNamed(s.Camera).events.Stop(time.Now()))
	}
	a.wake()
}

// wake has the diagnostics looked through.
func (a *App) wake() { wake(a.changed) }

// wake sends a signal on a channel with room for one, unless one is there.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// refusals is which topics' messages are being refused.
type refusals struct {
	mu     sync.Mutex
	topics map[string]string // the last error by topic, guarded by mu
}

func (r *refusals) note(log *slog.Logger, topic string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, failing := r.topics[topic]
	switch {
	case err == nil && failing:
		delete(r.topics, topic)
		log.Info("messages are accepted again", "topic", topic)
	case err != nil && err.Error() != was:
		if r.topics == nil {
			r.topics = map[string]string{}
		}
		r.topics[topic] = err.Error()
		log.Error("a message was not accepted", "topic", topic, "error", err)
	}
}

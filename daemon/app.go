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
	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/broker"
	"github.com/glimpsed/glimpsed/publish/mqtt"
	"github.com/glimpsed/glimpsed/publish/outbox"
	"github.com/glimpsed/glimpsed/publish/stdout"
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

	// onProven is told of the first result of each configuration. It must not block.
	onProven func()
}

// App is one run of the daemon: a connection to a broker, and cameras that may come, change and go while it lasts.
type App struct {
	opts  Options
	log   *slog.Logger
	runID string
	began time.Time
	cfg   atomic.Pointer[config.Config] // in force

	broker     *broker.Broker // nil where another one is configured
	outbox     *outbox.Outbox // nil where what waits is kept in memory
	mqtt       *mqtt.Publisher
	home       home
	control    *control.Controller // of commands over MQTT
	local      *control.Controller // of those of this machine's owner
	supervisor *Supervisor         // nil where there is none
	publisher  publish.Publisher
	webhooks   hooks
	encoder    *publish.Encoder
	cameras    atomic.Pointer[[]*camera]
	progress   Progress

	results      atomic.Uint64
	telling      sync.WaitGroup // calls of Options.OnResult that are still to come
	enough       chan struct{}  // closed after Options.Frames results
	refusals     refusals
	noOutbox     string                 // why there is none although one is wanted
	changed      chan struct{}          // a problem may have come or gone
	statsChanged chan struct{}          // stats.every may have
	refused      fault                  // why the newest configuration is not in force
	proven       atomic.Bool            // there was a result under the configuration in force
	then         atomic.Pointer[func()] // what is still to do when the answer to a command is out

	// reloading is held by who prepares a change of the configuration, changing by who carries it out and
	// by Run when it starts and stops: a stop doesn't wait for a model that is being opened.
	reloading, changing sync.Mutex
	models              []*Model        // those that are open, changed by who holds both
	looking, serving    context.Context // of cameras and webhooks, nil while none runs, guarded by changing
	runningCameras      atomic.Int64
	ended               chan struct{} // no camera runs any more
	failed              chan error    // holds the first error of a camera
}

// New prepares a run: it starts the embedded broker, if one is wanted, and opens the
// models. An error that wraps ErrModel or broker.ErrPortTaken is one of configuration.
func New(cfg config.Config, opts Options) (*App, error) {
	a := newApp(cfg, opts)
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.free())
	}
	return a, nil
}

func newApp(cfg config.Config, opts Options) *App {
	a := &App{
		opts: opts, log: opts.Log,
		runID:        newRunID(),
		began:        time.Now(),
		enough:       make(chan struct{}),
		changed:      make(chan struct{}, 1),
		statsChanged: make(chan struct{}, 1),
		ended:        make(chan struct{}, 1),
		failed:       make(chan error, 1),
		home:         newHome(),
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.cfg.Store(&cfg)
	a.cameras.Store(&[]*camera{})
	return a
}

// newRunID is 16 random hex digits.
func newRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// Config is the configuration in force.
func (a *App) Config() config.Config { return *a.config() }

// config is Config, not to be changed.
func (a *App) config() *config.Config { return a.cfg.Load() }

func (a *App) open() error {
	if err := a.openLink(); err != nil {
		return err
	}
	p, err := a.plan(*a.config())
	a.models = p.opened
	if err != nil {
		return err
	}
	cameras := make([]*camera, 0, len(p.cameras))
	for _, one := range p.cameras {
		cameras = append(cameras, a.newCamera(one))
	}
	a.cameras.Store(&cameras)
	return nil
}

// openLink prepares everything between a result and the broker.
func (a *App) openLink() error {
	cfg := a.config()
	link := cfg.MQTT.Config
	if cfg.EmbeddedBroker() {
		b, err := broker.Start(cfg.Broker.Config, a.log)
		if err != nil {
			return err
		}
		a.broker = b
		link.Brokers = []string{b.URL()}
		link.Username, link.Password = cfg.Broker.Username, cfg.Broker.Password
	}
	a.encoder = &publish.Encoder{
		Device: cfg.Device, RunID: a.runID, BootID: board.BootID(),
		ClockSynced: board.ClockSynced, SinceBoot: board.SinceBoot, Deliveries: link.Deliveries(),
	}
	a.openOutbox()
	a.control = control.New(control.Level(cfg.MQTT.Commands), a.commands())
	a.local = control.New(control.All, a.commands())
	var err error
	a.mqtt, err = mqtt.New(link, mqtt.Options{
		Device: cfg.Device, Log: a.log, OnChange: a.linkChanged,
		Subscriptions: a.subscriptions(),
		Clock:         a.clock, Outbox: a.outbox, OutboxFirst: cfg.MQTT.Outbox.Mode == "always",
	})
	if err != nil {
		return err
	}
	a.webhooks.log = a.log
	a.webhooks.set(cfg.Webhooks)
	all := publish.Fanout{a.mqtt, &a.webhooks}
	if a.opts.Print != nil {
		all = append(all, stdout.New(a.opts.Print))
	}
	a.publisher = all
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
	cfg, state := a.config().MQTT.Outbox, a.config().StateDir
	if cfg.Mode == "off" || state == "" {
		return
	}
	b, err := outbox.Open(outbox.Options{
		Dir: filepath.Join(state, "outbox"), MaxBytes: int64(cfg.MaxMB) << 20,
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

// BrokerURL is where to subscribe: the embedded broker's address, or the first of those configured,
// without credentials.
func (a *App) BrokerURL() string {
	if a.broker != nil {
		return a.broker.URL()
	}
	return capture.Redact(a.config().MQTT.Brokers[0])
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
	a.webhooks.serve(serving, a.fail)
	serve.start(func() error { return feedWatchdog(serving, a.log, &a.progress) })
	tell.start(func() error { a.tellDiagnostics(telling); return nil })
	tell.start(func() error { a.tellStats(telling); return nil })
	tell.start(func() error { a.tellHome(telling); return nil })

	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	a.changing.Lock()
	a.looking, a.serving = looking, serving
	for _, c := range a.all() {
		a.start(c)
	}
	a.forgetGone()
	a.changing.Unlock()
	a.log.Info("running", "device", a.config().Device, "cameras", len(a.all()), "run_id", a.runID)
	notify(a.log, sd.SdNotifyReady)

	var err error
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-a.enough:
			over = true
		case <-a.ended:
			over = a.runningCameras.Load() == 0 && endsWithCameras()
		case err = <-a.failed:
			over = true
		case err = <-serve.failed():
			over = true
		}
	}
	a.changing.Lock() // for good: what is running now is what is stopped
	a.looking = nil
	a.changing.Unlock()
	lastLook()
	if a.supervisor.goesOn() {
		notify(a.log, reloading()) // after STOPPING=1 systemd would kill the process
	} else {
		notify(a.log, sd.SdNotifyStopping)
	}
	a.log.Info("stopping", "results", a.results.Load())
	stopLooking()
	stopTelling()
	<-tell.done() // they wait for nothing, and would publish to a publisher that is closed
	return errors.Join(err, a.stop(&serve, stopServing))
}

// endsWithCameras says that a run ends when every camera has come to its end. Under systemd that is no reason to
// stop: it would only start the daemon again.
func endsWithCameras() bool { return os.Getenv("NOTIFY_SOCKET") == "" }

// stop ends what Run started, in the order of the data's flow.
func (a *App) stop(serve *group, stopServing func()) error {
	var crews []<-chan struct{}
	for _, c := range a.all() {
		crews = append(crews, c.running.gone(), c.checks.gone())
	}
	clean := within(stageBudget, crews...)
	if !clean {
		a.log.Error("a camera or model did not stop", "within", stageBudget)
	}
	now := time.Now()
	for _, c := range a.all() {
		s := c.source().Status()
		if s.State != vision.CameraOffline {
			s.Reason, s.Since = "glimpsed was stopped", now
		}
		s.State = vision.CameraOffline
		a.cameraChanged(c, s)
	}
	flush, cancel := context.WithTimeout(context.Background(), publishBudget)
	defer cancel()
	if err := a.publisher.Close(flush); err != nil {
		a.log.Warn("stopping: not everything was delivered", "error", err)
	}
	a.telling.Wait() // every Ack has completed now
	stopServing()
	within(time.Second/4, append(a.webhooks.done(), serve.done())...)
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
	if a.opts.onProven != nil && !a.proven.Swap(true) {
		a.opts.onProven()
	}
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
func (a *App) cameraChanged(c *camera, s vision.CameraStatus) {
	a.publish(a.encoder.CameraStatus(s))
	a.publish(a.encoder.CameraDiagnostics(s))
	if s.State != vision.CameraOnline { // it shows nothing
		a.tellEvents(c.events.Stop(time.Now()))
		a.endBest(c)
	}
	a.wake()
}

// refuse has the diagnostics say why the newest configuration is not in force; nil: it is.
func (a *App) refuse(why error) {
	if a.refused.note(why) {
		a.wake()
	}
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

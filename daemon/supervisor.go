package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/control"
)

// ErrRestart is what Supervisor.Run returns when the process was asked to start itself anew.
var ErrRestart = errors.New("a restart was asked for")

// watchEvery is how often files are looked at, a change of which is taken on. A file has to stay as it is from one look to the
// next: an editor may still be writing it.
const watchEvery = 2 * time.Second

// Supervisor runs the daemon and takes on other configurations: in place where that can be, with a new App
// where the connection changes. What it can't take on it refuses, and goes on as it was.
type Supervisor struct {
	Options Options
	// Load reads the configuration.
	Load func() (*config.Loaded, error)
	// LastGood, if not nil, is what to run if the configuration can't be started, and when that was saved; Save keeps
	// one that works.
	LastGood func() (*config.Loaded, time.Time, error)
	Save     func(*config.Loaded) error
	// OnConfig, if not nil, is told of a configuration before it is started or when it was taken on, and
	// returns the log to use.
	OnConfig func(*config.Loaded) *slog.Logger
	// OnStart, if not nil, is told of each App before it runs.
	OnStart func(*App)

	logger atomic.Pointer[slog.Logger] // as the configuration in force wants it

	// reloading is held by a Reload.
	reloading sync.Mutex

	mu      sync.Mutex
	ctx     context.Context    // Run's
	app     *App               // the one that runs, guarded by mu as all below
	loaded  *config.Loaded     // app's
	files   string             // their fingerprint when they were read last
	stop    context.CancelFunc // ends app
	next    *config.Loaded     // what to run when app has ended
	restart bool
}

// Run runs the daemon until ctx ends or an App comes to its end by itself. It may be called once.
func (s *Supervisor) Run(ctx context.Context) error {
	s.logger.Store(s.Options.Log)
	if s.Options.Log == nil {
		s.logger.Store(slog.Default())
	}
	current, refused, err := s.first()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch group
	defer func() {
		cancel()
		<-watch.done()
	}()
	watch.start(func() error { s.watch(ctx); return nil })
	proven := make(chan struct{}, 1)
	s.Options.onProven = func() { wake(proven) }
	watch.start(func() error { s.keep(ctx, proven); return nil })

	var at string
	var socket *crew
	defer func() { socket.dismiss(control.Timeout) }()

	var previous *config.Loaded // what ran before
	for {
		s.configured(current)
		opts := s.Options
		opts.Log = s.log()
		app, err := New(current.Config, opts)
		if err != nil {
			back, reason, lost := s.back(previous, refused, err)
			if back == nil {
				return errors.Join(err, lost)
			}
			current, refused, previous = back, reason, nil
			continue
		}
		app.refuse(refused)
		if dir := current.Config.StateDir; dir != at {
			socket.dismiss(control.Timeout)
			at, socket = dir, s.listen(ctx, dir)
		}
		next, err := s.run(ctx, app, current)
		if err != nil || next == nil {
			return err
		}
		if s.Options.Frames > 0 {
			s.Options.Frames -= min(app.results.Load(), s.Options.Frames-1)
		}
		previous, current, refused = current, next, nil
	}
}

// first is the configuration to begin with. refused says why it is not the newest one.
func (s *Supervisor) first() (loaded *config.Loaded, refused, err error) {
	loaded, err = s.load()
	if err == nil || s.LastGood == nil {
		return loaded, nil, err
	}
	loaded, refused, lost := s.back(nil, nil, err)
	if loaded == nil {
		return nil, nil, errors.Join(err, lost)
	}
	return loaded, refused, nil
}

// back is what to run instead of a configuration that can't be: the previous one, or the last that worked. nil: there
// is none, and why. refused says that this is it already.
func (s *Supervisor) back(previous *config.Loaded, refused, why error) (loaded *config.Loaded, reason, lost error) {
	switch {
	case previous != nil:
		s.log().Error("the new configuration can't be started: going back to the one before", "error", why)
		return previous, fmt.Errorf("%s; the one before is in force", config.Problem(why)), nil
	case refused != nil || s.LastGood == nil:
		return nil, nil, nil
	}
	loaded, saved, err := s.LastGood()
	if err != nil {
		return nil, nil, err
	}
	s.log().Error("the configuration can't be started: the last one that worked is used", "error", why, "saved", saved)
	return loaded, fmt.Errorf("%s; the last one that worked is in force, of %s", config.Problem(why), saved.UTC().Format(time.RFC3339)), nil
}

// configured tells of a configuration that is in force or is going to be.
func (s *Supervisor) configured(l *config.Loaded) {
	if s.OnConfig != nil {
		s.logger.Store(s.OnConfig(l))
	}
}

// log is the log to use now.
func (s *Supervisor) log() *slog.Logger { return s.logger.Load() }

// run runs one App. next is what is to run after it, nil for nothing.
func (s *Supervisor) run(ctx context.Context, app *App, loaded *config.Loaded) (next *config.Loaded, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	app.supervisor = s
	s.mu.Lock()
	s.ctx, s.app, s.loaded, s.stop, s.next = ctx, app, loaded, stop, nil
	s.mu.Unlock()
	if s.OnStart != nil {
		s.OnStart(app)
	}
	err = app.Run(running)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = nil
	switch {
	case ctx.Err() != nil, err != nil:
		return nil, err
	case s.restart:
		return nil, ErrRestart
	}
	return s.next, nil
}

// listen takes commands by the socket in a state directory. A daemon that can't does its work without.
func (s *Supervisor) listen(ctx context.Context, dir string) *crew {
	socket, err := control.Listen(dir, s.log())
	if err != nil {
		s.log().Warn("`glimpsed config reload` will not reach this daemon", "error", err)
		return nil
	}
	return muster(ctx, func(error) {}, func(ctx context.Context) error { socket.Serve(ctx, s.Command); return nil })
}

// Command carries out a command for whoever may do anything, as control.Controller.Do does.
func (s *Supervisor) Command(ctx context.Context, name string, request []byte) []byte {
	s.mu.Lock()
	app := s.app
	s.mu.Unlock()
	if app == nil {
		return []byte(`{"id":null,"ok":false,"error":"glimpsed is just starting or stopping: try again"}`)
	}
	answer := app.local.Do(ctx, name, request)
	app.followUp()
	return answer
}

// Reload reads the configuration anew and takes it on. The text says what became of it. An error is a refusal:
// everything goes on as it was.
func (s *Supervisor) Reload(ctx context.Context) (done string, err error) {
	done, then, err := s.reload(ctx)
	then()
	return done, err
}

// reload is Reload with what is still to do as soon as whoever asked knows.
func (s *Supervisor) reload(ctx context.Context) (done string, then func(), err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.mu.Lock()
	app, stop := s.app, s.stop
	s.mu.Unlock()
	log, then := s.log(), func() {}
	if app == nil {
		return "", then, errors.New("glimpsed is just starting or stopping: try again")
	}
	notify(log, reloading())
	loaded, err := s.load()
	if err == nil {
		err = app.Reload(ctx, loaded.Config)
	}
	switch {
	case err == nil:
		done = "the configuration is in force"
		s.mu.Lock()
		s.loaded = loaded
		s.mu.Unlock()
		s.configured(loaded)
		app.refuse(nil)
		log.Info("configuration reloaded", "config", loaded.File)
	case errors.Is(err, ErrOtherLink):
		done = err.Error()
		log.Info("configuration reloaded: connecting anew", "reason", err)
		then = func() {
			s.mu.Lock()
			s.next = loaded
			s.mu.Unlock()
			stop()
		}
		return done, then, nil // READY=1 is the next App's
	default:
		app.refuse(fmt.Errorf("refused: %s; the one before is in force", config.Problem(err)))
		for _, line := range strings.Split(err.Error(), "\n") {
			log.Error("configuration refused, the one before is in force", "problem", line)
		}
	}
	notify(log, sd.SdNotifyReady)
	return done, then, err
}

// askRestart has the process start itself anew, as soon as then is called.
func (s *Supervisor) askRestart() (then func()) {
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.restart = true
		s.stop()
	}
}

// goesOn says that another App follows the one that ends, or the process anew. A nil Supervisor has one App only.
func (s *Supervisor) goesOn() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx.Err() == nil && (s.next != nil || s.restart)
}

// watch takes a configuration on whose file has changed, where it says that it wants that.
func (s *Supervisor) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		loaded, known := s.loaded, s.files
		s.mu.Unlock()
		if loaded == nil || !loaded.Config.Reload.Watch {
			continue
		}
		now := fingerprint(loaded.Watched())
		if now != known && now == last {
			s.log().Info("a configuration file has changed")
			_, _ = s.Reload(ctx) // it tells the log and the diagnostics
		}
		last = now
	}
}

// load is Load. It notes what the files are like, so that a later change is seen.
func (s *Supervisor) load() (*config.Loaded, error) {
	s.mu.Lock()
	known := s.loaded
	s.mu.Unlock()
	var files string
	if known != nil { // before they are read: what is written meanwhile is a change
		files = fingerprint(known.Watched())
	}
	loaded, err := s.Load()
	if known == nil && err == nil {
		files = fingerprint(loaded.Watched())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = files
	return loaded, err
}

// fingerprint changes when one of the files does.
func fingerprint(files []string) string {
	var b strings.Builder
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", name, err)
			continue
		}
		fmt.Fprintf(&b, "%s: %d %d\n", name, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// keep saves each configuration that has proved itself.
func (s *Supervisor) keep(ctx context.Context, proven <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-proven:
		}
		s.mu.Lock()
		loaded := s.loaded
		s.mu.Unlock()
		if s.Save == nil {
			continue
		}
		if err := s.Save(loaded); err != nil {
			s.log().Warn("the configuration could not be kept for --last-good", "error", err)
		}
	}
}

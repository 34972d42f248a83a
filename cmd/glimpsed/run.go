package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/daemon"
)

func newRunCommand() *cobra.Command {
	var (
		source   configFlags
		frames   uint64
		print    bool
		lastGood bool
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Look through the cameras and publish what they show",
		Long: `Looks through every configured camera and publishes labels on MQTT until it is told to stop
(SIGTERM or Ctrl-C; a second one ends it at once).

Without mqtt.broker it is its own broker, on 127.0.0.1:1883 unless broker.listen says otherwise.

SIGHUP or "glimpsed config reload" has it take on a changed configuration. One that can't be used is refused, in the log
and on the topic diagnostics, and everything goes on as it was. With --last-good that goes for the start too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := source.options()
			if err != nil {
				return err
			}
			logs := &logs{w: cmd.ErrOrStderr()}
			s := &daemon.Supervisor{
				Options:  daemon.Options{Frames: frames, Version: buildVersion(), Log: logs.use(config.Log{})},
				Load:     func() (*config.Loaded, error) { return config.Load(opts) },
				OnConfig: logs.configured,
			}
			if lastGood {
				s.LastGood = func() (*config.Loaded, time.Time, error) { return config.LoadLastGood(opts) }
				s.Save = func(l *config.Loaded) error { return l.SaveLastGood(opts) }
			}
			ctx, stop := stopSignals(cmd.Context(), func() {
				_, _ = s.Reload(cmd.Context()) // it tells the log
			})
			defer stop()
			if print {
				// Nobody reads any more, as in `glimpsed run --print | head`: stop in order.
				signal.Ignore(syscall.SIGPIPE)
				s.Options.Print = &reader{w: cmd.OutOrStdout(), gone: stop}
				s.OnStart = func(app *daemon.App) { sayTopics(cmd, app) }
			}
			err = s.Run(ctx)
			if errors.Is(err, daemon.ErrRestart) {
				logs.current().Info("starting anew")
				err = startAnew()
			}
			if logs.started() {
				err = logged(logs.current(), err)
			}
			return err
		},
	}
	source.add(cmd)
	cmd.Flags().Uint64Var(&frames, "frames", 0, "end after this many results; 0: never")
	cmd.Flags().BoolVar(&print, "print", false, "print a line for each result")
	cmd.Flags().BoolVar(&lastGood, "last-good", false, "start with the last configuration that worked where the newest can't be used")
	return cmd
}

// stopSignals returns a context that ends at SIGINT and SIGTERM, and calls reload at each SIGHUP. On a terminal SIGHUP
// stops too: it is what a terminal sends that is closed.
func stopSignals(parent context.Context, reload func()) (context.Context, context.CancelFunc) {
	ends := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	hup := make(chan os.Signal, 1)
	switch {
	case signal.Ignored(syscall.SIGHUP): // nohup
	case onTerminal():
		ends = append(ends, syscall.SIGHUP)
	default:
		signal.Notify(hup, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(parent, ends...)
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-hup:
				reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	// After the first signal the next one finds Go's own handling: it ends the process.
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// onTerminal says whether standard input is a terminal.
func onTerminal() bool {
	_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	return err == nil
}

// startAnew replaces the process by itself as it was started. It returns only if it can't.
func startAnew() error {
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("starting anew: %w", err)
}

// logs makes the daemon's log as the configuration in force wants it.
type logs struct {
	w     io.Writer
	level slog.LevelVar

	mu     sync.Mutex
	format string       // guarded by mu
	log    *slog.Logger // guarded by mu
	any    bool         // there was a configuration, guarded by mu
}

// use returns the log for a configuration; it is another one only where the format changes.
func (l *logs) use(cfg config.Log) *slog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level.Set(level(cfg.Level))
	if l.log == nil || l.format != cfg.Format {
		l.log, l.format = newLogger(l.w, &l.level, cfg.Format), cfg.Format
		slog.SetDefault(l.log)
	}
	return l.log
}

func (l *logs) current() *slog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log
}

// started says whether there was a configuration that could be read.
func (l *logs) started() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.any
}

// configured is told of each configuration that is taken on.
func (l *logs) configured(loaded *config.Loaded) *slog.Logger {
	log := l.use(loaded.Config.Log)
	l.mu.Lock()
	first := !l.any
	l.any = true
	l.mu.Unlock()
	if first {
		log.Info("glimpsed", "version", buildVersion(), "config", loaded.File)
	}
	for _, notice := range loaded.Notices {
		log.Warn("configuration", "notice", notice.String())
	}
	return log
}

// loggedError was told to the log already.
type loggedError struct{ error }

func (l loggedError) Unwrap() error { return l.error }

// logged logs what ends the daemon, so that it is found where everything else is.
func logged(log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	log.Error("glimpsed ends", "error", err)
	return loggedError{err}
}

// reader is whoever reads the printed lines.
type reader struct {
	w    io.Writer
	gone func()
}

func (r *reader) Write(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		r.gone()
		return len(b), nil
	}
	return n, err
}

// sayTopics tells a person where to find the results.
func sayTopics(cmd *cobra.Command, app *daemon.App) {
	cfg, address := app.Config(), app.BrokerURL()
	root := cfg.MQTT.BaseTopic + "/" + cfg.Device
	fmt.Fprintf(cmd.OutOrStdout(), `Publishing on %s. To subscribe:

  mosquitto_sub -L '%s/%s/#' -v

Topics (docs/mqtt.md has them all):
`, address, mosquittoURL(address), root)
	for _, c := range cfg.Cameras {
		fmt.Fprintf(cmd.OutOrStdout(), "  %s/%s/result\n", root, c.Name)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "  %s/status\n\n", root)
}

// mosquittoURL is a broker's address as mosquitto_sub -L takes it.
func mosquittoURL(broker string) string {
	for _, scheme := range []struct{ ours, theirs string }{
		{"tcp://", "mqtt://"}, {"ssl://", "mqtts://"}, {"tls://", "mqtts://"},
	} {
		if rest, ok := strings.CutPrefix(broker, scheme.ours); ok {
			return scheme.theirs + rest
		}
	}
	return broker
}

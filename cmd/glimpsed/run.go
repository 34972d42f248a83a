package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/daemon"
)

func newRunCommand() *cobra.Command {
	var (
		source configFlags
		frames uint64
		print  bool
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Look through the cameras and publish what they show",
		Long: `Looks through every configured camera and publishes labels on MQTT until it is told to stop
(SIGTERM or Ctrl-C; a second one ends it at once).

Without mqtt.broker it is its own broker, on 127.0.0.1:1883 unless broker.listen says otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := source.load()
			if err != nil {
				return err
			}
			cfg := loaded.Config
			log := newLogger(cmd.ErrOrStderr(), level(cfg.Log.Level), cfg.Log.Format)
			slog.SetDefault(log)
			log.Info("glimpsed", "version", buildVersion(), "config", loaded.File)
			for _, notice := range loaded.Notices {
				log.Warn("configuration", "notice", notice.String())
			}
			opts := daemon.Options{Log: log, Frames: frames, Version: buildVersion()}
			// SIGHUP is what a terminal sends that is closed.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			// After the first signal the next one finds Go's own handling: it ends the process.
			context.AfterFunc(ctx, stop)
			if print {
				// Nobody reads any more, as in `glimpsed run --print | head`: stop in order.
				signal.Ignore(syscall.SIGPIPE)
				opts.Print = &reader{w: cmd.OutOrStdout(), gone: stop}
			}
			app, err := daemon.New(cfg, opts)
			if err != nil {
				return logged(log, err)
			}
			if print {
				sayTopics(cmd, cfg, app)
			}
			return logged(log, app.Run(ctx))
		},
	}
	source.add(cmd)
	cmd.Flags().Uint64Var(&frames, "frames", 0, "end after this many results; 0: never")
	cmd.Flags().BoolVar(&print, "print", false, "print a line for each result")
	return cmd
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
func sayTopics(cmd *cobra.Command, cfg config.Config, app *daemon.App) {
	address := app.BrokerURL()
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

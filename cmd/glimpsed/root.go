package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/kinds"
)

// usageError marks what the user typed wrongly.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "glimpsed",
		Short: "Looks through a camera and says on MQTT what it sees",
		Long: `glimpsed takes camera frames, runs an INT8 image classifier on the CPU and publishes the best labels
with their timing on MQTT. One config file tunes it: see "glimpsed config defaults".`,
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// pflag quotes the Go function that didn't like a number.
		text := parseNoise.ReplaceAllString(err.Error(), "")
		return usageError{fmt.Errorf("%s (see %s --help)", text, cmd.CommandPath())}
	})
	root.AddCommand(
		newRunCommand(),
		newClassifyCommand(),
		newBenchCommand(),
		newMeasureCommand(),
		newEvalCommand(),
		newCamerasCommand(),
		newConfigCommand(kinds.Runtimes()),
		newModelCommand(),
		newVersionCommand(),
	)
	// cobra adds these two when it runs, too late for wrapArgs.
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	wrapArgs(root)
	return root
}

var parseNoise = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": `)

// wrapArgs marks complaints about arguments as wrong usage, for every command.
func wrapArgs(cmd *cobra.Command) {
	check := cmd.Args
	if cmd.HasSubCommands() && !cmd.Runnable() {
		// Without these, cobra shows the help and succeeds for `glimpsed nonsense`.
		check = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil && !cmd.HasSubCommands() && strings.HasPrefix(err.Error(), "unknown command") {
				err = fmt.Errorf("it takes no arguments, got %q", args[0]) // cobra.NoArgs speaks of commands
			}
			if err != nil {
				return usageError{fmt.Errorf("%s: %w (see %s --help)", cmd.CommandPath(), err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

// level is slog's for a valid log.level.
func level(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo // Validate has refused it already
	}
	return l
}

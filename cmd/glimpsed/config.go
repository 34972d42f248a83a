package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/control"
	"github.com/glimpsed/glimpsed/kinds"
)

// configFlags are the flags of every command that needs a configuration.
type configFlags struct {
	file string
	set  []string
}

func (c *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&c.file, "config", "c", "", "configuration file (default: "+config.DefaultFile+", if there is one)")
	cmd.Flags().StringArrayVar(&c.set, "set", nil, "set a key to a value, as in cameras[0].fps=2; may be repeated")
}

// options are what the flags say for config.Load. Its errors are usage errors.
func (c *configFlags) options() (config.Options, error) {
	keys := make(map[string]string, len(c.set))
	for _, s := range c.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return config.Options{}, usageError{fmt.Errorf("--set %s: must be KEY=VALUE, as in cameras[0].fps=2", key)}
		}
		keys[key] = value
	}
	return config.Options{File: c.file, Flags: keys, Runtimes: kinds.Runtimes()}, nil
}

// load reads the configuration. Its errors are usage errors or config.Findings.
func (c *configFlags) load() (*config.Loaded, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	return config.Load(opts)
}

// newConfigCommand groups what can be asked about the configuration. runtimes are the names
// that infer.runtime may have besides "auto".
func newConfigCommand(runtimes []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, print, describe and reload the configuration",
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigPrintCommand(), newConfigReloadCommand(), &cobra.Command{
		Use:   "defaults",
		Short: "Print every key with its default, commented: a file to start from",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.WriteDefaults(cmd.OutOrStdout(), runtimes)
		},
	}, &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of the file, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.WriteSchema(cmd.OutOrStdout(), runtimes)
		},
	})
	return cmd
}

func newConfigCheckCommand() *cobra.Command {
	var source configFlags
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with the configuration, by key",
		Long: `Reads the configuration as run would, with overrides and the environment, and prints every problem with its place.
It exits with 0 if there is none, else with 78.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if source.file != "" {
					return usageError{fmt.Errorf("the file is given twice: %s and %s", source.file, args[0])}
				}
				source.file = args[0]
			}
			loaded, err := source.load()
			if err != nil {
				return err
			}
			for _, n := range loaded.Notices {
				fmt.Fprintln(cmd.ErrOrStderr(), "notice:", n)
			}
			what := loaded.File
			if what == "" {
				what = "defaults (there is no " + config.DefaultFile + ")"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", what)
			return err
		},
	}
	source.add(cmd)
	return cmd
}

func newConfigPrintCommand() *cobra.Command {
	var source configFlags
	var format string
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force and where each value comes from",
		Long: `Prints every key with its value and where that comes from: a default, a line of a file, the environment or the
command line. Secrets are masked. With --format json it is {"config": {...}, "sources": {KEY: PLACE}}.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "yaml" && format != "json" {
				return usageError{fmt.Errorf("--format must be yaml or json, got %q", format)}
			}
			loaded, err := source.load()
			if err != nil {
				return err
			}
			if format == "json" {
				return loaded.WriteJSON(cmd.OutOrStdout())
			}
			return loaded.WriteYAML(cmd.OutOrStdout())
		},
	}
	source.add(cmd)
	cmd.Flags().StringVar(&format, "format", "yaml", "yaml or json")
	return cmd
}

func newConfigReloadCommand() *cobra.Command {
	var source configFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running daemon take on the changed configuration",
		Long: `Checks the configuration and, if nothing is wrong with it, has the daemon on this machine load it without a restart. It prints
what became of that. The daemon is found by the state directory.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := source.load()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*control.Timeout)
			defer cancel()
			var answer struct{ Done string }
			if err := control.Ask(ctx, loaded.Config.StateDir, "reload", &answer); err != nil {
				if errors.Is(err, control.ErrNotRunning) {
					return fmt.Errorf("%w: the next start finds the new configuration", err)
				}
				return fmt.Errorf("refused: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), answer.Done)
			return err
		},
	}
	source.add(cmd)
	return cmd
}

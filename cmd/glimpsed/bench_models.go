package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/board"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/vision"
)

// modelComparison is `glimpsed bench --models`: models side by side on one machine.
type modelComparison struct {
	CPU     string        `json:"cpu"`
	Cores   int           `json:"cores"`
	Runtime string        `json:"runtime"`
	Version string        `json:"version"`
	Models  []modelFigure `json:"models"`
}

// modelFigure is one network; a file that can't be built here has one of its variants only.
type modelFigure struct {
	Name string `json:"name"`
	// PublishedTop1 is in percent, for the weights at full precision.
	PublishedTop1 float64        `json:"published_top1,omitempty"`
	Parameters    int64          `json:"parameters"`
	MACs          int64          `json:"macs"`
	Float         *variantFigure `json:"fp32,omitempty"`
	Int8          *variantFigure `json:"int8,omitempty"`
}

type variantFigure struct {
	Weights models.Origin `json:"weights"`
	Bytes   int64         `json:"bytes"`
	// Timings are with one thread and with one a core, each of a process of its own.
	Timings []daemon.ModelTiming `json:"timings"`
	// Accuracy is measured with --eval, and only for weights that have learnt something.
	Accuracy *accuracy `json:"accuracy,omitempty"`
}

// accuracy is in fractions of 1.
type accuracy struct {
	Pictures int     `json:"pictures"`
	Top1     float64 `json:"top1"`
	Top3     float64 `json:"top3"`
}

// modelBench compares models.
type modelBench struct {
	cfg config.Config
	// runs and limit bound one measurement.
	runs  int
	limit time.Duration
	// accuracy is nil where it is not asked for.
	accuracy *evaluator
	show     *progress
}

// benchModels compares the named models and prints the table. folder has pictures to
// measure the accuracy with, or is empty.
func benchModels(cmd *cobra.Command, cfg config.Config, names []string, folder string, runs int, limit time.Duration, format string) error {
	b := modelBench{cfg: cfg, runs: runs, limit: limit, show: newProgress(cmd.ErrOrStderr())}
	if folder != "" {
		var err error
		if b.accuracy, err = newEvaluator(cfg, folder, cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(cmd)
	defer stop()
	comparison := modelComparison{CPU: board.CPUModel(), Cores: runtime.NumCPU(), Version: buildVersion(), Models: []modelFigure{}}
	for _, name := range withAll(names) {
		figure, err := b.model(ctx, name)
		b.show.end()
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			return err
		}
		comparison.Models = append(comparison.Models, figure)
		for _, v := range []*variantFigure{figure.Float, figure.Int8} {
			if v != nil {
				comparison.Runtime = v.Timings[0].Runtime
			}
		}
	}
	return printComparison(cmd.OutOrStdout(), format, comparison)
}

// withAll puts the catalogue's networks in the place of "all".
func withAll(names []string) []string {
	var out []string
	for _, name := range names {
		add := []string{strings.TrimSpace(name)}
		if add[0] == "all" {
			add = models.Networks()
		}
		for _, a := range add {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (b *modelBench) model(ctx context.Context, name string) (modelFigure, error) {
	dir, err := os.MkdirTemp("", "glimpsed-bench-")
	if err != nil {
		return modelFigure{}, fmt.Errorf("comparing models: %w", err)
	}
	defer os.RemoveAll(dir)
	b.show.show(name, "building", false)
	n, err := models.Variants(ctx, name, models.NewStore(b.cfg.Models.Dir), dir)
	if err != nil {
		return modelFigure{}, fmt.Errorf("%w: %w", daemon.ErrModel, err)
	}
	figure := modelFigure{Name: n.Name, PublishedTop1: n.Top1, Parameters: n.Parameters, MACs: n.MACs}
	if figure.Float, err = b.variant(ctx, n.Float, name+" FP32"); err != nil {
		return figure, err
	}
	figure.Int8, err = b.variant(ctx, n.Int8, name+" INT8")
	return figure, err
}

func (b *modelBench) variant(ctx context.Context, v *models.Variant, what string) (*variantFigure, error) {
	if v == nil {
		return nil, nil
	}
	figure := &variantFigure{Weights: v.Origin, Bytes: v.Bytes}
	for _, threads := range slices.Compact([]int{1, runtime.NumCPU()}) {
		b.show.show(what, threadsOf(threads), false)
		t, err := b.measure(ctx, v.Model, threads)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", what, err)
		}
		figure.Timings = append(figure.Timings, t)
	}
	if b.accuracy == nil || v.Origin == models.Seeded {
		return figure, nil
	}
	b.show.end()
	m, err := daemon.OpenFound(v.Model, b.cfg.Infer)
	if err != nil {
		return nil, err
	}
	one, err := b.accuracy.evaluate(ctx, m)
	if err != nil {
		return nil, err
	}
	figure.Accuracy = &accuracy{one.report.Pictures, one.report.Top1, one.report.Top3}
	return figure, nil
}

// measure starts this program again for each measurement: what an earlier one has left in memory,
// or a library's threads, would be in the figures otherwise.
func (b *modelBench) measure(ctx context.Context, m vision.Model, threads int) (t daemon.ModelTiming, err error) {
	self, err := os.Executable()
	if err != nil {
		return t, err
	}
	child := exec.CommandContext(ctx, self, measureCommand, m.Path,
		"--runtime", b.cfg.Infer.Runtime, "--library", b.cfg.Infer.Library, "--threads", strconv.Itoa(threads),
		"--runs", strconv.Itoa(b.runs), "--limit", b.limit.String())
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	if err := child.Run(); err != nil {
		text := strings.TrimSpace(stderr.String())
		_, why, ok := strings.Cut(text, "glimpsed: ") // before it is what the runtime says
		if !ok {
			why = fmt.Sprintf("%v: %s", err, text)
		}
		return t, errors.New(why)
	}
	if err := json.Unmarshal(stdout.Bytes(), &t); err != nil {
		return t, fmt.Errorf("reading the measurement: %w", err)
	}
	return t, nil
}

const measureCommand = "bench-one-model"

// newMeasureCommand is what measure starts.
func newMeasureCommand() *cobra.Command {
	cfg := config.Defaults().Infer
	var runs int
	var limit time.Duration
	cmd := &cobra.Command{
		Use:    measureCommand + " FILE",
		Short:  "Measure one model in this process, for bench --models",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := daemon.BenchModel(cmd.Context(), vision.Model{Name: args[0], Path: args[0]}, cfg, runs, limit)
			if err != nil {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), t)
		},
	}
	cmd.Flags().StringVar(&cfg.Runtime, "runtime", cfg.Runtime, "infer.runtime")
	cmd.Flags().StringVar(&cfg.Library, "library", "", "infer.library")
	cmd.Flags().IntVar(&cfg.Threads, "threads", 1, "CPU threads")
	cmd.Flags().IntVar(&runs, "runs", 50, "runs to measure")
	cmd.Flags().DurationVar(&limit, "limit", time.Minute, "end by then in any case")
	return cmd
}

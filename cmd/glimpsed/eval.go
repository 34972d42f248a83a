package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/evaluate"
	"github.com/glimpsed/glimpsed/vision"
)

func newEvalCommand() *cobra.Command {
	var (
		source        configFlags
		model, labels string
		names         []string
		crop, format  string
		precision     float64
	)
	cmd := &cobra.Command{
		Use:   "eval FOLDER",
		Short: "Measure how often a model is right",
		Long: `Classifies the pictures of a folder whose classes are known, and says how many were right: over all, by class,
what the worst classes are mistaken for, how far the scores can be believed, and from which score on they are worth
acting on. A picture's class is the name of its sub-folder, or else how its file name begins: a label (spaces, _ and -
are the same, as are upper and lower case), or the WordNet id for models with ImageNet's classes.
Pictures that no label names and pictures that can't be read are named and don't count; the latter make the exit code 1.`,
		Example: `  glimpsed eval pictures/
  glimpsed eval --models resnet18,mobilenet_v2 --format json pictures/
  glimpsed eval --model parts.tflite --labels parts.txt --precision 0.99 parts/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" && format != "csv" {
				return usageError{fmt.Errorf("--format %s: want text, json or csv", format)}
			}
			if model != "" && len(names) > 0 {
				return usageError{errors.New("--model and --models exclude each other")}
			}
			if !(precision > 0 && precision <= 1) {
				return usageError{fmt.Errorf("--precision %v: want a fraction of 1, as in 0.95", precision)}
			}
			loaded, err := source.load()
			if err != nil {
				return err
			}
			cfg := loaded.Config
			if len(names) == 0 {
				if model == "" {
					model, labels = cfg.Model, first(labels, cfg.Labels)
				}
				names = []string{model}
			}
			e, err := newEvaluator(cfg, args[0], cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			e.crop, e.precision = vision.Crop(crop), precision
			ctx, stop := interruptible(cmd)
			defer stop()
			var all []evaluation
			for _, name := range names {
				one, err := e.byName(ctx, strings.TrimSpace(name), labels)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				if err != nil {
					return err
				}
				all = append(all, one)
			}
			if err := printEvaluations(cmd.OutOrStdout(), format, all); err != nil {
				return err
			}
			if n := len(all[0].report.Broken); n > 0 { // the same for all
				return fmt.Errorf("%d of %d pictures could not be classified", n, len(e.pictures))
			}
			return nil
		},
	}
	source.add(cmd)
	cmd.Flags().StringVar(&model, "model", "", "name of the catalogue or .tflite file (default: the configured one)")
	cmd.Flags().StringSliceVar(&names, "models", nil, "several of them, to compare, with commas between")
	cmd.Flags().StringVar(&labels, "labels", "", `label file of a .tflite file, or "imagenet"`)
	cmd.Flags().StringVar(&crop, "crop", "", "center, letterbox or stretch (default: the model's)")
	cmd.Flags().Float64Var(&precision, "precision", defaultPrecision, "what part of the scores above the advised threshold should be right")
	cmd.Flags().StringVar(&format, "format", "text", "text, json or csv (a line a picture)")
	return cmd
}

// evaluator measures models on the same pictures.
type evaluator struct {
	cfg       config.Config
	pictures  []evaluate.Picture
	crop      vision.Crop
	precision float64
	warnings  io.Writer
	// named are the broken pictures that were complained of.
	named map[string]bool
}

// newEvaluator looks for the pictures of a folder.
func newEvaluator(cfg config.Config, folder string, warnings io.Writer) (*evaluator, error) {
	pictures, err := evaluate.Find(folder, capture.IsPicture)
	if err != nil {
		return nil, err
	}
	return &evaluator{cfg: cfg, pictures: pictures, precision: defaultPrecision, warnings: warnings, named: map[string]bool{}}, nil
}

const defaultPrecision = 0.95

// evaluation is what became of one model.
type evaluation struct {
	report   evaluate.Report
	labels   *evaluate.Labels
	outcomes []evaluate.Outcome
}

// byName evaluates what Resolve finds.
func (e *evaluator) byName(ctx context.Context, ref, labels string) (evaluation, error) {
	m, err := daemon.OpenModel(models.NewStore(e.cfg.Models.Dir), ref, labels, e.cfg.Infer)
	if err != nil {
		return evaluation{}, err
	}
	if m.Note != "" && (ref == "" || ref == models.Auto) {
		fmt.Fprintf(e.warnings, "glimpsed: %s\n", m.Note)
	}
	return e.evaluate(ctx, m)
}

// evaluate closes m.
func (e *evaluator) evaluate(ctx context.Context, m *daemon.Model) (evaluation, error) {
	defer m.Close()
	var workers []evaluate.Classify
	// One reads and resizes a picture while another's is run. More would only wait for the interpreter.
	for range min(2, runtime.NumCPU()) {
		p, err := newPictureClassifier(m, infer.ClassifierOptions{Top: evaluate.TopK, Crop: e.crop})
		if err != nil {
			return evaluation{}, err
		}
		defer p.close()
		workers = append(workers, func(file string) ([]vision.Classification, error) {
			top, _, err := p.classify(file)
			return top, err
		})
	}
	bar := newBar(e.warnings, "evaluating "+m.Name)
	labels := evaluate.NewLabels(m.Labels)
	outcomes, err := evaluate.Run(ctx, e.pictures, labels, workers, bar.show)
	bar.end()
	if err != nil {
		return evaluation{}, err
	}
	r := evaluate.NewReport(m.Ref(), labels, outcomes, e.precision)
	for _, b := range r.Broken {
		if !e.named[b.File] {
			fmt.Fprintf(e.warnings, "glimpsed: %s\n", b.Error)
			e.named[b.File] = true
		}
	}
	if r.Pictures == 0 {
		return evaluation{}, noneMatched(r, m.Labels)
	}
	return evaluation{r, labels, outcomes}, nil
}

// noneMatched says what the pictures are called and what the labels are.
func noneMatched(r evaluate.Report, labels []string) error {
	var classes []string
	for _, u := range r.Unmatched[:min(3, len(r.Unmatched))] {
		classes = append(classes, fmt.Sprintf("%q (%s)", u.Class, u.Reason))
	}
	return fmt.Errorf("model %s: none of the %d pictures is of a class that it knows: they are named %s ...; its labels are %s",
		r.Model, r.UnmatchedPictures, strings.Join(classes, ", "), labelsOf(labels))
}

// bar shows on a terminal, and only there, how far a command is.
type bar struct {
	step string
	on   *progress // nil: not a terminal
}

func newBar(w io.Writer, step string) *bar {
	b := &bar{step: step}
	if p := newProgress(w); p.terminal {
		b.on = p
	}
	return b
}

func (b *bar) show(done, total int) {
	if b.on == nil || total == 0 {
		return
	}
	const width = 30
	full := width * done / total
	b.on.show(b.step, fmt.Sprintf("[%s%s] %d of %d, %d %%",
		strings.Repeat("#", full), strings.Repeat("-", width-full), done, total, 100*done/total), done == total)
}

func (b *bar) end() {
	if b.on != nil {
		b.on.end()
	}
}

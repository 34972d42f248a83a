package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/vision"
)

func newClassifyCommand() *cobra.Command {
	var (
		source        configFlags
		model, labels string
		crop, format  string
		top           int
	)
	cmd := &cobra.Command{
		Use:   "classify PICTURE...",
		Short: "Say what pictures show",
		Long: `Classifies pictures (JPEG, PNG, GIF, BMP, WebP, TIFF) or all pictures of a folder, with the configured
model or another. A picture that can't be read is named on standard error, the others are classified, and the exit code is 1.`,
		Example: `  glimpsed classify cat.jpg
  glimpsed classify --model mobilenet_v2 --format json pictures/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format %s: want text or json", format)}
			}
			if cmd.Flags().Changed("top") && top < 1 {
				return usageError{fmt.Errorf("--top %d: want at least 1", top)}
			}
			switch vision.Crop(crop) {
			case "", vision.CropCenter, vision.CropLetterbox, vision.CropStretch:
			default:
				return usageError{fmt.Errorf("--crop %s: want center, letterbox or stretch", crop)}
			}
			loaded, err := source.load()
			if err != nil {
				return err
			}
			cfg := loaded.Config
			if model == "" {
				model, labels = cfg.Model, first(labels, cfg.Labels)
			}
			if top == 0 {
				top = cfg.Infer.Top
			}
			m, err := daemon.OpenModel(models.NewStore(cfg.Models.Dir), model, labels, cfg.Infer)
			if err != nil {
				return err
			}
			defer m.Close()
			if m.Note != "" && (model == "" || model == models.Auto) {
				fmt.Fprintf(cmd.ErrOrStderr(), "glimpsed: %s\n", m.Note)
			}
			p, err := newPictureClassifier(m, infer.ClassifierOptions{Top: top, Crop: vision.Crop(crop)})
			if err != nil {
				return err
			}
			defer p.close()
			files, err := pictures(args)
			if err != nil {
				return err
			}
			return classifyAll(cmd, p, files, format)
		},
	}
	source.add(cmd)
	cmd.Flags().StringVar(&model, "model", "", "name of the catalogue or .tflite file (default: the configured one)")
	cmd.Flags().StringVar(&labels, "labels", "", "label file of a .tflite file")
	cmd.Flags().StringVar(&crop, "crop", "", "center, letterbox or stretch (default: the model's)")
	cmd.Flags().IntVar(&top, "top", 0, "number of labels (default: the configured one)")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// classified is a picture's part of the JSON output.
type classified struct {
	File   string             `json:"file"`
	Top    []label            `json:"top"`
	Timing map[string]float64 `json:"timing_ms"`
}

type label struct {
	Label string  `json:"label"`
	Index int     `json:"index"`
	Score float64 `json:"score"`
}

func classifyAll(cmd *cobra.Command, p *pictureClassifier, files []string, format string) error {
	done := []classified{}
	failures := 0
	for _, file := range files {
		top, timing, err := p.classify(file)
		if err != nil {
			failures++
			fmt.Fprintf(cmd.ErrOrStderr(), "glimpsed: %v\n", err)
			continue
		}
		one := newClassified(file, top, timing)
		if format == "text" {
			printClassified(cmd.OutOrStdout(), one)
		}
		done = append(done, one)
	}
	if format == "json" {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(done); err != nil {
			return err
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d pictures could not be classified", failures, len(files))
	}
	return nil
}

func newClassified(file string, top []vision.Classification, timing fileTiming) classified {
	one := classified{File: file, Timing: map[string]float64{
		"decode":      ms(timing.decode),
		"preprocess":  ms(timing.Preprocess),
		"invoke":      ms(timing.Invoke),
		"postprocess": ms(timing.Postprocess),
		"total":       ms(timing.total),
	}}
	for _, t := range top {
		one.Top = append(one.Top, label{t.Label, t.Index, round(float64(t.Score), 4)})
	}
	return one
}

func printClassified(w io.Writer, c classified) {
	fmt.Fprintf(w, "%s\n", c.File)
	for _, t := range c.Top {
		fmt.Fprintf(w, "  %6.2f %%  %s\n", 100*t.Score, t.Label)
	}
	fmt.Fprintf(w, "  decode %.1f ms, preprocess %.1f ms, invoke %.1f ms, total %.1f ms\n",
		c.Timing["decode"], c.Timing["preprocess"], c.Timing["invoke"], c.Timing["total"])
}

// ms is d in milliseconds, to the microsecond.
func ms(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// round keeps so many decimals.
func round(x float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(x*unit) / unit
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
)

// buildFlags say how a model is built.
type buildFlags struct {
	calibrate      []string
	frames         int
	method         string
	float, floatIO bool
}

// defaultCalibrationFrames is what suffices in practice: ranges hardly move after some dozens of pictures.
const defaultCalibrationFrames = 64

func (b *buildFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&b.calibrate, "calibrate", nil, "pictures like those that will be seen, which fix the ranges of INT8: a folder, a video file, a camera or any other source; may be repeated")
	cmd.Flags().IntVar(&b.frames, "calibrate-frames", defaultCalibrationFrames, "how many pictures to take of each --calibrate, spread over a folder or a video; a camera gives one a second")
	cmd.Flags().StringVar(&b.method, "calibrate-method", "", fmt.Sprintf("how ranges are chosen: %v (default: %s)", quantize.Methods(), models.DefaultMethod))
	cmd.Flags().BoolVar(&b.float, "float", false, "build a float32 model")
	cmd.Flags().BoolVar(&b.floatIO, "float-io", false, "give an INT8 model float32 input and output")
}

// options are the builder's for an architecture. Sources are opened when the builder wants
// pictures, after weights were downloaded; those that can't be are refused here.
func (b *buildFlags) options(ctx context.Context, cmd *cobra.Command, architecture string, runtime infer.Config, show *progress) (models.Options, error) {
	o := models.Options{Float: b.float, FloatIO: b.floatIO, Method: quantize.Method(b.method), Progress: show.steps}
	if len(b.calibrate) == 0 {
		return o, nil
	}
	switch {
	case b.float:
		return o, usageError{errors.New("--calibrate and --float exclude each other: a float model has no ranges to calibrate")}
	case b.frames < 1:
		return o, usageError{fmt.Errorf("--calibrate-frames %d: must be 1 or above", b.frames)}
	}
	p, err := models.ArchitecturePreprocessing(architecture)
	if err != nil {
		return o, err
	}
	warnings := cmd.ErrOrStderr()
	s := sampler{
		open: kinds.SourceOpener(newLogger(warnings, level("warn"), "text")), frames: b.frames, every: liveInterval,
		preprocessing: p, warnings: warnings,
	}
	for _, source := range b.calibrate {
		if err := s.check(source); err != nil {
			return o, fmt.Errorf("calibrating: %w", err)
		}
	}
	o.Runner, o.Pictures = calibrationRunner(runtime, warnings), calibrationPictures(ctx, s, b.calibrate)
	return o, nil
}

// calibrationRunner runs the float model during calibration: in LiteRT, or in Go where LiteRT
// is not to be had, which takes some ten times as long.
func calibrationRunner(runtime infer.Config, notes io.Writer) quantize.OpenRunner {
	return func(model []byte) (quantize.Runner, error) {
		r, err := litert.OpenRunner(model, infer.Options{Library: runtime.Library, Threads: runtime.Threads})
		if errors.Is(err, infer.ErrUnavailable) {
			fmt.Fprintf(notes, "glimpsed: calibrating slowly, without LiteRT: %v\n", err)
			return reference.Open(model)
		}
		if err != nil {
			return nil, err
		}
		return r, nil
	}
}

// calibrationPictures gives the pictures of all sources as the network wants them: [height][width]
// [red, green, blue], normalised.
func calibrationPictures(ctx context.Context, s sampler, sources []string) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		p := s.preprocessing
		values := make([]float32, 3*p.Width*p.Height)
		for _, source := range sources {
			for pixels, err := range s.sample(ctx, source) {
				if err != nil {
					yield(nil, err)
					return
				}
				for i := 0; i < len(pixels); i += 3 {
					for c := range 3 {
						values[i+c] = (float32(pixels[i+2-c]) - p.Mean[c]) / p.Std[c]
					}
				}
				if !yield(values, nil) {
					return
				}
			}
		}
	}
}

// saveRanges writes the ranges of a built model, for shipping them.
func saveRanges(path string, r models.Report) error {
	if path == "" || r.Ranges == nil {
		return nil
	}
	text, err := json.MarshalIndent(r.Ranges, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing activation ranges: %w", err)
	}
	return nil
}

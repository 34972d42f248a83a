package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/quantize"
	"github.com/glimpsed/glimpsed/models/tflite/reference"
	"github.com/glimpsed/glimpsed/vision"
)

// openRunner runs the float model during calibration.
var openRunner quantize.OpenRunner = reference.Open

// buildFlags say how a model is built.
type buildFlags struct {
	calibrate      []string
	method         string
	float, floatIO bool
}

func (b *buildFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&b.calibrate, "calibrate", nil, "folder of pictures, like those that will be seen, which fix the ranges of INT8; may be repeated")
	cmd.Flags().StringVar(&b.method, "calibrate-method", "", fmt.Sprintf("how ranges are chosen: %v (default: %s)", quantize.Methods(), models.DefaultMethod))
	cmd.Flags().BoolVar(&b.float, "float", false, "build a float32 model")
	cmd.Flags().BoolVar(&b.floatIO, "float-io", false, "give an INT8 model float32 input and output")
}

// options are the builder's for an architecture.
func (b *buildFlags) options(cmd *cobra.Command, architecture string, show *progress) (models.Options, error) {
	o := models.Options{Float: b.float, FloatIO: b.floatIO, Method: quantize.Method(b.method), Progress: show.steps}
	if len(b.calibrate) == 0 {
		return o, nil
	}
	if b.float {
		return o, usageError{errors.New("--calibrate and --float exclude each other: a float model has no ranges to calibrate")}
	}
	p, err := models.ArchitecturePreprocessing(architecture)
	if err != nil {
		return o, err
	}
	for _, path := range b.calibrate {
		if _, err := os.Stat(path); err != nil {
			return o, fmt.Errorf("calibrating: %w", err)
		}
	}
	files, err := pictures(b.calibrate)
	if err != nil {
		return o, fmt.Errorf("calibrating: %w", err)
	}
	o.Runner, o.Pictures = openRunner, calibrationPictures(files, p, cmd.ErrOrStderr())
	return o, nil
}

// calibrationPictures reads pictures as the network wants them: [height][width][red, green,
// blue], normalised. Those that can't be read are named and left out.
func calibrationPictures(files []string, p vision.Preprocessing, warnings io.Writer) iter.Seq2[[]float32, error] {
	return func(yield func([]float32, error) bool) {
		decoder, err := kinds.NewDecoder()
		if err != nil {
			yield(nil, err)
			return
		}
		defer decoder.Close()
		var resizer imaging.Resizer
		pixels := make([]byte, 3*p.Width*p.Height)
		values := make([]float32, len(pixels))
		for _, file := range files {
			if err := readInto(pixels, file, p, decoder, &resizer); err != nil {
				fmt.Fprintf(warnings, "glimpsed: %v\n", err)
				continue
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

// readInto decodes, resizes and crops a picture to BGR of the network's size.
func readInto(dst []byte, file string, p vision.Preprocessing, decoder imaging.Decoder, resizer *imaging.Resizer) error {
	data, err := imaging.ReadFile(file, imaging.DefaultLimits())
	if err != nil {
		return err
	}
	frame, err := decoder.Decode(data, imaging.Options{})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	g, err := imaging.Fit(frame.Width, frame.Height, p, p.Width, p.Height)
	if err == nil {
		err = resizer.Resize(dst, 3*p.Width, frame, g)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
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

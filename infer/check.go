package infer

import (
	"fmt"
	"math"
	"slices"

	"github.com/glimpsed/glimpsed/vision"
)

// pictureShape reads height, width and channels from an input of shape
// [1, height, width, 3] or, for grey, [1, height, width, 1].
func pictureShape(in TensorSpec) (height, width, channels int, err error) {
	if len(in.Shape) == 4 && in.Shape[0] == 1 && in.Shape[1] == 3 && in.Shape[2] > 3 && in.Shape[3] > 3 {
		return 0, 0, 0, fmt.Errorf("%w: its input %v has the channels first; convert the model with the channels last", errNotClassifier, in.Shape)
	}
	if len(in.Shape) != 4 || slices.Min(in.Shape) < 1 || in.Shape[0] != 1 || (in.Shape[3] != 3 && in.Shape[3] != 1) {
		return 0, 0, 0, fmt.Errorf("%w: its input has the shape %v instead of [1 height width 3]; use a model that takes one picture", errNotClassifier, in.Shape)
	}
	return in.Shape[1], in.Shape[2], in.Shape[3], nil
}

// labelCount reads the number of labels from an output of shape [labels] or
// [1, labels]; more ones in front of labels do no harm.
func labelCount(out TensorSpec) (int, error) {
	last := len(out.Shape) - 1
	if last < 0 || out.Shape[last] < 2 || slices.ContainsFunc(out.Shape[:last], func(d int) bool { return d != 1 }) {
		return 0, fmt.Errorf("%w: its output has the shape %v instead of [1 labels]; use a model that gives one score a label", errNotClassifier, out.Shape)
	}
	if out.DType != Float32 && out.Scale == 0 {
		return 0, fmt.Errorf("its output is %v without quantisation, so its scores have no meaning; convert the model with quantised or float32 output", out.DType)
	}
	return out.Shape[last], nil
}

// labelMismatch guesses what is wrong with a label file of another length than the output's.
func labelMismatch(labels, outputs int) error {
	hint := "give the label file that belongs to this model"
	switch {
	case labels == 0:
		return fmt.Errorf("labels: none for a model with %d outputs; give a label file with one label a line", outputs)
	case labels == outputs-1:
		hint = "put a line such as \"background\" at the top of the label file if the model counts the background as its first class"
	case labels == outputs+1:
		hint = "take the first label away if it is \"background\" or a heading, and empty lines at the end"
	}
	return fmt.Errorf("labels: %d labels for a model with %d outputs; %s", labels, outputs, hint)
}

// checkPreprocessing refuses an interpolation that doesn't exist and numbers that no
// picture can be normalised with.
func checkPreprocessing(p vision.Preprocessing) error {
	if p.Interpolation != "" && p.Interpolation != vision.Bilinear && p.Interpolation != vision.Bicubic {
		return fmt.Errorf("its manifest has interpolation %q: must be %s or %s", p.Interpolation, vision.Bilinear, vision.Bicubic)
	}
	for c, name := range [...]string{"red", "green", "blue"} {
		mean, std := float64(p.Mean[c]), float64(p.Std[c])
		if std < 0 || math.IsNaN(std+mean) || math.IsInf(std+mean, 0) {
			return fmt.Errorf("its manifest has mean %g and std %g for %s: std must be above 0", mean, std, name)
		}
	}
	return nil
}

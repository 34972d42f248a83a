package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/glimpsed/glimpsed/models/tflite"
	"github.com/glimpsed/glimpsed/vision"
)

// maxModel bounds what is read as a model, in bytes: five times the largest
// classifier that a small machine can run in a second.
const maxModel = 512 << 20

// probe is what a .tflite file tells of itself.
type probe struct {
	model *tflite.Model
	// width and height are the input's, outputs counts the classes.
	width, height, outputs int
	// logits: the scores need a softmax; why says how that was seen.
	logits bool
	why    string
	meta   tflite.Metadata
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readModel reads a .tflite file; its errors name it and say what to do.
func readModel(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading model %s: there is no such file", path)
	case err != nil:
		return nil, fmt.Errorf("reading model %s: %w", path, bare(err))
	case info.IsDir():
		return nil, fmt.Errorf("reading model %s: it is a folder; give the path of the .tflite file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading model %s: it is not a regular file", path)
	case info.Size() == 0:
		return nil, fmt.Errorf("reading model %s: the file is empty; fetch or build it again", path)
	case info.Size() > maxModel:
		return nil, fmt.Errorf("reading model %s: %d bytes are more than a model may have (%d)", path, info.Size(), maxModel)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading model %s: %w", path, bare(err))
	}
	return data, nil
}

// bare drops the operation and path that os errors repeat.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// probeModel looks into a model. Errors say what is wrong with it as a picture classifier.
func probeModel(data []byte) (probe, error) {
	if err := looksLikeTFLite(data); err != nil {
		return probe{}, err
	}
	m, err := tflite.Unmarshal(data)
	if err != nil {
		return probe{}, fmt.Errorf("the file is damaged or cut short (%w); fetch or build it again", err)
	}
	if len(m.Inputs) != 1 || len(m.Outputs) != 1 {
		return probe{}, fmt.Errorf("it has %d inputs and %d outputs; a picture classifier has one of each", len(m.Inputs), len(m.Outputs))
	}
	p := probe{model: m}
	in, out := &m.Tensors[m.Inputs[0]], &m.Tensors[m.Outputs[0]]
	if len(in.Shape) != 4 || in.Shape[0] != 1 || in.Shape[1] < 1 || in.Shape[2] < 1 || in.Shape[3] != 3 {
		return probe{}, fmt.Errorf("its input has the shape %v; a colour picture is [1 height width 3]", in.Shape)
	}
	p.height, p.width, p.outputs = in.Shape[1], in.Shape[2], out.Elements()
	for _, d := range out.Shape[:max(len(out.Shape)-1, 0)] {
		if d != 1 {
			return probe{}, fmt.Errorf("its output has the shape %v; a classifier's is [1 classes]", out.Shape)
		}
	}
	if p.outputs < 2 {
		return probe{}, fmt.Errorf("its output has the shape %v: a classifier has at least two classes", out.Shape)
	}
	for _, t := range []*tflite.Tensor{in, out} {
		if !slices.Contains([]tflite.TensorType{tflite.Float32, tflite.Int8, tflite.Uint8}, t.Type) {
			return probe{}, fmt.Errorf("its tensor %s is of %v; int8, uint8 and float32 can be used", t.Name, t.Type)
		}
	}
	p.logits, p.why = hasLogits(m)
	p.meta, err = m.ReadMetadata(data)
	if err != nil && !errors.Is(err, tflite.ErrNoMetadata) {
		return probe{}, fmt.Errorf("the file is damaged or cut short (%w); fetch or build it again", err)
	}
	return p, nil
}

// looksLikeTFLite tells what else a file may be, in the words of whoever gave it.
func looksLikeTFLite(data []byte) error {
	const identifierAt = 4 // behind the root offset of the FlatBuffer
	switch {
	case len(data) < 8:
		return fmt.Errorf("%d bytes are no model: the file is cut short; fetch or build it again", len(data))
	case string(data[identifierAt:8]) == "TFL3":
		return nil
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return errors.New("it is a zip archive, such as PyTorch weights: `glimpsed model build` makes a .tflite file of weights")
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return errors.New("it is a Git LFS pointer, not the file that it stands for: run `git lfs pull` where it comes from")
	case bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 64)], " \r\n\t"), []byte("<")):
		return errors.New("it is a web page: the download went wrong")
	}
	return errors.New("it is no TensorFlow Lite model (TFL3 is missing at byte 4)")
}

// passing are the operators that leave probabilities probabilities.
var passing = []tflite.Op{tflite.Dequantize, tflite.Quantize, tflite.Reshape, tflite.Squeeze}

// hasLogits says whether the output is raw scores. The operator that makes the
// scores decides: SOFTMAX and LOGISTIC give probabilities. Where it is neither, a
// quantised output of scale 1/256 that begins at 0 holds 0..1 and nothing
// else, as converters choose it for probabilities. Everything else is logits.
func hasLogits(m *tflite.Model) (logits bool, why string) {
	out := m.Outputs[0]
	for i := len(m.Operators) - 1; i >= 0; i-- {
		op := m.Operators[i]
		if !slices.Contains(op.Outputs, out) {
			continue
		}
		switch {
		case op.Op == tflite.Softmax, op.Op == tflite.Logistic:
			return false, "it ends with " + op.Op.String()
		case slices.Contains(passing, op.Op) && len(op.Inputs) > 0 && op.Inputs[0] >= 0:
			out = op.Inputs[0]
			continue
		}
		break
	}
	t := &m.Tensors[m.Outputs[0]]
	if q := t.Quant; len(q.Scale) == 1 && q.Scale[0] == 1.0/256 {
		if t.Type == tflite.Uint8 && q.ZeroPoint[0] == 0 || t.Type == tflite.Int8 && q.ZeroPoint[0] == -128 {
			return false, "its output's quantisation covers exactly 0..1"
		}
	}
	return true, "it has no softmax"
}

// preprocessing is how the model wants its picture, as far as the file says; the rest
// is the habit of ImageNet: shorter side to 8/7 of the input's size, centre crop, bilinear.
func (p probe) preprocessing() vision.Preprocessing {
	side := max(p.width, p.height)
	out := vision.Preprocessing{
		Width: p.width, Height: p.height, Resize: (side*256 + 112) / 224,
		Crop: vision.CropCenter, Interpolation: vision.Bilinear,
	}
	n := len(p.meta.Std)
	if n != 1 && n != 3 || len(p.meta.Mean) != n {
		return out // Std of 0: as the tensor says
	}
	for c := range 3 {
		out.Mean[c], out.Std[c] = p.meta.Mean[c%n], p.meta.Std[c%n]
	}
	return out
}

func hashReader(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

package infer

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// Resizer brings frames to the size of a model's input, as imaging.Resizer does. It has
// a single owner and may keep buffers.
type Resizer interface {
	// Resize writes g of src into dst as BGR, with rows stride bytes apart.
	Resize(dst []byte, stride int, src vision.Frame, g imaging.Geometry) error
}

// ClassifierOptions tune a Classifier.
type ClassifierOptions struct {
	// Top is how many classifications are wanted; 0: those of DefaultConfig.
	Top int
	// Crop replaces the model's own crop; empty: the model's.
	Crop vision.Crop
	// Resizer replaces imaging.Resizer; nil: that one.
	Resizer Resizer
}

// Timing says where the time of one Classify went.
type Timing struct {
	// Preprocess brings the picture to the model's input. Queue is the wait for the
	// other users of a shared interpreter, Invoke the model's own run, Postprocess the
	// way from its output to labels.
	Preprocess, Queue, Invoke, Postprocess time.Duration
}

// Classifier says what a picture shows: it preprocesses, runs the model,
// dequantises and takes the best. It keeps all its buffers, so that a frame costs
// no allocation, has a single owner, and doesn't own the interpreter.
type Classifier struct {
	model         vision.Model
	preprocessing vision.Preprocessing
	interp        Interpreter
	resizer       Resizer
	// width, height and channels are the input's, bars the colour of a letterbox's bars.
	width, height, channels int
	bars                    [3]byte
	// geometry is for frames of the last frame's size.
	geometry imaging.Geometry

	normaliser *normaliser
	scorer     *scorer
	// picture is width x height of BGR.
	picture, input, output []byte
}

// New makes a classifier of a model that interp runs. Its errors name the model
// and what doesn't fit.
func New(model vision.Model, interp Interpreter, opts ClassifierOptions) (*Classifier, error) {
	c, err := newClassifier(model, interp, opts)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", modelName(model), err)
	}
	return c, nil
}

func modelName(m vision.Model) string {
	if m.Path != "" {
		return m.Path
	}
	return m.Name
}

func newClassifier(model vision.Model, interp Interpreter, opts ClassifierOptions) (*Classifier, error) {
	in, out := interp.Input(), interp.Output()
	p := model.Preprocessing
	height, width, channels, err := pictureShape(in)
	if err != nil {
		return nil, err
	}
	if w, h := cmp.Or(p.Width, width), cmp.Or(p.Height, height); w != width || h != height {
		return nil, fmt.Errorf("its manifest says %d x %d pixels, its input takes %d x %d: correct the manifest", w, h, width, height)
	}
	if err := checkPreprocessing(p); err != nil {
		return nil, err
	}
	labels, err := labelCount(out)
	if err != nil {
		return nil, err
	}
	if len(model.Labels) != labels {
		return nil, labelMismatch(len(model.Labels), labels)
	}
	if opts.Top <= 0 {
		opts.Top = DefaultConfig().Top
	}
	if opts.Resizer == nil {
		opts.Resizer = new(imaging.Resizer)
	}
	if opts.Crop != "" {
		p.Crop = opts.Crop
	}
	c := &Classifier{
		model: model, interp: interp, resizer: opts.Resizer, preprocessing: p,
		width: width, height: height, channels: channels,
		bars:       neutral(p, in),
		normaliser: newNormaliser(p, in),
		scorer:     newScorer(out, model.Logits, opts.Top),
		picture:    make([]byte, width*height*3),
		input:      make([]byte, in.Bytes()),
		output:     make([]byte, out.Bytes()),
	}
	// A wrong crop is found now, not at the first frame.
	if err := c.fit(width, height); err != nil {
		return nil, err
	}
	return c, nil
}

// fit lays out how frames of width x height become the model's input.
func (c *Classifier) fit(width, height int) error {
	if c.geometry.SourceWidth == width && c.geometry.SourceHeight == height {
		return nil
	}
	g, err := imaging.Fit(width, height, c.preprocessing, c.width, c.height)
	if err != nil {
		return err
	}
	c.geometry = g
	for i := range c.picture {
		c.picture[i] = c.bars[2-i%3]
	}
	return nil
}

// Prepare brings a BGR frame to the model's input, for Run. The frame isn't kept.
func (c *Classifier) Prepare(frame vision.Frame) error {
	if err := c.prepare(frame); err != nil {
		return fmt.Errorf("preparing a picture of %s: %w", frame.Source, err)
	}
	return nil
}

func (c *Classifier) prepare(frame vision.Frame) error {
	if err := imaging.Check(frame); err != nil {
		return err
	}
	if err := c.fit(frame.Width, frame.Height); err != nil {
		return err
	}
	if err := c.resizer.Resize(c.picture, 3*c.width, frame, c.geometry); err != nil {
		return err
	}
	c.normaliser.fill(c.input, c.picture, c.channels)
	return nil
}

// Model is what the classifier was made with.
func (c *Classifier) Model() vision.Model { return c.model }

// Classify appends the best classifications of a BGR frame to dst, best first. The
// frame isn't kept.
func (c *Classifier) Classify(dst []vision.Classification, frame vision.Frame) ([]vision.Classification, Timing, error) {
	start := time.Now()
	if err := c.Prepare(frame); err != nil {
		return dst, Timing{}, err
	}
	preprocess := time.Since(start)
	dst, t, err := c.Run(dst)
	t.Preprocess = preprocess
	return dst, t, err
}

// Run appends the best classifications of what Prepare was given last, best first.
func (c *Classifier) Run(dst []vision.Classification) ([]vision.Classification, Timing, error) {
	var t Timing
	start := time.Now()
	if err := c.invoke(&t); err != nil {
		return dst, t, err
	}
	done := time.Now()
	t.Invoke = done.Sub(start) - t.Queue

	best, err := c.scorer.score(c.output)
	if err != nil {
		return dst, t, fmt.Errorf("model %s: %w", modelName(c.model), err)
	}
	for _, e := range best {
		dst = append(dst, vision.Classification{Label: c.model.Labels[e.index], Index: e.index, Score: e.value})
	}
	t.Postprocess = time.Since(done)
	return dst, t, nil
}

func (c *Classifier) invoke(t *Timing) error {
	if shared, ok := c.interp.(*Shared); ok {
		waited, err := shared.invokeQueued(c.input, c.output)
		t.Queue = waited
		return err
	}
	return c.interp.Invoke(c.input, c.output)
}

var errNotClassifier = errors.New("not a classifier of pictures")

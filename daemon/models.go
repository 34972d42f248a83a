package daemon

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/vision"
)

// ErrModel is wrapped where a configured model can't be used: starting again won't help.
var ErrModel = errors.New("the model can't be used")

// Model is a model that is ready to run.
type Model struct {
	vision.Model
	// Runtime is the name of what runs it.
	Runtime string
	// Note is what a user should know of the choice, or "".
	Note   string
	cfg    infer.Config
	shared *infer.Shared
}

// is says whether found, run as cfg says, is this model.
func (m *Model) is(found vision.Model, cfg infer.Config) bool {
	was := m.cfg
	was.Top, cfg.Top = 0, 0 // the classifier's
	if was != cfg || m.SHA256 != found.SHA256 {
		return false
	}
	mine := m.Model
	mine.Data, found.Data = nil, nil
	return reflect.DeepEqual(mine, found)
}

// Ref is how results name the model.
func (m *Model) Ref() vision.ModelRef {
	return vision.ModelRef{Name: m.Name, SHA256: m.SHA256, Runtime: m.Runtime}
}

// Classifier makes a classifier for one camera; all of a model's classifiers take
// turns on its one interpreter.
func (m *Model) Classifier(opts infer.ClassifierOptions) (*infer.Classifier, error) {
	return infer.New(m.Model, m.shared, opts)
}

// Close frees the model. None of its classifiers may be used afterwards.
func (m *Model) Close() error { return m.shared.Close() }

// OpenModel finds a model by its name or file and makes it ready to run.
func OpenModel(store *models.Store, ref, labels string, cfg infer.Config) (*Model, error) {
	found, note, err := models.Resolve(ref, labels, store)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	m, err := OpenFound(found, cfg)
	if err != nil {
		return nil, err
	}
	m.Note = note
	return m, nil
}

// OpenFound is OpenModel for a model of which everything is known already.
func OpenFound(found vision.Model, cfg infer.Config) (*Model, error) {
	runtime, open, err := kinds.Runtime(cfg.Runtime)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	interp, err := open(found, infer.Options{Threads: cfg.Threads, Library: cfg.Library})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	m := &Model{Model: found, Runtime: runtime, cfg: cfg, shared: infer.Share(interp)}
	// Trying it once finds labels and shapes that don't fit before any camera is opened.
	if _, err := m.Classifier(infer.ClassifierOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrModel, err), m.Close())
	}
	return m, nil
}

// Prove runs a model on the golden pictures and returns what it says of them. Where no runtime can be had
// there is nothing to say, which is no error.
func Prove(found vision.Model, cfg infer.Config) (golden []vision.Golden, err error) {
	m, err := OpenFound(found, cfg)
	switch {
	case errors.Is(err, infer.ErrUnavailable):
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	c, err := m.Classifier(infer.ClassifierOptions{})
	if err != nil {
		return nil, err
	}
	return c.Golden()
}

// check looks whether the model works.
func (m *Model) check() error {
	c, err := m.Classifier(infer.ClassifierOptions{})
	if err != nil {
		return err
	}
	return c.CheckGolden()
}

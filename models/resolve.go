package models

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/vision"
)

// Resolve finds the model that a reference means:
//
//   - "" and "auto": resnet18 if it is installed, else the embedded model;
//   - a path with a slash, or one that ends with .tflite: that file;
//   - any other word: an installed model of that name, or the embedded one.
//
// labelsFile names the outputs of a file (see LoadLabels), or is "imagenet"; empty
// means the labels in the file's metadata, else those of a label file beside it. It
// replaces the labels of an installed model too.
//
// note says in a sentence what was chosen or assumed where the reference left that
// open, for the log; it is empty otherwise. Errors name the file or model and what to do.
func Resolve(ref, labelsFile string, store *Store) (model vision.Model, note string, err error) {
	switch {
	case ref == "" || ref == Auto:
		model, note, err = resolveAuto(store)
	case isPath(ref):
		return resolveFile(ref, labelsFile)
	default:
		model, err = resolveName(ref, store)
	}
	if err != nil || labelsFile == "" {
		return model, note, err
	}
	labels, err := chosenLabels(labelsFile, len(model.Labels))
	if err != nil {
		return vision.Model{}, "", fmt.Errorf("model %s: %w", model.Name, err)
	}
	model.Labels = labels
	return model, note, nil
}

func isPath(ref string) bool {
	return strings.ContainsAny(ref, `/\`) || strings.HasSuffix(ref, modelSuffix)
}

func resolveAuto(store *Store) (vision.Model, string, error) {
	m, err := installed(Preferred, store)
	if err == nil {
		return m, "model auto: " + Preferred + " is installed", nil
	}
	reason := Preferred + " is not installed"
	if !errors.Is(err, ErrNotInstalled) {
		reason = err.Error() // damaged: said, but no reason to see nothing at all
	}
	m, embeddedErr := Embedded()
	if embeddedErr != nil {
		return vision.Model{}, "", fmt.Errorf("model auto: %s and %w; run `glimpsed model pull %s`", reason, embeddedErr, Preferred)
	}
	return m, fmt.Sprintf("model auto: %s, so the embedded %s is used, which tells what is wrong with a picture, not what is in it; "+
		"`glimpsed model pull %s` gets the other", reason, CameraHealth, Preferred), nil
}

func resolveName(name string, store *Store) (vision.Model, error) {
	m, err := installed(name, store)
	if err == nil {
		return m, nil
	}
	entry, known := Lookup(name)
	switch {
	case known && entry.Embedded():
		m, embeddedErr := Embedded()
		if embeddedErr != nil {
			return vision.Model{}, fmt.Errorf("model %s: %w", name, embeddedErr)
		}
		return m, nil
	case !errors.Is(err, ErrNotInstalled) && CheckName(name) == nil:
		return vision.Model{}, err
	case known:
		return vision.Model{}, fmt.Errorf("model %s is %w: run `glimpsed model pull %s`", name, ErrNotInstalled, name)
	}
	return vision.Model{}, unknownName(name, knownNames(store))
}

// knownNames are those of the catalogue and of what is installed.
func knownNames(store *Store) []string {
	var names []string
	for _, e := range Catalogue() {
		names = append(names, e.Name)
	}
	if store == nil {
		return names
	}
	list, _ := store.List()
	for _, m := range list {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// installed reads a model of the store and makes sure that its file is the one it should be.
func installed(name string, store *Store) (vision.Model, error) {
	if store == nil {
		return vision.Model{}, fmt.Errorf("model %s: %w", name, ErrNotInstalled)
	}
	m, err := store.Load(name)
	if err != nil {
		return vision.Model{}, err
	}
	return m.Model(), nil
}

func resolveFile(path, labelsFile string) (vision.Model, string, error) {
	data, err := readModel(path)
	if err != nil {
		return vision.Model{}, "", err
	}
	m, _, note, err := describe(path, data, labelsFile)
	return m, note, err
}

// describe finds out what running a file takes.
func describe(path string, data []byte, labelsFile string) (m vision.Model, labelsSource, note string, err error) {
	p, err := probeModel(data)
	if err != nil {
		return m, "", "", fmt.Errorf("model %s: %w", path, err)
	}
	m = vision.Model{
		Name: strings.TrimSuffix(filepath.Base(path), modelSuffix), Path: path, SHA256: hashOf(data),
		Logits: p.logits, Preprocessing: p.preprocessing(),
	}
	m.Labels, labelsSource, err = fileLabels(path, labelsFile, p)
	if err != nil {
		return vision.Model{}, "", "", fmt.Errorf("model %s: %w", path, err)
	}
	scores := "probabilities"
	if p.logits {
		scores = "logits"
	}
	note = fmt.Sprintf("model %s: labels from %s; outputs taken as %s, since %s", m.Name, labelsSource, scores, p.why)
	if m.Preprocessing.Std == ([3]float32{}) {
		note += "; it does not say how pictures are normalised, so its input's range stands for black to white"
	}
	return m, labelsSource, note, nil
}

// fileLabels finds a file's labels and says where.
func fileLabels(path, labelsFile string, p probe) (labels []string, source string, err error) {
	switch {
	case labelsFile != "":
		labels, err := chosenLabels(labelsFile, p.outputs)
		return labels, labelsFile, err
	case len(p.meta.Labels) > 0:
		labels, source = p.meta.Labels, "its metadata"
	default:
		source = siblingLabels(path)
		if source == "" {
			return nil, "", fmt.Errorf("it has no labels for its %d outputs: name a file with one label a line (labels, --labels), put it beside the model as %s, or use the word %q",
				p.outputs, strings.TrimSuffix(filepath.Base(path), modelSuffix)+".labels.txt", ImageNetLabels)
		}
		if labels, err = LoadLabels(source); err != nil {
			return nil, "", err
		}
	}
	if err := checkLabels(labels, p.outputs); err != nil {
		return nil, "", fmt.Errorf("labels from %s: %w", source, err)
	}
	return labels, source, nil
}

func chosenLabels(labelsFile string, outputs int) ([]string, error) {
	labels := namedLabels(outputs)
	if labelsFile != ImageNetLabels {
		var err error
		if labels, err = LoadLabels(labelsFile); err != nil {
			return nil, err
		}
	}
	if err := checkLabels(labels, outputs); err != nil {
		return nil, fmt.Errorf("labels from %s: %w", labelsFile, err)
	}
	return labels, nil
}

package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glimpsed/glimpsed/models/download"
	"github.com/glimpsed/glimpsed/models/imagenet"
	"github.com/glimpsed/glimpsed/vision"
)

// Origin says where the weights of a Variant come from.
type Origin string

// The origins. Seeded weights are pseudo-random: a network of them is as fast and as
// large as the real one but knows nothing.
const (
	Official Origin = "official"
	Seeded   Origin = "seeded random"
	Own      Origin = "own"
)

// Variant is a network as one .tflite file.
type Variant struct {
	vision.Model
	Origin Origin
	Bytes  int64
}

// Network is what there is to compare of a model: at full precision and in eight bits. One
// of them is nil for a model that glimpsed can't build.
type Network struct {
	Name string
	// Top1 is published for the weights at full precision, in percent; 0: not known.
	Top1 float64
	// Parameters counts weights and biases, MACs the multiply-accumulates for a picture.
	Parameters, MACs int64
	Float, Int8      *Variant
}

// Networks are the names of the catalogue's models that can be compared with each other:
// all that know ImageNet's classes.
func Networks() []string {
	var names []string
	for _, e := range Catalogue() {
		if e.LabelSet == imageNetLabelSet {
			names = append(names, e.Name)
		}
	}
	return names
}

// Variants makes the files for comparing a network: of the official weights where they are
// in the store, else of seeded ones. What is not installed is built in the folder
// dir. ref may also be another installed model or a file, which then is the only variant.
func Variants(ctx context.Context, ref string, store *Store, dir string) (Network, error) {
	n := Network{Name: ref}
	e, known := Lookup(ref)
	if !known || e.Embedded() {
		m, _, err := Resolve(ref, "", store)
		if err != nil {
			return n, err
		}
		if m.Data != nil {
			m.Path, m.Data = filepath.Join(dir, m.Name+modelSuffix), nil
			embedded, _ := Embedded()
			if err := os.WriteFile(m.Path, embedded.Data, 0o600); err != nil {
				return n, fmt.Errorf("model %s: %w", ref, err)
			}
		}
		n.Name = m.Name
		return n, n.add(Variant{Model: m, Origin: Own})
	}
	n.Top1 = e.Top1
	switch m, err := store.Load(ref); {
	case err == nil:
		if err := n.add(Variant{Model: m.Model(), Origin: Official}); err != nil {
			return n, err
		}
	case !errors.Is(err, ErrNotInstalled):
		return n, err
	}
	for _, float := range []bool{true, false} {
		if float && n.Float != nil || !float && n.Int8 != nil {
			continue
		}
		v, err := buildVariant(ctx, e, store, dir, float)
		if err != nil {
			return n, err
		}
		if err := n.add(v); err != nil {
			return n, err
		}
	}
	return n, nil
}

// add files v under what its file holds.
func (n *Network) add(v Variant) error {
	i, err := Inspect(v.Path, nil)
	if err != nil {
		return err
	}
	v.Bytes = int64(i.Bytes)
	n.Parameters, n.MACs = i.Parameters, i.MACs // the same in both
	for _, l := range i.Layers {
		if strings.HasPrefix(l.Weights, "float") {
			n.Float = &v
			return nil
		}
	}
	n.Int8 = &v
	return nil
}

func buildVariant(ctx context.Context, e Entry, store *Store, dir string, float bool) (Variant, error) {
	v := Variant{Origin: Seeded}
	o := Options{Architecture: e.Architecture, Float: float, SeededClasses: len(imagenet.Classes())}
	// Labels make a file larger; those of an installed one are in it, too.
	o.Labels = e.Labels()
	weights := filepath.Join(store.dir, weightsDir, e.Weights.File)
	if sum, size, err := download.HashFile(weights); err == nil && size == e.Weights.Size && strings.HasPrefix(sum, e.Weights.SHA256) {
		o.Weights, v.Origin = weights, Official
		if o.Ranges, err = shippedRanges(e.Name, e.Weights.SHA256); err != nil {
			return v, err
		}
	}
	kind := "int8"
	if float {
		kind = "float"
	}
	path := filepath.Join(dir, e.Name+"."+kind+modelSuffix)
	report, err := Build(ctx, path, o)
	if err != nil {
		return v, err
	}
	v.Model = vision.Model{
		Name: e.Name, Path: path, SHA256: report.SHA256, Labels: o.Labels, Logits: true, Preprocessing: e.Preprocessing,
	}
	return v, nil
}

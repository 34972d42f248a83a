package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/models/download"
	"github.com/glimpsed/glimpsed/vision"
)

// Put installs a model from memory. m names it and says what is known of it; the
// digest, the size and the time are filled in here. A model of that name is replaced.
func (s *Store) Put(m Manifest, data []byte) (Installed, error) {
	if err := CheckName(m.Name); err != nil {
		return Installed{}, err
	}
	p, err := probeModel(data)
	if err != nil {
		return Installed{}, fmt.Errorf("installing model %s: %w", m.Name, err)
	}
	if err := checkLabels(m.Labels, p.outputs); err != nil {
		return Installed{}, fmt.Errorf("installing model %s: %w", m.Name, err)
	}
	m.Schema, m.SHA256, m.Size, m.Logits = manifestSchema, hashOf(data), int64(len(data)), p.logits
	m.CreatedAt = time.Now().UTC().Truncate(time.Second)
	if s.Prove != nil {
		m.Golden, err = s.Prove(vision.Model{
			Name: m.Name, Data: data, SHA256: m.SHA256, Labels: m.Labels, Logits: m.Logits, Preprocessing: m.Preprocessing.vision(),
		})
		if err != nil {
			return Installed{}, fmt.Errorf("installing model %s: it does not work: %v", m.Name, err) //nolint:errorlint // of a configuration it would be another kind of error
		}
	}
	root, err := s.open(true)
	if err != nil {
		return Installed{}, err
	}
	defer root.Close()
	if err := put(root, m, data); err != nil {
		return Installed{}, fmt.Errorf("installing model %s in %s: %w", m.Name, s.dir, err)
	}
	return s.read(root, m.Name)
}

// put makes both files durable under other names first. The next manifest names the digest of
// the model it belongs to, so that settle can tell on which side of the renames we stopped.
func put(root folder, m Manifest, data []byte) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	tmp := "." + m.Name + modelSuffix + ".new"
	defer root.Remove(tmp) //nolint:errcheck // gone after the rename
	if err := writeSynced(root, tmp, data); err != nil {
		return err
	}
	manifestTmp := "." + m.Name + manifestSuffix + ".new"
	defer root.Remove(manifestTmp) //nolint:errcheck
	if err := writeSynced(root, manifestTmp, append(text, '\n')); err != nil {
		return err
	}
	if err := root.Rename(manifestTmp, m.Name+nextSuffix); err != nil {
		return err
	}
	if err := root.Rename(tmp, m.Name+modelSuffix); err != nil {
		_ = root.Remove(m.Name + nextSuffix)
		return err
	}
	if err := root.Rename(m.Name+nextSuffix, m.Name+manifestSuffix); err != nil {
		return err
	}
	return syncRoot(root)
}

func writeSynced(root folder, name string, data []byte) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func syncRoot(root folder) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // not every file system can
	return nil
}

// Add installs a .tflite file under a name (empty: the file's own). labelsFile as in Resolve.
func (s *Store) Add(path, name, labelsFile string) (Installed, error) {
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), modelSuffix)
	}
	if err := CheckName(name); err != nil {
		return Installed{}, err
	}
	data, err := readModel(path)
	if err != nil {
		return Installed{}, err
	}
	model, labelsSource, _, err := describe(path, data, labelsFile)
	if err != nil {
		return Installed{}, err
	}
	m := Manifest{
		Name: name, Source: path, Labels: model.Labels, LabelsSource: labelsSource,
		Preprocessing: preprocessingFrom(model.Preprocessing),
	}
	if abs, err := filepath.Abs(path); err == nil {
		m.Source = abs
	}
	if p, err := probeModel(data); err == nil {
		m.License = p.meta.License
	}
	return s.Put(m, data)
}

// Remove deletes a model and the weights that it was built from.
func (s *Store) Remove(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing model %s: %w in %s", name, ErrNotInstalled, s.dir)
	}
	root, err := s.open(true)
	if err != nil {
		return err
	}
	defer root.Close()
	files := []string{name + manifestSuffix, name + nextSuffix, name + modelSuffix} // the manifest first: then it isn't seen any more
	if e, ok := Lookup(name); ok && !e.Embedded() {
		for _, f := range []string{e.Weights.File, e.Weights.Package.Wheel} {
			if f != "" {
				f = filepath.Join(weightsDir, f)
				files = append(files, f, f+download.PartSuffix, f+download.PartSuffix+".json")
			}
		}
	}
	removed := 0
	for _, f := range files {
		switch err := root.Remove(f); {
		case err == nil:
			removed++
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("removing model %s: %w", name, err)
		}
	}
	if removed == 0 {
		return fmt.Errorf("removing model %s: %w in %s", name, ErrNotInstalled, s.dir)
	}
	return syncRoot(root)
}

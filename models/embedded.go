package models

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/glimpsed/glimpsed/vision"
)

// The pattern always matches the model's description, and the model itself once
// it has been trained and put beside it.
//
//go:embed resnet18-camera-health*
var embeddedFiles embed.FS

// ErrNoEmbedded says that the binary was built without the embedded model.
var ErrNoEmbedded = errors.New("this binary carries no embedded model: it was built from sources without models/" + CameraHealth + ".tflite")

var embeddedModel = sync.OnceValues(func() (vision.Model, error) { return readEmbedded(embeddedFiles) })

// Embedded returns the model that is part of the binary, ErrNoEmbedded if there is none.
func Embedded() (vision.Model, error) { return embeddedModel() }

func readEmbedded(files fs.FS) (vision.Model, error) {
	data, err := fs.ReadFile(files, CameraHealth+modelSuffix)
	if err != nil {
		return vision.Model{}, ErrNoEmbedded
	}
	probe, err := probeModel(data)
	if err != nil {
		return vision.Model{}, fmt.Errorf("embedded model %s: %w", CameraHealth, err)
	}
	entry, _ := Lookup(CameraHealth)
	m := vision.Model{
		Name: CameraHealth, Data: data, SHA256: hashOf(data), Labels: entry.Labels(),
		Logits: probe.logits, Preprocessing: entry.Preprocessing,
	}
	// A manifest beside it, as the store keeps them, knows better than the catalogue.
	if text, err := fs.ReadFile(files, CameraHealth+manifestSuffix); err == nil {
		var own Manifest
		if err := json.Unmarshal(text, &own); err != nil {
			return vision.Model{}, fmt.Errorf("embedded manifest %s: %w", CameraHealth, err)
		}
		if own.SHA256 != m.SHA256 {
			return vision.Model{}, fmt.Errorf("embedded model %s has SHA-256 %s, its manifest says %s", CameraHealth, m.SHA256, own.SHA256)
		}
		m.Labels, m.Logits, m.Preprocessing = own.Labels, own.Logits, own.Preprocessing.vision()
	}
	if err := checkLabels(m.Labels, probe.outputs); err != nil {
		return vision.Model{}, fmt.Errorf("embedded model %s: %w", CameraHealth, err)
	}
	return m, nil
}

// EmbeddedCard is the description of the embedded model, Markdown.
func EmbeddedCard() string {
	text, err := fs.ReadFile(embeddedFiles, CameraHealth+".md")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

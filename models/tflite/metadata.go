package tflite

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Metadata is what a classifier's file says of itself in TensorFlow Lite's
// standard metadata.
type Metadata struct {
	Name, Description, Version, Author, License string
	// Mean and Std normalise a picture's values of 0..255 for a float input, as
	// (value − Mean) / Std, one number for all channels or one for each. None if
	// the file doesn't say.
	Mean, Std []float32
	// Labels name the outputs by index; none if the file carries no label file.
	Labels []string
}

const (
	metadataName       = "TFLITE_METADATA"
	metadataIdentifier = "M001"
	labelsName         = "labels.txt"
	// maxLabels bounds the label file in bytes; ImageNet-21k's has 0.7 MB.
	maxLabels = 4 << 20
)

// The numbers of metadata_schema.fbs.
const (
	axisLabels           = 2 // AssociatedFileType.TENSOR_AXIS_LABELS
	valueLabels          = 3 // AssociatedFileType.TENSOR_VALUE_LABELS
	normalizationOptions = 1 // ProcessUnitOptions.NormalizationOptions
	imageProperties      = 2 // ContentProperties.ImageProperties
	colorSpaceRGB        = 1
)

// MarshalWith encodes the model with its description, the label file appended as
// a zip archive the way TensorFlow Lite's tools do.
func (m *Model) MarshalWith(meta Metadata) ([]byte, error) {
	if len(m.Inputs) != 1 || len(m.Outputs) != 1 {
		return nil, fmt.Errorf("writing metadata: a classifier has one input and one output, not %d and %d", len(m.Inputs), len(m.Outputs))
	}
	for _, l := range meta.Labels {
		if l == "" || strings.ContainsAny(l, "\n\r") {
			return nil, fmt.Errorf("writing metadata: label %q is not one line", l)
		}
	}
	own := *m
	own.Metadata = append(slices.Clone(m.Metadata), NamedBuffer{metadataName, encodeMetadata(meta)})
	b, err := own.Marshal()
	if err != nil || len(meta.Labels) == 0 {
		return b, err
	}
	out := bytes.NewBuffer(b)
	z := zip.NewWriter(out)
	z.SetOffset(int64(len(b)))
	// Stored, so that readers may map it; no time stamp, so that a build gives
	// the same bytes every time.
	w, err := z.CreateHeader(&zip.FileHeader{Name: labelsName, Method: zip.Store})
	if err == nil {
		_, err = io.WriteString(w, strings.Join(meta.Labels, "\n")+"\n")
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("appending labels: %w", err)
	}
	return out.Bytes(), nil
}

func encodeMetadata(meta Metadata) []byte {
	w := newWriter(1 << 12)
	text := func(s string) offset {
		if s == "" {
			return 0
		}
		return w.CreateString(s)
	}
	inputs := w.offsets([]offset{w.inputMetadata(meta)})
	outputs := w.offsets([]offset{w.outputMetadata(meta)})
	w.StartObject(5)
	w.PrependUOffsetTSlot(2, inputs, 0)
	w.PrependUOffsetTSlot(3, outputs, 0)
	subgraphs := w.offsets([]offset{w.EndObject()})
	name, description, version := text(meta.Name), text(meta.Description), text(meta.Version)
	author, license, parser := text(meta.Author), text(meta.License), text("1.0.0")
	w.StartObject(8)
	w.PrependUOffsetTSlot(0, name, 0)
	w.PrependUOffsetTSlot(1, description, 0)
	w.PrependUOffsetTSlot(2, version, 0)
	w.PrependUOffsetTSlot(3, subgraphs, 0)
	w.PrependUOffsetTSlot(4, author, 0)
	w.PrependUOffsetTSlot(5, license, 0)
	w.PrependUOffsetTSlot(7, parser, 0)
	w.FinishWithFileIdentifier(w.EndObject(), []byte(metadataIdentifier))
	return w.FinishedBytes()
}

// inputMetadata describes an RGB picture and how to normalise it.
func (w writer) inputMetadata(meta Metadata) offset {
	name, description := w.CreateString("image"), w.CreateString("Picture to be classified, RGB.")
	w.StartObject(2)
	w.PrependInt8Slot(0, colorSpaceRGB, 0)
	properties := w.EndObject()
	w.StartObject(3)
	w.PrependByteSlot(0, imageProperties, 0)
	w.PrependUOffsetTSlot(1, properties, 0)
	content := w.EndObject()
	var units offset
	if len(meta.Mean) > 0 {
		mean, std := w.floats(meta.Mean), w.floats(meta.Std)
		w.StartObject(2)
		w.PrependUOffsetTSlot(0, mean, 0)
		w.PrependUOffsetTSlot(1, std, 0)
		normalization := w.EndObject()
		w.StartObject(2)
		w.PrependByteSlot(0, normalizationOptions, 0)
		w.PrependUOffsetTSlot(1, normalization, 0)
		units = w.offsets([]offset{w.EndObject()})
	}
	w.StartObject(7)
	w.PrependUOffsetTSlot(0, name, 0)
	w.PrependUOffsetTSlot(1, description, 0)
	w.PrependUOffsetTSlot(3, content, 0)
	w.PrependUOffsetTSlot(4, units, 0)
	return w.EndObject()
}

func (w writer) outputMetadata(meta Metadata) offset {
	name, description := w.CreateString("scores"), w.CreateString("Score of each class.")
	var files offset
	if len(meta.Labels) > 0 {
		file, what := w.CreateString(labelsName), w.CreateString("Names of the classes, one a line.")
		w.StartObject(5)
		w.PrependUOffsetTSlot(0, file, 0)
		w.PrependUOffsetTSlot(1, what, 0)
		w.PrependInt8Slot(2, axisLabels, 0)
		files = w.offsets([]offset{w.EndObject()})
	}
	w.StartObject(7)
	w.PrependUOffsetTSlot(0, name, 0)
	w.PrependUOffsetTSlot(1, description, 0)
	w.PrependUOffsetTSlot(6, files, 0)
	return w.EndObject()
}

// ErrNoMetadata says that a model carries no standard metadata, which is common
// and no fault.
var ErrNoMetadata = errors.New("the model has no metadata")

// ReadMetadata reads the description of the model in file, the whole .tflite
// file as read by Unmarshal. It returns ErrNoMetadata if there is none.
func (m *Model) ReadMetadata(file []byte) (Metadata, error) {
	i := slices.IndexFunc(m.Metadata, func(b NamedBuffer) bool { return b.Name == metadataName })
	if i < 0 {
		return Metadata{}, ErrNoMetadata
	}
	f := newFlat(m.Metadata[i].Data)
	root := f.root(metadataIdentifier)
	out := Metadata{
		Name: root.text(0), Description: root.text(1), Version: root.text(2), Author: root.text(4), License: root.text(5),
	}
	var labels string
	if subgraphs := root.tables(3); len(subgraphs) > 0 {
		if inputs := subgraphs[0].tables(2); len(inputs) > 0 {
			out.Mean, out.Std = readNormalization(inputs[0])
		}
		for _, o := range subgraphs[0].tables(3) {
			for _, file := range o.tables(6) {
				if kind := file.int8(2); labels == "" && (kind == axisLabels || kind == valueLabels) {
					labels = file.text(0)
				}
			}
		}
	}
	if f.err != nil {
		return Metadata{}, fmt.Errorf("reading metadata: %w", f.err)
	}
	if labels == "" {
		return out, nil
	}
	text, err := appendedFile(file, labels)
	if err != nil {
		return Metadata{}, fmt.Errorf("reading label file %.80q: %w", labels, err)
	}
	out.Labels = splitLabels(text)
	return out, nil
}

func readNormalization(input table) (mean, std []float32) {
	for _, unit := range input.tables(4) {
		if unit.int8(0) != normalizationOptions {
			continue
		}
		if o, ok := unit.table(1); ok {
			mean, std = o.floats(0), o.floats(1)
		}
	}
	for _, s := range std {
		if s == 0 {
			return nil, nil
		}
	}
	if len(mean) != len(std) {
		return nil, nil
	}
	return mean, std
}

// appendedFile reads an entry of the zip archive behind the FlatBuffer.
func appendedFile(file []byte, name string) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return "", err
	}
	for _, e := range z.File {
		if e.Name != name {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return "", err
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, maxLabels+1))
		if err != nil {
			return "", err
		}
		if len(b) > maxLabels {
			return "", fmt.Errorf("larger than %d bytes", maxLabels)
		}
		return string(b), nil
	}
	return "", errors.New("not in the file")
}

func splitLabels(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

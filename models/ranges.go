package models

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/glimpsed/glimpsed/models/quantize"
)

// Activation ranges that were calibrated beforehand with pictures, NAME.json by the
// model's name, each for one weights file: with them a model is pulled at calibrated
// quality with no pictures at hand. "glimpsed model pull --calibrate --save-ranges" makes them.
//
//go:embed ranges
var rangesFiles embed.FS

// shippedRanges returns the ranges that belong to weights, nil if there are none.
func shippedRanges(name, weightsSHA256 string) (*quantize.ActivationRanges, error) {
	text, err := rangesFiles.ReadFile("ranges/" + name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := quantize.Load(text)
	if err != nil {
		return nil, fmt.Errorf("shipped ranges of %s: %w", name, err)
	}
	if r.WeightsSHA256 != weightsSHA256 {
		return nil, nil
	}
	return &r, nil
}

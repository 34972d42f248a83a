package models

import (
	"strings"
	"testing"
)

func TestShippedRanges(t *testing.T) {
	files, err := rangesFiles.ReadDir("ranges")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok {
			continue
		}
		e, known := Lookup(name)
		r, err := shippedRanges(name, e.Weights.SHA256)
		if err != nil || !known || r == nil || r.Architecture != e.Architecture || r.Pictures < 50 || len(r.Tensors) < 20 {
			t.Errorf("%s: %+v, %v", f.Name(), r, err)
		}
		if r, err := shippedRanges(name, strings.Repeat("0", 64)); r != nil || err != nil {
			t.Errorf("%s is used for other weights: %v", f.Name(), err)
		}
	}
	if r, err := shippedRanges("resnet50", "00"); r != nil || err != nil {
		t.Errorf("%v, %v", r, err)
	}
}

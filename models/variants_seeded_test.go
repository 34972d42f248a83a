//go:build !race

package models

import (
	"path/filepath"
	"testing"
)

// Quantising a whole network takes too long under the race detector.
func TestVariantsSeeded(t *testing.T) {
	n, err := Variants(t.Context(), "shufflenet_v2_x1_0", NewStore(filepath.Join(t.TempDir(), "models")), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if n.Float == nil || n.Int8 == nil || n.Float.Origin != Seeded || n.Int8.Origin != Seeded {
		t.Fatalf("%+v", n)
	}
	if 10*n.Int8.Bytes > 3*n.Float.Bytes {
		t.Errorf("INT8 has %d bytes, FP32 %d", n.Int8.Bytes, n.Float.Bytes)
	}
}

package models

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glimpsed/glimpsed/models/tflite"
)

// A model that doesn't fit leaves the old one as it was, and nothing of itself.
func TestPutOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=65536"); err != nil {
		t.Skipf("needs root to mount a small disk: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	store := NewStore(dir)
	old, err := store.Put(Manifest{Name: "a", Labels: fourLabels}, tiny{}.model(t))
	if err != nil {
		t.Fatal(err)
	}
	labels := make([]string, 8000) // 96 kB of weights
	_, err = store.Put(Manifest{Name: "a", Labels: labels}, tiny{in: tflite.Int8, outputs: len(labels)}.model(t))
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	if m, err := store.Load("a"); err != nil || m.SHA256 != old.SHA256 {
		t.Errorf("%+v, %v", m, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
}

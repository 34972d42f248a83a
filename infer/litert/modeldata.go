//go:build cgo && linux

package litert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/glimpsed/glimpsed/vision"
)

// alignment is what TensorFlow Lite files are written for: their buffers begin at
// multiples of 16 bytes, counted from the file's start.
const alignment = 16

// modelData holds a model's bytes where native code can go on reading them until
// release is called.
type modelData struct {
	bytes   []byte
	release func()
}

// loadModel brings a model's bytes into memory: mapped from its file, or pinned
// where they are, or, if they aren't aligned, copied.
func loadModel(model vision.Model) (modelData, error) {
	if model.Data == nil {
		return mapFile(model.Path)
	}
	data := model.Data
	if len(data) > 0 && uintptr(unsafe.Pointer(&data[0]))%alignment == 0 {
		var pinner runtime.Pinner
		pinner.Pin(&data[0])
		if err := checkHeader(data); err != nil {
			pinner.Unpin()
			return modelData{}, err
		}
		return modelData{data, pinner.Unpin}, nil
	}
	if err := checkHeader(data); err != nil {
		return modelData{}, err
	}
	copied, err := syscall.Mmap(-1, 0, len(data), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return modelData{}, fmt.Errorf("allocating %d bytes: %w", len(data), err)
	}
	copy(copied, data)
	return modelData{copied, func() { _ = syscall.Munmap(copied) }}, nil
}

func mapFile(path string) (modelData, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return modelData{}, fmt.Errorf("%w: correct its path or fetch the model", err)
	case errors.Is(err, fs.ErrPermission):
		return modelData{}, fmt.Errorf("%w: let the user that glimpsed runs as read it", err)
	case err != nil:
		return modelData{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return modelData{}, err
	}
	switch size := info.Size(); {
	case !info.Mode().IsRegular():
		return modelData{}, errors.New("it is not a file: give the path of a .tflite file")
	case size == 0:
		return modelData{}, errNotTFLite("is empty")
	case int64(int(size)) != size:
		return modelData{}, fmt.Errorf("too large (%d bytes)", size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return modelData{}, fmt.Errorf("mapping it: %w", err)
	}
	if err := checkHeader(data); err != nil {
		_ = syscall.Munmap(data)
		return modelData{}, err
	}
	return modelData{data, func() { _ = syscall.Munmap(data) }}, nil
}

func errNotTFLite(what string) error {
	return fmt.Errorf("it %s, so it is no TensorFlow Lite model: get the .tflite file again", what)
}

// checkHeader looks for the file identifier of TensorFlow Lite's schema 3, so that
// a web page or a Git LFS pointer saved under a model's name is called by its name.
func checkHeader(data []byte) error {
	switch {
	case len(data) == 0:
		return errNotTFLite("is empty")
	case len(data) < 8:
		return errNotTFLite(fmt.Sprintf("has only %d bytes", len(data)))
	case string(data[4:8]) != "TFL3":
		return errNotTFLite(fmt.Sprintf("begins with %q instead of the mark TFL3 at byte 4", data[:min(len(data), 16)]))
	}
	return nil
}

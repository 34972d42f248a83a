//go:build !(cgo && linux)

package litert

import (
	"fmt"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// Built says whether this binary can open LiteRT.
const Built = false

// FileName is the name of LiteRT's shared library.
const FileName = "libLiteRt.so"

// FindLibrary says that this binary cannot use the library.
func FindLibrary(string) (string, error) {
	return "", fmt.Errorf("opening the LiteRT library: %w: this binary was built without cgo or not for Linux; build it there with CGO_ENABLED=1 and a C compiler", infer.ErrUnavailable)
}

// Open says that this binary cannot run models with LiteRT.
func Open(vision.Model, infer.Options) (infer.Interpreter, error) {
	_, err := FindLibrary("")
	return nil, err
}

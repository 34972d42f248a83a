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

// Runner runs a float32 model with any number of outputs, where LiteRT is built in.
type Runner struct{}

// OpenRunner says that this binary cannot run models with LiteRT.
func OpenRunner([]byte, infer.Options) (*Runner, error) {
	_, err := FindLibrary("")
	return nil, err
}

// Run is never reached, since OpenRunner makes no Runner.
func (*Runner) Run([]float32) ([][]float32, error) { return nil, infer.ErrUnavailable }

// Close does nothing.
func (*Runner) Close() error { return nil }

//go:build !(cgo && linux)

package litert_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/vision"
)

func TestStubSaysWhatToDo(t *testing.T) {
	_, err := litert.Open(vision.Model{}, infer.Options{})
	_, runnerErr := litert.OpenRunner(nil, infer.Options{})
	for _, err := range []error{err, runnerErr} {
		if !errors.Is(err, infer.ErrUnavailable) || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
			t.Errorf("error %v", err)
		}
	}
}

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
	if !errors.Is(err, infer.ErrUnavailable) || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("error %v", err)
	}
}

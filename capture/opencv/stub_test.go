//go:build !gocv

package opencv

import (
	"errors"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/capture"
)

// A binary without OpenCV says so and how to get one.
func TestStub(t *testing.T) {
	cfg := capture.DefaultConfig()
	cfg.Source = "rtsp://admin:s3cret@cam/live"
	_, err := Opener(nil)(t.Context(), cfg)
	if !errors.Is(err, capture.ErrNotBuilt) || !strings.Contains(err.Error(), "-tags gocv") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error is %v", err)
	}
}

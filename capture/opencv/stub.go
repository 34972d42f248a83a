//go:build !gocv

package opencv

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/glimpsed/glimpsed/capture"
)

// Built says whether this binary has OpenCV.
const Built = false

// Opener returns an opener that says how to get a binary with OpenCV.
func Opener(*slog.Logger) capture.Opener {
	return func(_ context.Context, cfg capture.Config) (capture.Source, error) {
		return nil, fmt.Errorf("opening %s: OpenCV is %w: install libopencv-dev and build with "+
			"-tags gocv,gocv_specific_modules,gocv_videoio (make build does both)", capture.Redact(cfg.Source), capture.ErrNotBuilt)
	}
}

//go:build gocv

package opencv

import (
	"math"
	"slices"
	"strings"

	"gocv.io/x/gocv"
)

// promise is what a recording's header says of its length.
type promise struct {
	frames int     // 0: nothing
	fps    float64 // of it all, on the average
	// counted: the frames are a number in the header. Otherwise OpenCV makes them of duration and frame
	// rate, which is a guess where the time between frames varies.
	counted bool
}

// counting are the containers that hold the number of frames.
var counting = []string{".mp4", ".m4v", ".mov", ".3gp", ".avi"}

func promiseOf(vc *gocv.VideoCapture, path string) promise {
	frames, fps := vc.Get(gocv.VideoCaptureFrameCount), vc.Get(gocv.VideoCaptureFPS)
	if !(frames >= 1 && frames < math.MaxInt32 && fps > 0) {
		return promise{}
	}
	counted := slices.ContainsFunc(counting, func(end string) bool { return strings.HasSuffix(strings.ToLower(path), end) })
	return promise{int(frames), fps, counted}
}

// broken judges a recording that gave so many frames, the last known position being in ms. Up to
// a fiftieth may be missing: edit lists and encoders that skip make headers inexact. A second or
// a twentieth of the time may be: OpenCV doesn't know the position of the last pictures.
func (p promise) broken(given int, position float64) bool {
	if p.frames == 0 || given >= p.frames-max(2, p.frames/50) {
		return false
	}
	whole := float64(p.frames) / p.fps
	return p.counted || position/1000 < whole-max(1, whole/20)
}

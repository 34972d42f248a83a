//go:build gocv

package opencv

/*
#cgo pkg-config: opencv4
#cgo CXXFLAGS: -std=c++11
#include "native.h"
*/
import "C"

import (
	"os"
	"sync"
	"unsafe"

	"gocv.io/x/gocv"
)

// Built says whether this binary has OpenCV.
const Built = true

// grab is cv::VideoCapture::grab with its answer, which gocv's Grab throws away: after a grab
// that failed, Retrieve goes on returning the last picture. gocv's VideoCapture is one pointer to
// the C++ object, which a test makes sure of.
func grab(vc *gocv.VideoCapture) bool {
	return C.glimpsed_grab(*(*unsafe.Pointer)(unsafe.Pointer(vc))) == 1
}

// quiet keeps OpenCV and FFmpeg from writing to stderr by themselves: the same lines at
// every retry, with credentials in some of them. Their own variables bring the
// lines back: OPENCV_LOG_LEVEL, OPENCV_FFMPEG_LOGLEVEL, OPENCV_FFMPEG_DEBUG.
var quiet = sync.OnceFunc(func() {
	if os.Getenv("OPENCV_LOG_LEVEL") == "" {
		C.glimpsed_quiet()
	}
	if os.Getenv("OPENCV_FFMPEG_LOGLEVEL") == "" && os.Getenv("OPENCV_FFMPEG_DEBUG") == "" {
		os.Setenv("OPENCV_FFMPEG_LOGLEVEL", "-8") // AV_LOG_QUIET
	}
})

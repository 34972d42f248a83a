//go:build !gocv

package opencv

import (
	"errors"

	"github.com/glimpsed/glimpsed/imaging"
)

// Available says whether this binary was built with OpenCV.
const Available = false

// Decoder decodes pictures with OpenCV where that is built in.
type Decoder struct{ imaging.GoDecoder }

// NewDecoder returns an error: this binary was built without OpenCV.
func NewDecoder() (*Decoder, error) {
	return nil, errors.New("decoding with OpenCV is not built in; install libopencv-dev and build with" +
		" -tags gocv,gocv_specific_modules,gocv_videoio (make build does), or use the pure Go decoder")
}

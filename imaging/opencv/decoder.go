//go:build gocv

package opencv

import (
	"errors"
	"fmt"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// Available says whether this binary was built with OpenCV.
const Available = true

// ignoreOrientation is cv::IMREAD_IGNORE_ORIENTATION: imaging applies EXIF orientation itself, once and for
// all formats.
const ignoreOrientation = 128

// reduced are the flags that decode to BGR at 1/n, by n.
var reduced = map[int]gocv.IMReadFlag{
	1: gocv.IMReadColor | ignoreOrientation,
	2: gocv.IMReadReducedColor2 | ignoreOrientation,
	4: gocv.IMReadReducedColor4 | ignoreOrientation,
	8: gocv.IMReadReducedColor8 | ignoreOrientation,
}

// Decoder decodes JPEG and WebP with OpenCV and hands the rest to imaging.GoDecoder. PNG is among
// the rest because libpng writes its warnings, such as one for every picture with an old colour profile, to
// standard error, past the daemon's log. OpenCV's own picture is reused from call to call.
type Decoder struct {
	mat   gocv.Mat
	other imaging.GoDecoder
}

var _ imaging.Decoder = (*Decoder)(nil)

// NewDecoder returns a decoder, which holds native memory until Close.
func NewDecoder() (*Decoder, error) {
	return &Decoder{mat: gocv.NewMat()}, nil
}

// Decode implements imaging.Decoder.
func (d *Decoder) Decode(data []byte, opts imaging.Options) (vision.Frame, error) {
	info, err := imaging.Probe(data, opts.Limits)
	if err != nil {
		return vision.Frame{}, err
	}
	switch info.Format {
	case "jpeg", "webp":
	default:
		return d.other.Decode(data, opts)
	}
	scale := 1
	if info.Format == "jpeg" && opts.MinSide > 0 {
		for scale < 8 && min(info.Width, info.Height)/(2*scale) >= opts.MinSide {
			scale *= 2
		}
	}
	if err := gocv.IMDecodeIntoMat(data, reduced[scale], &d.mat); err != nil {
		return vision.Frame{}, fmt.Errorf("%s picture %w: %w", info.Format, imaging.ErrCorrupt, err)
	}
	if d.mat.Empty() {
		// OpenCV says no more than that; the Go decoder either can or knows why not.
		return d.other.Decode(data, opts)
	}
	if d.mat.Type() != gocv.MatTypeCV8UC3 {
		return vision.Frame{}, fmt.Errorf("%s picture %w: OpenCV delivered type %v", info.Format, imaging.ErrUnsupported, d.mat.Type())
	}
	pixels, err := d.mat.DataPtrUint8()
	if err != nil {
		return vision.Frame{}, fmt.Errorf("decoding a %s picture: %w", info.Format, err)
	}
	native := vision.Frame{Format: vision.BGR, Width: d.mat.Cols(), Height: d.mat.Rows(), Stride: 3 * d.mat.Cols(), Data: pixels}
	f, err := info.Orientation.Apply(opts.Buffer, native)
	if err != nil {
		return vision.Frame{}, errors.Join(imaging.ErrCorrupt, err)
	}
	return f, nil
}

// Close frees the native memory; the decoder can't be used afterwards.
func (d *Decoder) Close() error { return d.mat.Close() }

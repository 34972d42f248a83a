package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/glimpsed/glimpsed/vision"
)

// Options say how a picture is decoded.
type Options struct {
	Limits Limits
	// MinSide allows the decoder to deliver a JPEG at 1/2, 1/4 or 1/8 of its size as long as its shorter
	// side keeps at least this many pixels, which is much faster; 0: full size. Decoders
	// that can't do that deliver the full size.
	MinSide int
	// Buffer becomes the frame's Data if its capacity suffices.
	Buffer []byte
}

// Decoder turns compressed pictures into upright BGR frames: EXIF orientation is applied, alpha
// dropped (as Pillow's convert("RGB") does), grey, palette, CMYK and 16 bits a channel
// become 8-bit BGR; of an animation it is the first picture. Errors wrap those of
// Probe. A decoder isn't safe for concurrent use. Only Format, Width,
// Height, Stride and Data of the frame are set.
type Decoder interface {
	Decode(data []byte, opts Options) (vision.Frame, error)
	Close() error
}

// GoDecoder is the Decoder in pure Go. It reuses opts.Buffer and its scratch buffer for BGR, but the standard
// library's decoders allocate the picture that they decode to. The zero value is ready.
type GoDecoder struct {
	scratch []byte
}

// Decode implements Decoder.
func (d *GoDecoder) Decode(data []byte, opts Options) (vision.Frame, error) {
	info, err := Probe(data, opts.Limits)
	if err != nil {
		return vision.Frame{}, err
	}
	img, err := decode(info.Format, data)
	if err != nil {
		return vision.Frame{}, fmt.Errorf("%s %w", info.Format, err)
	}
	buf := opts.Buffer
	if info.Orientation != Normal {
		buf = d.scratch
	}
	f := NewFrame(buf, info.Width, info.Height)
	if b := img.Bounds(); !b.Eq(image.Rect(0, 0, info.Width, info.Height)) {
		clear(f.Data) // the first picture of a GIF may cover a part of its screen
	}
	fromImage(f, img, info.Format == "webp")
	if info.Orientation == Normal {
		return f, nil
	}
	d.scratch = f.Data
	return info.Orientation.Apply(opts.Buffer, f)
}

// Close implements Decoder; it has nothing to free.
func (d *GoDecoder) Close() error { return nil }

// decode hands data to the decoder of its format.
func decode(format string, data []byte) (img image.Image, err error) {
	// The decoders outside of the standard library are less hardened.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("picture %w: %v", ErrCorrupt, p)
		}
	}()
	decoders := map[string]func(io.Reader) (image.Image, error){
		"jpeg": jpeg.Decode, "png": png.Decode, "gif": gif.Decode,
		"bmp": bmp.Decode, "tiff": tiff.Decode, "webp": webp.Decode,
	}
	if img, err = decoders[format](bytes.NewReader(data)); err != nil {
		return nil, decodeError(err)
	}
	return img, nil
}

// decodeError puts what a decoder says under one of this package's errors.
func decodeError(err error) error {
	var (
		jpegKind jpeg.UnsupportedError
		pngKind  png.UnsupportedError
		tiffKind tiff.UnsupportedError
	)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("picture %w", ErrTruncated)
	case errors.As(err, &jpegKind), errors.As(err, &pngKind), errors.As(err, &tiffKind), errors.Is(err, bmp.ErrUnsupported):
		return fmt.Errorf("picture %w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("picture %w: %w", ErrCorrupt, err)
}

// FromImage converts img to a BGR frame over buf, which is replaced where it is too small.
func FromImage(buf []byte, img image.Image) vision.Frame {
	b := img.Bounds()
	f := NewFrame(buf, b.Dx(), b.Dy())
	fromImage(f, shifted{img}, false)
	return f
}

// shifted moves an image's upper left corner to the origin.
type shifted struct{ image.Image }

func (s shifted) Bounds() image.Rectangle { return image.Rectangle{Max: s.Image.Bounds().Size()} }

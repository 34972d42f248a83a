package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/glimpsed/glimpsed/vision"
)

// Encoder compresses frames to JPEG with 4:2:0 chroma. It keeps its working memory, and isn't safe for concurrent
// use. The zero value is ready.
type Encoder struct {
	planes  image.YCbCr
	out     bytes.Buffer
	resizer Resizer
	small   []byte
}

// Encode returns f as JPEG of quality 1..100 (0: 85). The bytes are valid until the encoder's next call.
func (e *Encoder) Encode(f vision.Frame, quality int) ([]byte, error) {
	if err := Check(f); err != nil {
		return nil, fmt.Errorf("encoding a JPEG: %w", err)
	}
	if quality == 0 {
		quality = 85
	}
	if quality < 1 || quality > 100 {
		return nil, fmt.Errorf("encoding a JPEG: quality must be 1..100, got %d", quality)
	}
	if f.Width > 65535 || f.Height > 65535 {
		return nil, fmt.Errorf("encoding a JPEG: %w: %dx%d, the format's limit is 65535", ErrTooLarge, f.Width, f.Height)
	}
	e.toPlanes(f)
	e.out.Reset()
	if err := jpeg.Encode(&e.out, &e.planes, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encoding a JPEG: %w", err)
	}
	return e.out.Bytes(), nil
}

// Snapshot is Encode of f reduced so that its longer side has at most maxSide pixels; it is
// never enlarged, and 0 leaves it as it is.
func (e *Encoder) Snapshot(f vision.Frame, maxSide, quality int) ([]byte, error) {
	if err := Check(f); err != nil {
		return nil, fmt.Errorf("taking a snapshot: %w", err)
	}
	longer := max(f.Width, f.Height)
	if maxSide <= 0 || longer <= maxSide {
		return e.Encode(f, quality)
	}
	w := max((f.Width*maxSide+longer/2)/longer, 1)
	h := max((f.Height*maxSide+longer/2)/longer, 1)
	g, err := Fit(f.Width, f.Height, vision.Preprocessing{Crop: vision.CropStretch, Interpolation: vision.Bilinear}, w, h)
	if err != nil {
		return nil, fmt.Errorf("taking a snapshot: %w", err)
	}
	small := NewFrame(e.small, w, h)
	e.small = small.Data
	if err := e.resizer.Resize(small.Data, small.Stride, f, g); err != nil {
		return nil, fmt.Errorf("taking a snapshot: %w", err)
	}
	return e.Encode(small, quality)
}

// toPlanes converts f to luma and chroma by JFIF's formulas (ITU-R BT.601, full range), chroma being that of the mean
// of 2x2 pixels.
func (e *Encoder) toPlanes(f vision.Frame) {
	cw, ch := (f.Width+1)/2, (f.Height+1)/2
	p := &e.planes
	p.Y = grow(p.Y, f.Width*f.Height)
	p.Cb, p.Cr = grow(p.Cb, cw*ch), grow(p.Cr, cw*ch)
	p.YStride, p.CStride = f.Width, cw
	p.SubsampleRatio = image.YCbCrSubsampleRatio420
	p.Rect = image.Rect(0, 0, f.Width, f.Height)
	for y := range f.Height {
		row := Row(f, y)
		line := p.Y[y*f.Width:][:f.Width]
		for x := range line {
			q := (*[3]byte)(row[3*x:])
			line[x] = byte((7471*int32(q[0]) + 38470*int32(q[1]) + 19595*int32(q[2]) + 1<<15) >> 16)
		}
	}
	for y := range ch {
		top, bottom := Row(f, 2*y), Row(f, min(2*y+1, f.Height-1))
		cb, cr := p.Cb[y*cw:][:cw], p.Cr[y*cw:][:cw]
		for x := range cb {
			i, j := 6*x, min(6*x+3, 3*f.Width-3)
			b := int32(top[i]) + int32(top[j]) + int32(bottom[i]) + int32(bottom[j])
			g := int32(top[i+1]) + int32(top[j+1]) + int32(bottom[i+1]) + int32(bottom[j+1])
			r := int32(top[i+2]) + int32(top[j+2]) + int32(bottom[i+2]) + int32(bottom[j+2])
			const bias = 128<<18 + 1<<17
			cb[x] = byte8((32768*b - 21709*g - 11059*r + bias) >> 18)
			cr[x] = byte8((-5329*b - 27439*g + 32768*r + bias) >> 18)
		}
	}
}

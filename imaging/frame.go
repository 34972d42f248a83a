// Package imaging turns compressed pictures into frames and frames into what the
// rest of the daemon needs: upright, masked, cut, resized, compressed. It is pure
// Go; imaging/opencv holds the decoder that needs OpenCV. A picture is a
// vision.Frame in BGR everywhere.
package imaging

import (
	"errors"
	"fmt"
	"math"

	"github.com/glimpsed/glimpsed/vision"
)

// ErrFrame is wrapped by the errors of functions that were handed a frame which is
// not BGR or whose size, stride and data don't fit together.
var ErrFrame = errors.New("not a usable BGR frame")

// Rect is a rectangle in fractions of a picture's width and height; the whole is
// {0, 0, 1, 1}.
type Rect struct{ X, Y, Width, Height float64 }

// Point is a place in a picture as fractions of its width and height, 0..1.
type Point struct{ X, Y float64 }

// NewFrame lays a BGR frame of width x height pixels over buf, which is replaced by
// a new one where its capacity is too small. Its pixels are whatever buf held.
func NewFrame(buf []byte, width, height int) vision.Frame {
	return vision.Frame{
		Format: vision.BGR,
		Width:  width,
		Height: height,
		Stride: 3 * width,
		Data:   grow(buf, 3*width*height),
	}
}

// Check says whether f is a BGR frame whose data holds all of its pixels.
func Check(f vision.Frame) error {
	switch {
	case f.Format != vision.BGR:
		return fmt.Errorf("%w: its format is %v", ErrFrame, f.Format)
	case f.Width <= 0 || f.Height <= 0:
		return fmt.Errorf("%w: its size is %dx%d", ErrFrame, f.Width, f.Height)
	case f.Stride < 3*f.Width || len(f.Data) < (f.Height-1)*f.Stride+3*f.Width:
		return fmt.Errorf("%w: %d bytes with rows %d apart can't hold %dx%d", ErrFrame, len(f.Data), f.Stride, f.Width, f.Height)
	}
	return nil
}

// Row returns the bytes of row y, 3*Width of them.
func Row(f vision.Frame, y int) []byte {
	return f.Data[y*f.Stride:][:3*f.Width]
}

// View returns the part r of f without copying: the view shares f's data, sequence
// number, times, source and owner, so either of them is released, not both. The
// edges are rounded to whole pixels; what lies outside of the picture is cut off and
// at least one pixel is left.
func View(f vision.Frame, r Rect) (vision.Frame, error) {
	if err := Check(f); err != nil {
		return vision.Frame{}, fmt.Errorf("cutting a part out: %w", err)
	}
	x0, x1 := cut(r.X, r.Width, f.Width)
	y0, y1 := cut(r.Y, r.Height, f.Height)
	f.Data = f.Data[y0*f.Stride+3*x0 : (y1-1)*f.Stride+3*x1]
	f.Width, f.Height = x1-x0, y1-y0
	return f, nil
}

// cut returns the pixels from..to of n that the fractions start, start+length cover.
func cut(start, length float64, n int) (from, to int) {
	size := float64(n)
	from = int(math.Round(clamp(start, 1) * size))
	to = int(math.Round(clamp(start+length, 1) * size))
	from = min(from, n-1)
	return from, max(to, from+1)
}

// clamp brings v into 0..hi; NaN becomes 0.
func clamp(v, hi float64) float64 {
	if v > 0 {
		return min(v, hi)
	}
	return 0
}

// grow returns buf with length n, reallocated where its capacity is too small.
func grow[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

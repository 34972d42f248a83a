package imaging

import (
	"fmt"

	"github.com/glimpsed/glimpsed/vision"
)

// Orientation is how a stored picture has to be turned to stand upright, numbered as
// in EXIF's tag 0x0112.
type Orientation uint16

// The orientations, by their EXIF numbers.
const (
	Normal Orientation = 1 + iota
	FlipHorizontal
	Rotate180
	FlipVertical
	// Transpose mirrors at the diagonal from the upper left, Transverse at the other one.
	Transpose
	// Rotate90 turns clockwise.
	Rotate90
	Transverse
	// Rotate270 turns clockwise, that is 90 degrees counter-clockwise.
	Rotate270
)

// ParseTransform returns the orientation that rotates by 0, 90, 180 or 270 degrees clockwise and then
// flips: "", "horizontal" (left and right change places), "vertical" or "both".
func ParseTransform(rotate int, flip string) (Orientation, error) {
	rotations := map[int]Orientation{0: Normal, 90: Rotate90, 180: Rotate180, 270: Rotate270}
	flips := map[string]Orientation{"": Normal, "horizontal": FlipHorizontal, "vertical": FlipVertical, "both": Rotate180}
	r, ok := rotations[rotate]
	if !ok {
		return Normal, fmt.Errorf("rotation must be 0, 90, 180 or 270 degrees, got %d", rotate)
	}
	f, ok := flips[flip]
	if !ok {
		return Normal, fmt.Errorf(`flip must be empty, "horizontal", "vertical" or "both", got %q`, flip)
	}
	return r.Then(f), nil
}

// Then returns the orientation that applies o first and next after it.
func (o Orientation) Then(next Orientation) Orientation {
	s1, x1, y1 := o.parts()
	s2, x2, y2 := next.parts()
	if s2 {
		x1, y1 = y1, x1
	}
	return compose(s1 != s2, x1 != x2, y1 != y2)
}

func (o Orientation) valid() bool { return o >= Normal && o <= Rotate270 }

// swaps says whether width and height change places.
func (o Orientation) swaps() bool { return o >= Transpose && o <= Rotate270 }

// parts takes o apart: first rows and columns change places, then the columns run backwards, then the rows.
func (o Orientation) parts() (swap, flipX, flipY bool) {
	switch o {
	case FlipHorizontal:
		return false, true, false
	case Rotate180:
		return false, true, true
	case FlipVertical:
		return false, false, true
	case Transpose:
		return true, false, false
	case Rotate90:
		return true, true, false
	case Transverse:
		return true, true, true
	case Rotate270:
		return true, false, true
	}
	return false, false, false
}

func compose(swap, flipX, flipY bool) Orientation {
	for o := Normal; o <= Rotate270; o++ {
		if s, x, y := o.parts(); s == swap && x == flipX && y == flipY {
			return o
		}
	}
	return Normal
}

// Apply turns src by o into buf, which is replaced where it is too small and must not overlap
// src's data. The result keeps src's sequence number, times and source name, not its owner.
func (o Orientation) Apply(buf []byte, src vision.Frame) (vision.Frame, error) {
	if err := Check(src); err != nil {
		return vision.Frame{}, fmt.Errorf("turning a picture: %w", err)
	}
	swap, flipX, flipY := o.parts()
	w, h := src.Width, src.Height
	if swap {
		w, h = h, w
	}
	dst := NewFrame(buf, w, h)
	dst.Seq, dst.CapturedAt, dst.Source = src.Seq, src.CapturedAt, src.Source
	dst.Capture, dst.Decode = src.Capture, src.Decode

	if !swap {
		for y := range h {
			to, from := Row(dst, y), y
			if flipY {
				from = h - 1 - y
			}
			if flipX {
				reverse(to, Row(src, from))
			} else {
				copy(to, Row(src, from))
			}
		}
		return dst, nil
	}
	// Pixel (x, y) of the result is the source's (y, x), counted from the other end where flipped. In
	// squares both sides stay in the cache.
	const side = 32
	start, stepX, stepY := 0, src.Stride, 3 // in the source, for a step in the result
	if flipX {
		start, stepX = start+src.Stride*(w-1), -src.Stride
	}
	if flipY {
		start, stepY = start+3*(h-1), -3
	}
	for y0 := 0; y0 < h; y0 += side {
		for x0 := 0; x0 < w; x0 += side {
			x1 := min(x0+side, w)
			for y := y0; y < min(y0+side, h); y++ {
				pick(Row(dst, y)[3*x0:3*x1], src.Data, start+y*stepY+x0*stepX, stepX)
			}
		}
	}
	return dst, nil
}

// pick fills to with the pixels of from that begin at at and are step bytes apart. Of four bytes copied at once
// the next pixel overwrites the fourth.
func pick(to, from []byte, at, step int) {
	for ; len(to) > 3 && at+4 <= len(from); to, at = to[3:], at+step {
		le.PutUint32(to, le.Uint32(from[at:at+4]))
	}
	for ; len(to) >= 3; to, at = to[3:], at+step {
		copy(to[:3], from[at:])
	}
}

// reverse copies the pixels of a row from its end to its beginning.
func reverse(to, from []byte) {
	for n := len(from); n >= 3 && len(to) >= 3; n -= 3 {
		p := from[n-3 : n : n]
		to[0], to[1], to[2] = p[0], p[1], p[2]
		to = to[3:]
	}
}

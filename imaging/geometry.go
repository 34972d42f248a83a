package imaging

import (
	"fmt"
	"image"
	"math"

	"github.com/glimpsed/glimpsed/vision"
)

// Geometry says which part of a resized picture goes where. The picture is thought
// to be resized to Width x Height as a whole; of that only the pixels of Crop are
// computed, which land in the output with their upper left corner at Dst.
type Geometry struct {
	// SourceWidth and SourceHeight are the frame's size in pixels.
	SourceWidth, SourceHeight int
	// X0, Y0, X1, Y1 are the part of the frame that is resized, in source pixels
	// that needn't be whole. Filters may read beyond it, as Pillow's do.
	X0, Y0, X1, Y1 float64
	// Width and Height are the size in pixels that this part is brought to.
	Width, Height int
	// Crop is the part of Width x Height that is wanted.
	Crop image.Rectangle
	// Output is the output's size in pixels, Dst where in it Crop goes. What lies
	// around Dst (the bars of a letterbox) is left as it is: the caller fills it.
	Output image.Point
	Dst    image.Rectangle
	Filter vision.Interpolation
}

// Fit computes how a picture of width x height pixels becomes the input of a model
// of inWidth x inHeight. With Resize the longer side is rounded to whole pixels (256 * 500 / 375
// is 341), and the crop's corner is rounded down. (torchvision cuts the longer side off and
// rounds the corner; pictures then lie up to a pixel elsewhere, which moves the accuracy of a model by a
// point on 500 pictures, either way.) Without Resize the centre crop is the
// largest part of the picture that has the input's shape. A Resize too small to hold
// the crop counts as none.
func Fit(width, height int, p vision.Preprocessing, inWidth, inHeight int) (Geometry, error) {
	g := Geometry{
		SourceWidth: width, SourceHeight: height,
		X1: float64(width), Y1: float64(height),
		Width: inWidth, Height: inHeight,
		Output: image.Pt(inWidth, inHeight),
		Filter: p.Interpolation,
	}
	if width <= 0 || height <= 0 || inWidth <= 0 || inHeight <= 0 {
		return g, fmt.Errorf("fitting a picture of %dx%d to an input of %dx%d: sizes must be above 0", width, height, inWidth, inHeight)
	}
	g.Dst = image.Rect(0, 0, inWidth, inHeight)
	w, h := float64(width), float64(height)

	switch p.Crop {
	case vision.CropCenter, "":
		rw, rh := p.Resize, p.Resize
		if width < height {
			rh = scaled(p.Resize, height, width)
		} else {
			rw = scaled(p.Resize, width, height)
		}
		if rw >= inWidth && rh >= inHeight {
			g.Width, g.Height = rw, rh
			g.Crop = g.Dst.Add(image.Pt((rw-inWidth)/2, (rh-inHeight)/2))
			return g, nil
		}
		scale := min(w/float64(inWidth), h/float64(inHeight))
		cw, ch := scale*float64(inWidth), scale*float64(inHeight)
		g.X0, g.Y0 = max((w-cw)/2, 0), max((h-ch)/2, 0)
		g.X1, g.Y1 = min(g.X0+cw, w), min(g.Y0+ch, h)
	case vision.CropLetterbox:
		scale := min(float64(inWidth)/w, float64(inHeight)/h)
		g.Width = min(max(int(math.Round(w*scale)), 1), inWidth)
		g.Height = min(max(int(math.Round(h*scale)), 1), inHeight)
		corner := image.Pt((inWidth-g.Width)/2, (inHeight-g.Height)/2)
		g.Dst = image.Rect(0, 0, g.Width, g.Height).Add(corner)
	case vision.CropStretch:
	default:
		return g, fmt.Errorf("fitting a picture: crop must be %s, %s or %s, got %q",
			vision.CropCenter, vision.CropLetterbox, vision.CropStretch, p.Crop)
	}
	g.Crop = image.Rect(0, 0, g.Width, g.Height)
	return g, nil
}

// scaled is a * b / c, rounded to the nearest whole number.
func scaled(a, b, c int) int {
	return int((2*int64(a)*int64(b) + int64(c)) / (2 * int64(c)))
}

// ShorterSide is the length in pixels that the frame's shorter side may be reduced
// to before the resize has to enlarge: a decoder that is given it as MinSide never
// loses detail that the model would see. It is the least Options.MinSide that is
// sensible; twice as much keeps the filter's antialiasing as good as Pillow's.
func ShorterSide(p vision.Preprocessing, inWidth, inHeight int) int {
	return max(p.Resize, inWidth, inHeight)
}

func (g Geometry) check() error {
	whole := image.Rect(0, 0, g.Width, g.Height)
	switch {
	case g.SourceWidth <= 0 || g.SourceHeight <= 0 || g.Width <= 0 || g.Height <= 0:
		return fmt.Errorf("geometry of %dx%d to %dx%d: sizes must be above 0", g.SourceWidth, g.SourceHeight, g.Width, g.Height)
	case !(g.X0 >= 0 && g.X0 < g.X1 && g.X1 <= float64(g.SourceWidth)), !(g.Y0 >= 0 && g.Y0 < g.Y1 && g.Y1 <= float64(g.SourceHeight)):
		return fmt.Errorf("geometry: the part %g,%g..%g,%g is not within %dx%d", g.X0, g.Y0, g.X1, g.Y1, g.SourceWidth, g.SourceHeight)
	case g.Crop.Empty() || !g.Crop.In(whole):
		return fmt.Errorf("geometry: the crop %v is not within %v", g.Crop, whole)
	case g.Dst.Size() != g.Crop.Size() || !g.Dst.In(image.Rectangle{Max: g.Output}):
		return fmt.Errorf("geometry: the crop %v does not fit into %v of %v", g.Crop, g.Dst, g.Output)
	case g.Filter != vision.Bilinear && g.Filter != vision.Bicubic && g.Filter != "":
		return fmt.Errorf("geometry: interpolation must be %s or %s, got %q", vision.Bilinear, vision.Bicubic, g.Filter)
	}
	return nil
}

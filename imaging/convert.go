package imaging

import (
	"image"
	"image/color"

	"github.com/glimpsed/glimpsed/vision"
)

// fromImage converts img into f, at the place that its bounds give; what lies outside of f is left out.
// studio says that luma is 16..235, as in WebP, and not 0..255, as in JPEG.
func fromImage(f vision.Frame, img image.Image, studio bool) {
	at := img.Bounds()
	if s, ok := img.(shifted); ok {
		img = s.Image
	}
	offset := img.Bounds().Min.Sub(at.Min)
	at = at.Intersect(image.Rect(0, 0, f.Width, f.Height))
	if at.Empty() {
		return
	}
	row := rowConverter(img, studio)
	for y := at.Min.Y; y < at.Max.Y; y++ {
		row(Row(f, y)[3*at.Min.X:3*at.Max.X], at.Min.X+offset.X, y+offset.Y)
	}
}

// rowConverter returns the function that writes the pixels of img from (x, y) on as BGR until to is full.
func rowConverter(img image.Image, studio bool) func(to []byte, x, y int) {
	switch img := img.(type) {
	case *image.YCbCr:
		return ycbcrRows(img, studio)
	case *image.NYCbCrA:
		return ycbcrRows(&img.YCbCr, studio)
	case *image.Gray:
		return func(to []byte, x, y int) {
			for _, v := range img.Pix[img.PixOffset(x, y):][:len(to)/3] {
				to[0], to[1], to[2] = v, v, v
				to = to[3:]
			}
		}
	case *image.Gray16:
		return func(to []byte, x, y int) {
			at := img.PixOffset(x, y)
			for ; len(to) >= 3; to, at = to[3:], at+2 {
				v := img.Pix[at]
				to[0], to[1], to[2] = v, v, v
			}
		}
	case *image.NRGBA:
		return rgbRows(img.Pix, img.PixOffset, 4, 1)
	case *image.RGBA:
		return rgbRows(img.Pix, img.PixOffset, 4, 1)
	case *image.NRGBA64:
		return rgbRows(img.Pix, img.PixOffset, 8, 2)
	case *image.RGBA64:
		return rgbRows(img.Pix, img.PixOffset, 8, 2)
	case *image.Paletted:
		return palettedRows(img)
	case *image.CMYK:
		return func(to []byte, x, y int) {
			at := img.PixOffset(x, y)
			for ; len(to) >= 3; to, at = to[3:], at+4 {
				p := img.Pix[at : at+4]
				to[2], to[1], to[0] = color.CMYKToRGB(p[0], p[1], p[2], p[3])
			}
		}
	}
	return func(to []byte, x, y int) {
		for ; len(to) >= 3; to, x = to[3:], x+1 {
			r, g, b, _ := img.At(x, y).RGBA()
			to[0], to[1], to[2] = byte(b>>8), byte(g>>8), byte(r>>8)
		}
	}
}

// rgbRows takes red, green, blue from pixels of size bytes, channel bytes apart, the highest byte first.
func rgbRows(pix []byte, offset func(x, y int) int, size, channel int) func(to []byte, x, y int) {
	return func(to []byte, x, y int) {
		for at := offset(x, y); len(to) >= 3; to, at = to[3:], at+size {
			p := pix[at : at+size]
			to[0], to[1], to[2] = p[2*channel], p[channel], p[0]
		}
	}
}

func palettedRows(img *image.Paletted) func(to []byte, x, y int) {
	var table [256][3]byte
	for i, c := range img.Palette {
		if n, ok := c.(color.NRGBA); ok { // a palette entry's colour counts, not its alpha
			table[i] = [3]byte{n.B, n.G, n.R}
			continue
		}
		r, g, b, _ := c.RGBA()
		table[i] = [3]byte{byte(b >> 8), byte(g >> 8), byte(r >> 8)}
	}
	return func(to []byte, x, y int) {
		for _, v := range img.Pix[img.PixOffset(x, y):][:len(to)/3] {
			*(*[3]byte)(to) = table[v]
			to = to[3:]
		}
	}
}

// byte8 clips v to 0..255.
func byte8(v int32) byte {
	if uint32(v) > 255 {
		return byte(^(v >> 31)) // below 0: 0, above 255: 255
	}
	return byte(v)
}

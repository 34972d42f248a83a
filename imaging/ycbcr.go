package imaging

import "image"

// matrix turns Y, Cb, Cr to red, green, blue by ITU-R BT.601, in fixed point with 16 bits.
type matrix struct{ black, luma, crR, cbG, crG, cbB int32 }

var (
	fullRange   = matrix{0, 65536, 91881, 22554, 46802, 116130}   // JFIF
	studioRange = matrix{16, 76309, 104597, 25675, 53279, 132201} // WebP: luma is 16..235
)

// ycbcrRows converts rows. Chroma at half the width is interpolated, as libjpeg's "fancy upsampling" and libwebp
// do: pictures then are what Pillow and OpenCV make of them.
func ycbcrRows(img *image.YCbCr, studio bool) func(to []byte, x, y int) {
	m := fullRange
	if studio {
		m = studioRange
	}
	up := newUpsampler(img)
	return func(to []byte, x, y int) {
		cb, cr := up.rows(y)
		from := x - img.Rect.Min.X
		m.convert(to, img.Y[img.YOffset(x, y):], cb[from:], cr[from:])
	}
}

func (m matrix) convert(to, luma, cb, cr []byte) {
	const half = 1 << 15
	n := len(to) / 3
	luma, cb, cr = luma[:n], cb[:n], cr[:n]
	for i, v := range luma {
		l := (int32(v)-m.black)*m.luma + half
		u, w := int32(cb[i])-128, int32(cr[i])-128
		p := (*[3]byte)(to[3*i:])
		p[0] = byte8((l + m.cbB*u) >> 16)
		p[1] = byte8((l - m.cbG*u - m.crG*w) >> 16)
		p[2] = byte8((l + m.crR*w) >> 16)
	}
}

// upsampler brings rows of chroma to the width of luma.
type upsampler struct {
	img           *image.YCbCr
	width, height int // of chroma
	cb, cr        []byte
	sums          []int32
}

func newUpsampler(img *image.YCbCr) *upsampler {
	u := &upsampler{img: img, width: img.Rect.Dx(), height: img.Rect.Dy()}
	if u.halved() {
		u.width, u.height = (u.width+1)/2, (u.height+1)/2
	}
	n := 2 * (img.Rect.Dx() + 1)
	u.cb, u.cr, u.sums = make([]byte, n), make([]byte, n), make([]int32, n)
	return u
}

// halved says whether chroma is interpolated from half the width. libjpeg repeats it in very narrow pictures; of a part
// of a picture that begins between two samples so do we.
func (u *upsampler) halved() bool {
	switch u.img.SubsampleRatio {
	case image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422:
		return u.img.Rect.Dx() > 4 && u.img.Rect.Min.X%2 == 0 && u.img.Rect.Min.Y%2 == 0
	}
	return false
}

// rows returns the chroma of row y, a sample a pixel.
func (u *upsampler) rows(y int) (cb, cr []byte) {
	img := u.img
	if !u.halved() {
		if img.SubsampleRatio == image.YCbCrSubsampleRatio444 || img.SubsampleRatio == image.YCbCrSubsampleRatio440 {
			at := img.COffset(img.Rect.Min.X, y)
			return img.Cb[at:], img.Cr[at:]
		}
		for x := range img.Rect.Dx() {
			at := img.COffset(img.Rect.Min.X+x, y)
			u.cb[x], u.cr[x] = img.Cb[at], img.Cr[at]
		}
		return u.cb, u.cr
	}
	near, far := y-img.Rect.Min.Y, -1
	if img.SubsampleRatio == image.YCbCrSubsampleRatio420 {
		far = min(max(near/2-1+near%2*2, 0), u.height-1)
		near /= 2
	}
	u.row(u.cb, img.Cb, near, far)
	u.row(u.cr, img.Cr, near, far)
	return u.cb, u.cr
}

// row interpolates one row: of a pixel's two nearest chroma samples in each direction the nearer counts three times.
// A far of -1 says that chroma has all rows. The rounding is that of libjpeg.
func (u *upsampler) row(to, plane []byte, near, far int) {
	s, last := u.sums[:u.width], u.width-1
	a := plane[near*u.img.CStride:][:u.width]
	shift, even, odd := 2, int32(1), int32(2)
	if far < 0 {
		for i, v := range a {
			s[i] = int32(v)
		}
	} else {
		shift, even, odd = 4, 8, 7
		b := plane[far*u.img.CStride:][:u.width]
		for i, v := range a {
			s[i] = 3*int32(v) + int32(b[i])
		}
	}
	for i, v := range s {
		before, after := s[max(i-1, 0)], s[min(i+1, last)]
		to[2*i] = byte((3*v + before + even) >> shift)
		to[2*i+1] = byte((3*v + after + odd) >> shift)
	}
}

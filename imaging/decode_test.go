package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// chunk is a PNG chunk.
func chunk(name string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// hugePNG claims 30,000 x 30,000 pixels in a few bytes.
func hugePNG() []byte {
	header := binary.BigEndian.AppendUint32(nil, 30000)
	header = binary.BigEndian.AppendUint32(header, 30000)
	header = append(header, 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", header)...)
	out = append(out, chunk("IDAT", []byte{0x78, 0x9c, 0x03, 0, 0, 0, 0, 1})...)
	return append(out, chunk("IEND", nil)...)
}

// exif is a TIFF structure whose only tag is the orientation.
func exif(order binary.AppendByteOrder, o int) []byte {
	out := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		out = []byte("MM\x00*")
	}
	out = order.AppendUint32(out, 8)
	out = order.AppendUint16(out, 1)
	out = order.AppendUint16(out, 0x0112)
	out = order.AppendUint16(out, 3)
	out = order.AppendUint32(out, 1)
	out = order.AppendUint16(out, uint16(o))
	out = order.AppendUint16(out, 0)
	return order.AppendUint32(out, 0)
}

// withEXIF puts an APP1 segment behind a JPEG's SOI.
func withEXIF(jpg, exif []byte) []byte {
	body := append([]byte("Exif\x00\x00"), exif...)
	out := append([]byte{0xFF, 0xD8, 0xFF, 0xE1}, byte((len(body)+2)>>8), byte(len(body)+2))
	return append(append(out, body...), jpg[2:]...)
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBadPictures(t *testing.T) {
	jpg, pic, webp := read(t, "format-rgb.jpg"), read(t, "format-rgb.png"), read(t, "format-lossy.webp")
	damaged := bytes.Clone(pic)
	damaged[len(damaged)/2] ^= 0xFF
	tinyLimit := Options{Limits: Limits{Pixels: 1000}}
	for name, c := range map[string]struct {
		data []byte
		opts Options
		want error
		says string
	}{
		"empty":             {nil, Options{}, ErrEmpty, "0 bytes"},
		"text":              {[]byte("# Notes\nnothing to see"), Options{}, ErrNotPicture, `begins with "# Notes`},
		"text like BMP":     {[]byte("BMW is a maker of cars and motorcycles"), Options{}, ErrNotPicture, `"BMW is a maker`},
		"one byte":          {[]byte{0xFF}, Options{}, ErrNotPicture, "known are JPEG"},
		"heic":              {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Options{}, ErrUnsupported, "convert it"},
		"huge":              {hugePNG(), Options{}, ErrTooLarge, "30000x30000 pixels, the limit is 64 megapixels"},
		"huge and cut":      {hugePNG()[:40], Options{}, ErrTooLarge, "30000x30000"},
		"over a limit":      {jpg, tinyLimit, ErrTooLarge, "43x31"},
		"too many bytes":    {jpg, Options{Limits: Limits{Bytes: 100}}, ErrTooLarge, "the limit is 100"},
		"JPEG cut in half":  {jpg[:len(jpg)/2], Options{}, ErrTruncated, "end-of-image"},
		"JPEG without end":  {jpg[:len(jpg)-2], Options{}, ErrTruncated, "end-of-image"},
		"JPEG of 2 bytes":   {jpg[:2], Options{}, ErrTruncated, ""},
		"JPEG of no size":   {[]byte{0xFF, 0xD8, 0xFF, 0xD9}, Options{}, ErrCorrupt, "size"},
		"PNG cut in half":   {pic[:len(pic)/2], Options{}, ErrTruncated, "IDAT"},
		"PNG without end":   {pic[:len(pic)-12], Options{}, ErrTruncated, "IEND"},
		"PNG damaged":       {damaged, Options{}, ErrCorrupt, ""},
		"WebP cut in half":  {webp[:len(webp)/2], Options{}, ErrTruncated, ""},
		"GIF cut in half":   {read(t, "format-rgb.gif")[:400], Options{}, ErrCorrupt, "not enough image data"},
		"GIF of 8 bytes":    {read(t, "format-rgb.gif")[:8], Options{}, ErrTruncated, ""},
		"BMP cut in half":   {read(t, "format-rgb.bmp")[:1000], Options{}, ErrTruncated, ""},
		"TIFF cut in half":  {read(t, "format-rgb.tiff")[:1000], Options{}, nil, ""},
		"JPEG with a tail":  {append(bytes.Clone(jpg), "and more"...), Options{}, nil, ""},
		"JPEG, cut EXIF":    {withEXIF(jpg, exif(binary.LittleEndian, 6)[:12]), Options{}, nil, ""},
		"JPEG, EXIF of 9":   {withEXIF(jpg, exif(binary.LittleEndian, 9)), Options{}, nil, ""},
		"the pictures' own": {jpg, Options{}, nil, ""},
	} {
		var d GoDecoder
		_, err := d.Decode(c.data, c.opts)
		switch {
		case name == "TIFF cut in half":
			if err == nil {
				t.Errorf("%s is accepted", name)
			}
		case !errors.Is(err, c.want) || (err != nil && !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %v, want %v that says %q", name, err, c.want, c.says)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.jpg")
	if err := os.WriteFile(file, make([]byte, 50), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(file, Limits{}); err != nil || len(data) != 50 {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
	if _, err := ReadFile(file, Limits{Bytes: 49}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), file) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := ReadFile(dir, Limits{}); !errors.Is(err, ErrNotPicture) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that isn't there: %v", err)
	}
}

// quarters is a picture without any symmetry: each quarter of its own grey.
func quarters(w, h int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Pix[y*img.Stride+x] = byte(20 + 70*(x*2/w) + 140*(y*2/h))
		}
	}
	return img
}

// turned says where EXIF's definition (CIPA DC-008, 4.6.4, Orientation) puts a stored pixel.
func turned(o, x, y, w, h int) (int, int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	case 8:
		return y, w - 1 - x
	}
	return x, y
}

func TestEXIFOrientation(t *testing.T) {
	const w, h = 48, 32
	stored := quarters(w, h)
	jpg, pic := jpegOf(t, stored), pngOf(t, stored)
	for o := 1; o <= 8; o++ {
		order := binary.AppendByteOrder(binary.LittleEndian)
		if o%2 == 0 {
			order = binary.BigEndian
		}
		ihdr := 8 + 25
		files := map[string][]byte{
			"jpeg": withEXIF(jpg, exif(order, o)),
			"png":  append(append(bytes.Clone(pic[:ihdr]), chunk("eXIf", exif(order, o))...), pic[ihdr:]...),
		}
		for format, data := range files {
			info, err := Probe(data, Limits{})
			if err != nil || info.Format != format || info.Width != w || info.Height != h || info.Orientation != Orientation(o) {
				t.Fatalf("%s, orientation %d: probed %+v, %v", format, o, info, err)
			}
			var d GoDecoder
			f, err := d.Decode(data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if uw, uh := info.Upright(); f.Width != uw || f.Height != uh {
				t.Fatalf("%s, orientation %d: got %dx%d, want %dx%d", format, o, f.Width, f.Height, uw, uh)
			}
			for y := range h {
				for x := range w {
					tx, ty := turned(o, x, y, w, h)
					got, want := int(Row(f, ty)[3*tx+1]), int(stored.GrayAt(x, y).Y)
					if got < want-2 || got > want+2 {
						t.Fatalf("%s, orientation %d: stored (%d, %d) is at (%d, %d) as %d, want %d", format, o, x, y, tx, ty, got, want)
					}
				}
			}
		}
	}
}

// Images of every type that decoders deliver come to the colours that their At tells.
func TestFromImage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	bounds := image.Rect(-3, 4, 14, 13)
	random := func(p []byte) {
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	}
	var images []image.Image
	gray, gray16, rgba, nrgba := image.NewGray(bounds), image.NewGray16(bounds), image.NewRGBA(bounds), image.NewNRGBA(bounds)
	rgba64, nrgba64, cmyk := image.NewRGBA64(bounds), image.NewNRGBA64(bounds), image.NewCMYK(bounds)
	for _, p := range [][]byte{gray.Pix, gray16.Pix, rgba.Pix, nrgba.Pix, rgba64.Pix, nrgba64.Pix, cmyk.Pix} {
		random(p)
	}
	for i := 3; i < len(rgba.Pix); i += 4 {
		rgba.Pix[i], nrgba.Pix[i] = 255, 255
	}
	for i := 6; i < len(rgba64.Pix); i += 8 {
		copy(rgba64.Pix[i:], "\xFF\xFF")
		copy(nrgba64.Pix[i:], "\xFF\xFF")
	}
	palette := image.NewPaletted(bounds, color.Palette{color.RGBA{1, 2, 3, 255}, color.NRGBA{200, 100, 50, 255}, color.Gray{9}})
	for i := range palette.Pix {
		palette.Pix[i] = byte(r.IntN(3))
	}
	images = append(images, gray, gray16, rgba, nrgba, rgba64, nrgba64, cmyk, palette)
	images = append(images, struct{ image.Image }{rgba}) // a type that isn't known
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		img := image.NewYCbCr(bounds, ratio)
		random(img.Y)
		random(img.Cb)
		random(img.Cr)
		images = append(images, img)
	}
	for _, img := range images {
		f := FromImage(nil, img)
		if f.Width != bounds.Dx() || f.Height != bounds.Dy() {
			t.Fatalf("%T: size %dx%d", img, f.Width, f.Height)
		}
		for y := range f.Height {
			for x := range f.Width {
				cr, cg, cb, _ := img.At(bounds.Min.X+x, bounds.Min.Y+y).RGBA()
				p := Row(f, y)[3*x:]
				want := []byte{byte(cb >> 8), byte(cg >> 8), byte(cr >> 8)}
				if most, _ := differ(want, p[:3]); most > 1 {
					t.Fatalf("%T: pixel (%d, %d) is %v, want %v", img, x, y, p[:3], want)
				}
			}
		}
	}
}

// 16 bits a channel, with and without alpha: the higher byte counts, the alpha doesn't.
func TestDeepPNG(t *testing.T) {
	opaque, clear := image.NewNRGBA64(image.Rect(0, 0, 4, 3)), image.NewNRGBA64(image.Rect(0, 0, 4, 3))
	for i := 0; i < len(opaque.Pix); i += 8 {
		copy(opaque.Pix[i:], []byte{0x10, 0xAA, 0x80, 0xBB, 0xF0, 0xCC, 0xFF, 0xFF})
		copy(clear.Pix[i:], []byte{0x10, 0xAA, 0x80, 0xBB, 0xF0, 0xCC, 0x00, 0x07})
	}
	for name, img := range map[string]image.Image{"opaque": opaque, "nearly clear": clear} {
		var d GoDecoder
		f, err := d.Decode(pngOf(t, img), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes.Repeat([]byte{0xF0, 0x80, 0x10}, 12); !bytes.Equal(f.Data, want) {
			t.Errorf("%s: got % x", name, f.Data)
		}
	}
}

// The first picture of a GIF may be smaller than its screen.
func TestGIFPart(t *testing.T) {
	img := image.NewPaletted(image.Rect(2, 1, 5, 3), color.Palette{color.RGBA{10, 20, 30, 255}})
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{img}, Delay: []int{0}, Config: image.Config{Width: 8, Height: 4}}); err != nil {
		t.Fatal(err)
	}
	var d GoDecoder
	f, err := d.Decode(b.Bytes(), Options{Buffer: bytes.Repeat([]byte{99}, 200)})
	if err != nil {
		t.Fatal(err)
	}
	for y := range 4 {
		for x := range 8 {
			want := []byte{0, 0, 0}
			if image.Pt(x, y).In(img.Rect) {
				want = []byte{30, 20, 10}
			}
			if p := Row(f, y)[3*x:][:3]; !bytes.Equal(p, want) {
				t.Errorf("pixel (%d, %d) is %v, want %v", x, y, p, want)
			}
		}
	}
}

func TestDecodeUsesBuffer(t *testing.T) {
	buf := make([]byte, 43*31*3+10)
	for _, o := range []int{1, 6} {
		var d GoDecoder
		f, err := d.Decode(withEXIF(read(t, "format-rgb.jpg"), exif(binary.LittleEndian, o)), Options{Buffer: buf})
		if err != nil {
			t.Fatal(err)
		}
		if &f.Data[0] != &buf[0] || len(f.Data) != 43*31*3 {
			t.Errorf("orientation %d: the buffer isn't used", o)
		}
	}
}

// Nothing that is fed in may panic, or come to a frame that doesn't hold its pixels.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/format-*")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(hugePNG())
	f.Add(withEXIF(read(f, "format-rgb.jpg"), exif(binary.BigEndian, 7)))
	f.Add([]byte("hello"))
	limits := Limits{Bytes: 1 << 20, Pixels: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, probed := Probe(data, limits)
		var d GoDecoder
		frame, err := d.Decode(data, Options{Limits: limits})
		if err != nil {
			known := false
			for _, kind := range []error{ErrEmpty, ErrNotPicture, ErrUnsupported, ErrTruncated, ErrCorrupt, ErrTooLarge} {
				known = known || errors.Is(err, kind)
			}
			if !known {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if probed != nil {
			t.Fatalf("decoded, although the probe said %v", probed)
		}
		if err := Check(frame); err != nil {
			t.Fatal(err)
		}
		if w, h := info.Upright(); w != frame.Width || h != frame.Height {
			t.Fatalf("decoded to %dx%d, probed %dx%d", frame.Width, frame.Height, w, h)
		}
	})
}

func BenchmarkDecodeJPEG720p(b *testing.B) {
	var e Encoder
	data, err := e.Encode(drawn(1280, 720), 90)
	if err != nil {
		b.Fatal(err)
	}
	var d GoDecoder
	var f vision.Frame
	start := cpuTime(b)
	b.ReportAllocs()
	for b.Loop() {
		if f, err = d.Decode(data, Options{Buffer: f.Data}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}

// drawn is a picture with slopes, edges and a little noise: compressed, about as long as a photo.
func drawn(w, h int) vision.Frame {
	r := rand.New(rand.NewPCG(7, 8))
	f := NewFrame(nil, w, h)
	for y := range h {
		row := Row(f, y)
		for x := range w {
			v := 40 + 120*x/w + 60*(x/37%2)*(y/53%2)
			for c := range 3 {
				row[3*x+c] = byte(v + 20*c*y/h + r.IntN(12))
			}
		}
	}
	return f
}

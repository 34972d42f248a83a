package imaging

import (
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// load decodes a file of testdata.
func load(t testing.TB, name string) vision.Frame {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var d GoDecoder
	f, err := d.Decode(data, Options{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

// The goldens are Pillow's own results: testdata/make.py.
func TestResizeLikePillow(t *testing.T) {
	src := load(t, "scene.png")
	whole := func(w, h int) vision.Preprocessing {
		return vision.Preprocessing{Width: w, Height: h, Crop: vision.CropStretch}
	}
	cases := map[string]vision.Preprocessing{
		"center":  {Width: 56, Height: 56, Resize: 64, Crop: vision.CropCenter},
		"stretch": whole(61, 33),
		"small":   whole(20, 15),
		"large":   whole(260, 170),
		"square":  {Width: 48, Height: 48, Crop: vision.CropCenter},
	}
	for name, p := range cases {
		// A bicubic filter overshoots at edges; Pillow clips that after its first pass, which is the
		// horizontal one, and here it is the vertical one.
		for filter, limit := range map[vision.Interpolation]struct {
			most int
			mean float64
		}{vision.Bilinear: {2, 0.2}, vision.Bicubic: {12, 0.2}} {
			t.Run(name+"-"+string(filter), func(t *testing.T) {
				want := load(t, "resize-"+name+"-"+string(filter)+".png")
				p := p
				p.Interpolation = filter
				g, err := Fit(src.Width, src.Height, p, p.Width, p.Height)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 3*p.Width*p.Height)
				var r Resizer
				if err := r.Resize(got, 3*p.Width, src, g); err != nil {
					t.Fatal(err)
				}
				most, mean := differ(got, want.Data)
				t.Logf("largest difference %d, mean %.3f", most, mean)
				if most > limit.most || mean > limit.mean {
					t.Errorf("differs from Pillow by up to %d, %.3f in the mean; want at most %d, %.3f", most, mean, limit.most, limit.mean)
				}
			})
		}
	}
}

func TestDecodeLikePillow(t *testing.T) {
	files, err := filepath.Glob("testdata/format-*.want.png")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	// Lossless formats come out the same. JPEG decoders may round differently.
	limits := map[string]struct {
		most int
		mean float64
	}{".jpg": {3, 0.1}, ".webp": {3, 0.3}}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".want.png")
		t.Run(name, func(t *testing.T) {
			got, want := load(t, name), load(t, filepath.Base(file))
			if got.Width != want.Width || got.Height != want.Height {
				t.Fatalf("size %dx%d, want %dx%d", got.Width, got.Height, want.Width, want.Height)
			}
			limit := limits[filepath.Ext(name)]
			most, mean := differ(got.Data, want.Data)
			t.Logf("largest difference %d, mean %.3f", most, mean)
			if most > limit.most || mean > limit.mean {
				t.Errorf("differs from Pillow by up to %d, %.3f in the mean", most, mean)
			}
		})
	}
}

// The whole picture resized and cropped afterwards is what the geometry computes directly.
func TestFit(t *testing.T) {
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	for name, c := range map[string]struct {
		w, h, in int
		p        vision.Preprocessing
		size     image.Point
		crop     image.Rectangle
		dst      image.Rectangle
		box      [4]float64
	}{
		"landscape": {500, 375, 224, vision.Preprocessing{Resize: 256, Crop: vision.CropCenter},
			image.Pt(341, 256), image.Rect(58, 16, 282, 240), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 500, 375}},
		"portrait": {375, 500, 224, vision.Preprocessing{Resize: 256},
			image.Pt(256, 341), image.Rect(16, 58, 240, 282), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 375, 500}},
		"720p": {1280, 720, 224, vision.Preprocessing{Resize: 256},
			image.Pt(455, 256), image.Rect(115, 16, 339, 240), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 1280, 720}},
		"no resize": {1280, 720, 224, vision.Preprocessing{Crop: vision.CropCenter},
			image.Pt(224, 224), image.Rect(0, 0, 224, 224), image.Rect(0, 0, 224, 224), [4]float64{280, 0, 1000, 720}},
		"resize too small": {100, 100, 224, vision.Preprocessing{Resize: 200},
			image.Pt(224, 224), image.Rect(0, 0, 224, 224), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 100, 100}},
		"letterbox": {1280, 720, 224, vision.Preprocessing{Resize: 256, Crop: vision.CropLetterbox},
			image.Pt(224, 126), image.Rect(0, 0, 224, 126), image.Rect(0, 49, 224, 175), [4]float64{0, 0, 1280, 720}},
		"letterbox of a line": {5000, 1, 224, vision.Preprocessing{Crop: vision.CropLetterbox},
			image.Pt(224, 1), image.Rect(0, 0, 224, 1), image.Rect(0, 111, 224, 112), [4]float64{0, 0, 5000, 1}},
		"stretch": {1280, 720, 224, vision.Preprocessing{Resize: 256, Crop: vision.CropStretch},
			image.Pt(224, 224), image.Rect(0, 0, 224, 224), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 1280, 720}},
		"one pixel": {1, 1, 224, vision.Preprocessing{Resize: 256},
			image.Pt(256, 256), image.Rect(16, 16, 240, 240), image.Rect(0, 0, 224, 224), [4]float64{0, 0, 1, 1}},
	} {
		g, err := Fit(c.w, c.h, c.p, c.in, c.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := g.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if g.Width != c.size.X || g.Height != c.size.Y || g.Crop != c.crop || g.Dst != c.dst ||
			!near(g.X0, c.box[0]) || !near(g.Y0, c.box[1]) || !near(g.X1, c.box[2]) || !near(g.Y1, c.box[3]) {
			t.Errorf("%s: got %+v", name, g)
		}
	}
	// Whatever the sizes, the geometry is one that Resize takes.
	for w := 1; w < 3000; w += 1 + w/7 {
		for h := 1; h < 3000; h += 1 + h/9 {
			for _, p := range []vision.Preprocessing{{}, {Resize: 256}, {Crop: vision.CropLetterbox}, {Crop: vision.CropStretch}} {
				for _, in := range []image.Point{{X: 224, Y: 224}, {X: 97, Y: 31}} {
					g, err := Fit(w, h, p, in.X, in.Y)
					if err == nil {
						err = g.check()
					}
					if err != nil {
						t.Fatalf("%dx%d to %v, %+v: %v", w, h, in, p, err)
					}
				}
			}
		}
	}
	if _, err := Fit(10, 10, vision.Preprocessing{Crop: "zoom"}, 224, 224); err == nil {
		t.Error("an unknown crop is accepted")
	}
	if _, err := Fit(0, 10, vision.Preprocessing{}, 224, 224); err == nil {
		t.Error("a width of 0 is accepted")
	}
}

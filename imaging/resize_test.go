package imaging

import (
	"bytes"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// noise is a frame of random pixels, with a stride that has padding.
func noise(r *rand.Rand, width, height, padding int) vision.Frame {
	f := vision.Frame{Format: vision.BGR, Width: width, Height: height, Stride: 3*width + padding}
	f.Data = make([]byte, (height-1)*f.Stride+3*width)
	for i := range f.Data {
		f.Data[i] = byte(r.Uint32())
	}
	return f
}

// reference resizes in floating point and rounds to bytes after each pass, vertical first.
func reference(src vision.Frame, g Geometry) []byte {
	f, support := kernel(g.Filter)
	round := func(v float64) float64 { return math.Floor(min(max(v, 0), 255) + 0.5) }
	w, h := g.Crop.Dx(), g.Crop.Dy()
	mid := make([]float64, src.Width*h*3)
	for y := range h {
		weights, first := taps(nil, f, support, g.Y0, g.Y1, src.Height, g.Height, g.Crop.Min.Y+y)
		for i := range src.Width * 3 {
			sum := 0.0
			for k, wt := range weights {
				sum += wt * float64(src.Data[(first+k)*src.Stride+i])
			}
			mid[y*src.Width*3+i] = round(sum)
		}
	}
	out := make([]byte, w*h*3)
	for x := range w {
		weights, first := taps(nil, f, support, g.X0, g.X1, src.Width, g.Width, g.Crop.Min.X+x)
		for y := range h {
			for c := range 3 {
				sum := 0.0
				for k, wt := range weights {
					sum += wt * mid[(y*src.Width+first+k)*3+c]
				}
				out[(y*w+x)*3+c] = byte(round(sum))
			}
		}
	}
	return out
}

// differ returns the largest and the mean absolute difference.
func differ(a, b []byte) (most int, mean float64) {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		d = max(d, -d)
		sum += d
		most = max(most, d)
	}
	return most, float64(sum) / float64(len(a))
}

// randomGeometry has a part of src, a size and a crop of it that are all random.
func randomGeometry(r *rand.Rand, src vision.Frame) Geometry {
	g := Geometry{
		SourceWidth: src.Width, SourceHeight: src.Height,
		Width: 1 + r.IntN(90), Height: 1 + r.IntN(90),
		Filter: vision.Bilinear,
	}
	if r.IntN(2) == 0 {
		g.Filter = vision.Bicubic
	}
	part := func(n int) (from, to float64) {
		if r.IntN(3) == 0 {
			return 0, float64(n)
		}
		from = r.Float64() * float64(n) * 0.5
		return from, from + (float64(n)-from)*(0.1+0.9*r.Float64())
	}
	g.X0, g.X1 = part(src.Width)
	g.Y0, g.Y1 = part(src.Height)
	g.Crop.Min = image.Pt(r.IntN(g.Width), r.IntN(g.Height))
	g.Crop.Max = g.Crop.Min.Add(image.Pt(1+r.IntN(g.Width-g.Crop.Min.X), 1+r.IntN(g.Height-g.Crop.Min.Y)))
	corner := image.Pt(r.IntN(4), r.IntN(4))
	g.Dst = image.Rectangle{Max: g.Crop.Size()}.Add(corner)
	g.Output = g.Dst.Max.Add(image.Pt(r.IntN(4), r.IntN(4)))
	return g
}

// Noise is the hardest picture there is: any pixel that is taken from a wrong place, or with a wrong weight, shows.
func TestResizeAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var re Resizer
	var sum float64
	const rounds = 400
	for range rounds {
		src := noise(r, 1+r.IntN(150), 1+r.IntN(150), r.IntN(5))
		g := randomGeometry(r, src)
		stride := 3*g.Output.X + r.IntN(3)
		dst := make([]byte, stride*g.Output.Y)
		const untouched = 77
		for i := range dst {
			dst[i] = untouched
		}
		if err := re.Resize(dst, stride, src, g); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for y := range g.Output.Y {
			for x := range stride {
				in := y >= g.Dst.Min.Y && y < g.Dst.Max.Y && x >= 3*g.Dst.Min.X && x < 3*g.Dst.Max.X
				switch v := dst[y*stride+x]; {
				case in:
					got = append(got, v)
				case v != untouched:
					t.Fatalf("byte %d of row %d, outside of %v, was written; %+v", x, y, g.Dst, g)
				}
			}
		}
		most, mean := differ(got, reference(src, g))
		sum += mean
		if most > 3 {
			t.Errorf("differs from the reference by up to %d, %.3f in the mean: %+v", most, mean, g)
		}
	}
	t.Logf("mean difference %.3f", sum/rounds)
	if sum/rounds > 0.2 {
		t.Errorf("differs from the reference by %.3f in the mean", sum/rounds)
	}
}

// Flat pictures stay exactly as they are: weights add up to one, nothing overflows.
func TestResizeFlat(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var re Resizer
	for range 200 {
		src := noise(r, 1+r.IntN(80), 1+r.IntN(80), 0)
		colour := [3]byte{0, 255, byte(r.IntN(256))}
		for i := range src.Data {
			src.Data[i] = colour[i%3]
		}
		g := randomGeometry(r, src)
		g.Dst = g.Dst.Sub(g.Dst.Min)
		g.Output = g.Dst.Size()
		dst := make([]byte, 3*g.Output.X*g.Output.Y)
		if err := re.Resize(dst, 3*g.Output.X, src, g); err != nil {
			t.Fatal(err)
		}
		for i, v := range dst {
			if v != colour[i%3] {
				t.Fatalf("channel %d is %d, want %d: %+v", i%3, v, colour[i%3], g)
			}
		}
	}
}

func TestResizeOnePixel(t *testing.T) {
	src := NewFrame(nil, 1, 1)
	copy(src.Data, []byte{10, 20, 30})
	for _, crop := range []vision.Crop{vision.CropCenter, vision.CropLetterbox, vision.CropStretch} {
		g, err := Fit(1, 1, vision.Preprocessing{Resize: 256, Crop: crop, Interpolation: vision.Bilinear}, 224, 224)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 224*224*3)
		var re Resizer
		if err := re.Resize(dst, 224*3, src, g); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(dst, bytes.Repeat(src.Data, 224*224)) {
			t.Errorf("%s: a single pixel does not fill the output", crop)
		}
	}
}

func TestResizeRefuses(t *testing.T) {
	src := NewFrame(nil, 40, 30)
	g, err := Fit(40, 30, vision.Preprocessing{}, 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	other := g
	other.Crop = image.Rect(0, 0, 9, 8)
	outside := g
	outside.X1 = 41
	var re Resizer
	for name, c := range map[string]struct {
		dst    []byte
		stride int
		src    vision.Frame
		g      Geometry
	}{
		"a small output":     {make([]byte, 8*8*3-1), 24, src, g},
		"a small stride":     {make([]byte, 8*8*3), 23, src, g},
		"another size":       {make([]byte, 8*8*3), 24, NewFrame(nil, 30, 40), g},
		"no BGR":             {make([]byte, 8*8*3), 24, vision.Frame{Format: vision.JPEG}, g},
		"a crop too large":   {make([]byte, 8*8*3), 24, src, other},
		"a part outside":     {make([]byte, 8*8*3), 24, src, outside},
		"no geometry at all": {make([]byte, 8*8*3), 24, src, Geometry{SourceWidth: 40, SourceHeight: 30}},
	} {
		if err := re.Resize(c.dst, c.stride, c.src, c.g); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// A camera's frames must cost no memory.
func TestResizeAllocatesNothing(t *testing.T) {
	src := noise(rand.New(rand.NewPCG(1, 2)), 640, 480, 0)
	for _, p := range []vision.Preprocessing{
		{Resize: 256, Interpolation: vision.Bilinear},
		{Resize: 128, Crop: vision.CropLetterbox, Interpolation: vision.Bicubic},
	} {
		g, err := Fit(src.Width, src.Height, p, 100, 100)
		if err != nil {
			t.Fatal(err)
		}
		var re Resizer
		dst := make([]byte, 100*100*3)
		if n := testing.AllocsPerRun(10, func() {
			if err := re.Resize(dst, 300, src, g); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
	}
}

func benchmarkResize(b *testing.B, width, height int, p vision.Preprocessing) {
	r := rand.New(rand.NewPCG(1, 2))
	// Several frames, as from a camera's buffers: a single one would sit in the cache.
	frames := make([]vision.Frame, 4)
	for i := range frames {
		frames[i] = noise(r, width, height, 0)
	}
	g, err := Fit(width, height, p, 224, 224)
	if err != nil {
		b.Fatal(err)
	}
	var re Resizer
	dst := make([]byte, 224*224*3)
	b.ReportAllocs()
	i, start := 0, cpuTime(b)
	for b.Loop() {
		if err := re.Resize(dst, 224*3, frames[i%len(frames)], g); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}

func BenchmarkResize(b *testing.B) {
	center := vision.Preprocessing{Resize: 256, Crop: vision.CropCenter, Interpolation: vision.Bilinear}
	whole := vision.Preprocessing{Crop: vision.CropCenter, Interpolation: vision.Bilinear}
	letterbox := vision.Preprocessing{Crop: vision.CropLetterbox, Interpolation: vision.Bilinear}
	cubic := vision.Preprocessing{Resize: 256, Crop: vision.CropCenter, Interpolation: vision.Bicubic}
	for _, c := range []struct {
		name          string
		width, height int
		p             vision.Preprocessing
	}{
		{"720p-center256", 1280, 720, center},
		{"720p-center", 1280, 720, whole},
		{"720p-letterbox", 1280, 720, letterbox},
		{"720p-center256-bicubic", 1280, 720, cubic},
		{"480p-center256", 640, 480, center},
		{"1080p-center256", 1920, 1080, center},
		{"2160p-center256", 3840, 2160, center},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkResize(b, c.width, c.height, c.p) })
	}
}

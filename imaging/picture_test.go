package imaging

import (
	"bytes"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

// at returns pixel (x, y) as a number.
func at(f vision.Frame, x, y int) int {
	p := Row(f, y)[3*x:]
	return int(p[0]) | int(p[1])<<8 | int(p[2])<<16
}

func TestOrientationApply(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range [][2]int{{1, 1}, {7, 5}, {40, 3}, {65, 70}} {
		src := noise(r, size[0], size[1], 2)
		src.Seq, src.Source = 9, "here"
		for o := Normal; o <= Rotate270; o++ {
			f, err := o.Apply(make([]byte, 3*src.Width*src.Height), src)
			if err != nil {
				t.Fatal(err)
			}
			if f.Seq != 9 || f.Source != "here" {
				t.Errorf("the result is %+v", f)
			}
			for y := range src.Height {
				for x := range src.Width {
					tx, ty := turned(int(o), x, y, src.Width, src.Height)
					if at(f, tx, ty) != at(src, x, y) {
						t.Fatalf("%v, orientation %d: (%d, %d) is not at (%d, %d)", size, o, x, y, tx, ty)
					}
				}
			}
		}
	}
	if _, err := Rotate90.Apply(nil, vision.Frame{Format: vision.YUYV}); err == nil {
		t.Error("a frame that isn't BGR is accepted")
	}
}

func TestParseTransform(t *testing.T) {
	for _, c := range []struct {
		rotate int
		flip   string
		want   Orientation
	}{
		{0, "", Normal}, {90, "", Rotate90}, {180, "", Rotate180}, {270, "", Rotate270},
		{0, "horizontal", FlipHorizontal}, {0, "vertical", FlipVertical}, {0, "both", Rotate180},
		{180, "both", Normal}, {180, "horizontal", FlipVertical},
		{90, "both", Rotate270}, {90, "horizontal", Transpose}, {270, "horizontal", Transverse}, {90, "vertical", Transverse},
	} {
		if got, err := ParseTransform(c.rotate, c.flip); err != nil || got != c.want {
			t.Errorf("rotate %d, flip %q: got %d, %v, want %d", c.rotate, c.flip, got, err, c.want)
		}
	}
	if _, err := ParseTransform(45, ""); err == nil || !strings.Contains(err.Error(), "got 45") {
		t.Errorf("45 degrees: %v", err)
	}
	if _, err := ParseTransform(0, "up"); err == nil || !strings.Contains(err.Error(), `"up"`) {
		t.Errorf("flip up: %v", err)
	}
	// Then is what applying one after the other does.
	src := noise(rand.New(rand.NewPCG(1, 1)), 5, 3, 0)
	for a := Normal; a <= Rotate270; a++ {
		for b := Normal; b <= Rotate270; b++ {
			one, _ := a.Apply(nil, src)
			two, _ := b.Apply(nil, one)
			got, _ := a.Then(b).Apply(nil, src)
			if got.Width != two.Width || !bytes.Equal(got.Data, two.Data) {
				t.Errorf("%d then %d is not %d", a, b, a.Then(b))
			}
		}
	}
}

func TestView(t *testing.T) {
	src := noise(rand.New(rand.NewPCG(1, 1)), 100, 50, 7)
	src.Seq = 3
	for _, c := range []struct {
		r          Rect
		x, y, w, h int
	}{
		{Rect{0, 0, 1, 1}, 0, 0, 100, 50},
		{Rect{0.25, 0.5, 0.5, 0.5}, 25, 25, 50, 25},
		{Rect{0.5, 0.5, 2, 2}, 50, 25, 50, 25},
		{Rect{1, 1, 0, 0}, 99, 49, 1, 1},
		{Rect{0, 0, 0, 0}, 0, 0, 1, 1},
	} {
		f, err := View(src, c.r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != c.w || f.Height != c.h || f.Seq != 3 || &f.Data[0] != &src.Data[c.y*src.Stride+3*c.x] {
			t.Errorf("%+v: got %dx%d", c.r, f.Width, f.Height)
		}
		if err := Check(f); err != nil {
			t.Errorf("%+v: %v", c.r, err)
		}
		if at(f, c.w-1, c.h-1) != at(src, c.x+c.w-1, c.y+c.h-1) {
			t.Errorf("%+v: the last pixel is another one", c.r)
		}
	}
	if _, err := View(vision.Frame{Format: vision.JPEG}, Rect{0, 0, 1, 1}); err == nil {
		t.Error("a frame that isn't BGR is accepted")
	}
}

// picture draws a mask of a white picture, a character a pixel.
func picture(t *testing.T, polygons [][]Point, w, h int) string {
	t.Helper()
	m, err := NewMask(polygons, w, h)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFrame(nil, w, h)
	for i := range f.Data {
		f.Data[i] = 255
	}
	if err := m.Apply(f); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for y := range h {
		for x := range w {
			switch at(f, x, y) {
			case 0:
				b.WriteByte('#')
			case 0xFFFFFF:
				b.WriteByte('.')
			default:
				b.WriteByte('?')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestMask(t *testing.T) {
	rect := func(x0, y0, x1, y1 float64) []Point { return []Point{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}} }
	for name, c := range map[string]struct {
		polygons [][]Point
		want     string
	}{
		"none":             {nil, "........\n........\n........\n........\n"},
		"whole":            {[][]Point{rect(0, 0, 1, 1)}, "########\n########\n########\n########\n"},
		"beyond":           {[][]Point{rect(-5, 0.5, 5, 9)}, "........\n........\n########\n########\n"},
		"outside":          {[][]Point{rect(1.5, 0, 2, 1), rect(0, -3, 1, -1)}, "........\n........\n........\n........\n"},
		"exact":            {[][]Point{rect(0.25, 0.25, 0.5, 0.75)}, "........\n..##....\n..##....\n........\n"},
		"touched":          {[][]Point{rect(0.2, 0.2, 0.51, 0.51)}, ".####...\n.####...\n.####...\n........\n"},
		"overlapping":      {[][]Point{rect(0, 0, 0.5, 0.5), rect(0.25, 0.25, 0.75, 0.75)}, "####....\n######..\n..####..\n........\n"},
		"a hair":           {[][]Point{{{0, 0.55}, {1, 0.55}, {1, 0.551}}}, "........\n........\n########\n........\n"},
		"triangle":         {[][]Point{{{0, 0}, {1, 1}, {0, 1}}}, "##......\n####....\n######..\n########\n"},
		"twice around":     {[][]Point{append(rect(0, 0, 1, 1), rect(0, 0, 1, 1)...)}, "#......#\n#......#\n#......#\n#......#\n"},
		"hole by even-odd": {[][]Point{{{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}, {0.25, 0.25}, {0.75, 0.25}, {0.75, 0.75}, {0.25, 0.75}, {0.25, 0.25}}}, ""},
	} {
		got := picture(t, c.polygons, 8, 4)
		switch name {
		case "hole by even-odd":
			if strings.Count(got, ".") != 8 || !strings.Contains(got, "##....##") {
				t.Errorf("%s:\n%s", name, got)
			}
		case "twice around":
			if !strings.Contains(got, "......") {
				t.Errorf("%s:\n%s", name, got)
			}
		default:
			if got != c.want {
				t.Errorf("%s:\n%swant\n%s", name, got, c.want)
			}
		}
	}
	if _, err := NewMask([][]Point{{{0, 0}, {1, 1}}}, 8, 4); err == nil || !strings.Contains(err.Error(), "3 corners, got 2") {
		t.Errorf("two corners: %v", err)
	}
	nan := 0.0
	nan /= nan
	if _, err := NewMask([][]Point{{{0, 0}, {1, nan}, {1, 1}}}, 8, 4); err == nil {
		t.Error("a corner that isn't a number is accepted")
	}
	m, err := NewMask(nil, 8, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(NewFrame(nil, 4, 8)); err == nil || m.Fits(NewFrame(nil, 4, 8)) {
		t.Error("a mask is applied to a picture of another size")
	}
}

// No point of a polygon may show, whatever its shape.
func TestMaskCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	for range 300 {
		w, h := 1+r.IntN(40), 1+r.IntN(40)
		a, b, c := Point{r.Float64()*1.4 - 0.2, r.Float64()*1.4 - 0.2}, Point{r.Float64(), r.Float64()}, Point{r.Float64(), r.Float64()}
		masked := picture(t, [][]Point{{a, b, c}}, w, h)
		for range 200 {
			u, v := r.Float64(), r.Float64()
			if u+v > 1 {
				u, v = 1-u, 1-v
			}
			x := int((a.X + u*(b.X-a.X) + v*(c.X-a.X)) * float64(w))
			y := int((a.Y + u*(b.Y-a.Y) + v*(c.Y-a.Y)) * float64(h))
			if inX, inY := a.X+u*(b.X-a.X)+v*(c.X-a.X), a.Y+u*(b.Y-a.Y)+v*(c.Y-a.Y); inX < 0 || inX >= 1 || inY < 0 || inY >= 1 {
				continue
			}
			if masked[y*(w+1)+x] != '#' {
				t.Fatalf("pixel (%d, %d) of %dx%d shows in %v %v %v:\n%s", x, y, w, h, a, b, c, masked)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	var e Encoder
	for _, size := range [][2]int{{64, 48}, {33, 17}, {1, 1}, {2, 1}, {1, 9}} {
		src := drawn(size[0], size[1])
		data, err := e.Encode(src, 95)
		if err != nil {
			t.Fatal(err)
		}
		var d GoDecoder
		f, err := d.Decode(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != src.Width || f.Height != src.Height {
			t.Fatalf("%v: got %dx%d", size, f.Width, f.Height)
		}
		if _, mean := differ(f.Data, src.Data); mean > 6 {
			t.Errorf("%v: differs by %.2f in the mean", size, mean)
		}
	}
	// A colour keeps its channels.
	red := NewFrame(nil, 16, 16)
	for i := 2; i < len(red.Data); i += 3 {
		red.Data[i] = 255
	}
	data, err := e.Encode(red, 0)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if c := color.NRGBAModel.Convert(img.At(8, 8)).(color.NRGBA); c.R < 250 || c.G > 5 || c.B > 5 {
		t.Errorf("red comes out as %v", c)
	}
	for name, err := range map[string]error{
		"quality 101": func() error { _, err := e.Encode(red, 101); return err }(),
		"no frame":    func() error { _, err := e.Encode(vision.Frame{}, 80); return err }(),
		"too wide":    func() error { _, err := e.Encode(NewFrame(nil, 65536, 1), 80); return err }(),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSnapshot(t *testing.T) {
	var e Encoder
	for _, c := range []struct{ w, h, maxSide, wantW, wantH int }{
		{160, 90, 80, 80, 45}, {90, 160, 80, 45, 80}, {160, 90, 0, 160, 90}, {160, 90, 200, 160, 90}, {500, 1, 100, 100, 1},
	} {
		data, err := e.Snapshot(drawn(c.w, c.h), c.maxSide, 80)
		if err != nil {
			t.Fatal(err)
		}
		info, err := Probe(data, Limits{})
		if err != nil || info.Width != c.wantW || info.Height != c.wantH {
			t.Errorf("%+v: got %+v, %v", c, info, err)
		}
	}
}

func TestFingerprint(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, size := range [][2]int{{1, 1}, {10, 10}, {640, 480}, {1280, 720}} {
		f := noise(r, size[0], size[1], 0)
		g := f
		g.Data = bytes.Clone(f.Data)
		if Fingerprint(f) != Fingerprint(g) {
			t.Errorf("%v: identical frames differ", size)
		}
		for i := range g.Data { // the noise of a sensor
			g.Data[i] += byte(r.IntN(50) / 49)
		}
		if size[0] > 1 && Fingerprint(f) == Fingerprint(g) {
			t.Errorf("%v: another picture has the same fingerprint", size)
		}
	}
	small := noise(r, 50, 50, 0)
	before := Fingerprint(small)
	for i := range small.Data {
		small.Data[i] ^= 1
		if Fingerprint(small) == before {
			t.Fatalf("byte %d doesn't count", i)
		}
		small.Data[i] ^= 1
	}
	padded := noise(r, 20, 20, 4)
	before = Fingerprint(padded)
	padded.Data[60] ^= 0xFF
	if Fingerprint(padded) != before {
		t.Error("padding counts")
	}
	if Fingerprint(vision.Frame{Format: vision.JPEG, Data: []byte("abc")}) == Fingerprint(vision.Frame{Format: vision.JPEG, Data: []byte("abd")}) {
		t.Error("compressed frames aren't told apart")
	}
}

func BenchmarkFingerprint720p(b *testing.B) {
	f := noise(rand.New(rand.NewPCG(1, 1)), 1280, 720, 0)
	b.ReportAllocs()
	for b.Loop() {
		Fingerprint(f)
	}
}

func BenchmarkOrientation720p(b *testing.B) {
	f := noise(rand.New(rand.NewPCG(1, 1)), 1280, 720, 0)
	for _, o := range []Orientation{Rotate90, Rotate180} {
		b.Run(map[Orientation]string{Rotate90: "90", Rotate180: "180"}[o], func(b *testing.B) {
			buf := make([]byte, len(f.Data))
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				if _, err := o.Apply(buf, f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

func BenchmarkMask720p(b *testing.B) {
	f := noise(rand.New(rand.NewPCG(1, 1)), 1280, 720, 0)
	m, err := NewMask([][]Point{{{0, 0}, {0.5, 0.1}, {0.3, 0.6}}, {{0.7, 0.7}, {1, 0.7}, {1, 1}, {0.7, 1}}}, 1280, 720)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Apply(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode720p(b *testing.B) {
	f := drawn(1280, 720)
	var e Encoder
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		if _, err := e.Encode(f, 85); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}

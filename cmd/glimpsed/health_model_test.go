package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/glimpsed/glimpsed/infer/infertest"
	"github.com/glimpsed/glimpsed/infer/litert"
	"github.com/glimpsed/glimpsed/models"
)

// faults are ways to spoil a picture, written for this test alone.
var faults = map[string]func(x, y int, c color.RGBA, rng *rand.Rand) color.RGBA{
	"dark":        func(_, _ int, c color.RGBA, _ *rand.Rand) color.RGBA { return scaled(c, 0.12, 0) },
	"overexposed": func(_, _ int, c color.RGBA, _ *rand.Rand) color.RGBA { return scaled(c, 3, 60) },
	"covered": func(x, y int, _ color.RGBA, _ *rand.Rand) color.RGBA {
		return color.RGBA{uint8(170 + x/30), uint8(110 + y/40), 90, 255}
	},
	"noisy": func(_, _ int, c color.RGBA, rng *rand.Rand) color.RGBA {
		return color.RGBA{jitter(c.R, rng), jitter(c.G, rng), jitter(c.B, rng), 255}
	},
	"low_contrast": func(_, _ int, c color.RGBA, _ *rand.Rand) color.RGBA { return scaled(c, 0.2, 110) },
	"color_cast": func(_, _ int, c color.RGBA, _ *rand.Rand) color.RGBA {
		return color.RGBA{clamped(1.5 * float64(c.R)), c.G, clamped(0.4 * float64(c.B)), 255}
	},
}

func scaled(c color.RGBA, by, plus float64) color.RGBA {
	return color.RGBA{clamped(float64(c.R)*by + plus), clamped(float64(c.G)*by + plus), clamped(float64(c.B)*by + plus), 255}
}

func jitter(v uint8, rng *rand.Rand) uint8 { return clamped(float64(v) + 45*rng.NormFloat64()) }

func clamped(v float64) uint8 { return uint8(min(max(v, 0), 255)) }

// spoil makes PNG files LABEL_N.png of pictures, with the fault LABEL.
func spoil(t *testing.T, pictures []string, dir string) {
	t.Helper()
	for n, file := range pictures {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		good, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for label, fault := range faults {
			rng := rand.New(rand.NewPCG(uint64(n), uint64(len(label))))
			b := good.Bounds()
			bad := image.NewRGBA(b)
			for y := b.Min.Y; y < b.Max.Y; y++ {
				for x := b.Min.X; x < b.Max.X; x++ {
					bad.SetRGBA(x, y, fault(x, y, color.RGBAModel.Convert(good.At(x, y)).(color.RGBA), rng))
				}
			}
			var out bytes.Buffer
			if err := png.Encode(&out, bad); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, label), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, label, filepath.Base(file)+".png"), out.Bytes())
		}
	}
}

// The embedded model tells what is wrong with pictures that were spoilt in ways it was not trained with.
func TestEmbeddedModelSeesWhatIsWrong(t *testing.T) {
	if !litert.Built {
		t.Skip("needs LiteRT: this binary was built without cgo")
	}
	library := infertest.Library(t, "LITERT", "libLiteRt.so")
	dir := t.TempDir()
	spoil(t, samplePictures(t, 6), dir)
	p := start(t, nil, "eval", "--model", models.CameraHealth, "--set", "infer.library="+library, "--format", "json", dir)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	var report struct {
		Pictures int
		Top1     float64
	}
	if err := json.Unmarshal([]byte(p.out()), &report); err != nil {
		t.Fatalf("%v in %.300s", err, p.out())
	}
	if want := 6 * len(faults); report.Pictures != want || report.Top1 < 0.85 {
		t.Errorf("%d pictures of %d, top-1 %.3f", report.Pictures, want, report.Top1)
	}
}

// samplePictures are some of the ImageNet pictures in ../shared.
func samplePictures(t *testing.T, n int) []string {
	t.Helper()
	root := os.Getenv("GLIMPSED_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(root, "data", "imagenet-samples", "*.JPEG"))
	if err != nil || len(files) < n {
		t.Skipf("needs ../shared: %d pictures in %s", len(files), root)
	}
	var out []string
	for i := range n {
		out = append(out, files[i*len(files)/n])
	}
	return out
}

// With health.every, a daemon says what is wrong with its camera's picture.
func TestHealthIsPublished(t *testing.T) {
	m := newTiny(t)
	dir := t.TempDir()
	spoil(t, samplePictures(t, 2), dir)
	p := start(t, nil, append([]string{"run", "--print", "--set", "device=porch", "--set", "broker.listen=127.0.0.1:0", "--set", "health.every=200ms",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=" + filepath.Join(dir, "dark"), "--set", "cameras[0].fps=10"}, m.settings()...)...)
	s := subscribe(t, p.find(p.out, `Publishing on (tcp://\S+)\.`))
	var health struct {
		Label string
		Model struct{ Name string }
		Top   []struct{ Label string }
	}
	eventually(t, "an opinion", func() bool {
		for _, text := range s.on("glimpsed/porch/front/health") {
			if err := json.Unmarshal([]byte(text), &health); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if health.Label == "dark" {
				return true
			}
		}
		return false
	})
	if health.Model.Name != models.CameraHealth || len(health.Top) != 3 {
		t.Errorf("got %+v", health)
	}
	eventually(t, "results beside it", func() bool { return len(s.on("glimpsed/porch/front/result")) > 0 })
}

package opencv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

func decoder(t testing.TB) *Decoder {
	t.Helper()
	d, err := NewDecoder()
	if err != nil {
		t.Skipf("needs OpenCV: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// differ returns the largest and the mean absolute difference.
func differ(a, b []byte) (most int, mean float64) {
	sum := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		sum += max(d, -d)
		most = max(most, d, -d)
	}
	return most, float64(sum) / float64(len(a))
}

// withOrientation puts an EXIF segment behind a JPEG's SOI.
func withOrientation(jpg []byte, o uint16) []byte {
	body := []byte("\xFF\xD8\xFF\xE1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00")
	body = binary.LittleEndian.AppendUint16(body, o)
	return append(append(body, 0, 0, 0, 0, 0, 0), jpg[2:]...)
}

func TestAgreesWithGo(t *testing.T) {
	d := decoder(t)
	var pure imaging.GoDecoder
	files, err := filepath.Glob("../testdata/format-*")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d pictures, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			data := read(t, name)
			want, err := pure.Decode(data, imaging.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Decode(data, imaging.Options{MinSide: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if got.Width != want.Width || got.Height != want.Height || got.Format != vision.BGR {
				t.Fatalf("got %v of %dx%d, want %dx%d", got.Format, got.Width, got.Height, want.Width, want.Height)
			}
			most, mean := differ(got.Data, want.Data)
			t.Logf("largest difference %d, mean %.3f", most, mean)
			limit := 0
			switch filepath.Ext(name) {
			case ".jpg", ".webp":
				limit = 3
			}
			if strings.Contains(name, "cmyk") {
				mean = 0 // OpenCV rounds down when it multiplies by black
			}
			if most > limit || mean > 0.3 {
				t.Errorf("differs from the Go decoder by up to %d, %.3f in the mean", most, mean)
			}
		})
	}
}

func TestOrientation(t *testing.T) {
	d := decoder(t)
	var pure imaging.GoDecoder
	for o := uint16(1); o <= 8; o++ {
		data := withOrientation(read(t, "format-rgb.jpg"), o)
		want, err := pure.Decode(data, imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(data, imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Width != want.Width || got.Height != want.Height {
			t.Fatalf("orientation %d: got %dx%d, want %dx%d", o, got.Width, got.Height, want.Width, want.Height)
		}
		if most, _ := differ(got.Data, want.Data); most > 3 {
			t.Errorf("orientation %d: differs by %d", o, most)
		}
	}
}

func TestMinSide(t *testing.T) {
	d := decoder(t)
	var e imaging.Encoder
	data, err := e.Encode(slopes(640, 400), 90)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ minSide, width, height int }{
		{0, 640, 400}, {401, 640, 400}, {400, 640, 400}, {201, 640, 400}, {200, 320, 200}, {100, 160, 100}, {50, 80, 50}, {1, 80, 50},
	} {
		f, err := d.Decode(data, imaging.Options{MinSide: c.minSide})
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != c.width || f.Height != c.height {
			t.Errorf("shorter side at least %d: got %dx%d, want %dx%d", c.minSide, f.Width, f.Height, c.width, c.height)
		}
	}
}

func TestBadPictures(t *testing.T) {
	d := decoder(t)
	jpg, pic := read(t, "format-rgb.jpg"), read(t, "format-rgb.png")
	damaged := bytes.Clone(pic)
	damaged[len(damaged)/2] ^= 0xFF
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":   {nil, imaging.ErrEmpty},
		"text":    {[]byte("hello"), imaging.ErrNotPicture},
		"cut":     {jpg[:len(jpg)/2], imaging.ErrTruncated},
		"cut PNG": {pic[:len(pic)/2], imaging.ErrTruncated},
		"damaged": {damaged, imaging.ErrCorrupt},
		"no size": {[]byte{0xFF, 0xD8, 0xFF, 0xD9}, imaging.ErrCorrupt},
	} {
		if _, err := d.Decode(c.data, imaging.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	// It goes on working afterwards, into the caller's buffer.
	buf := make([]byte, 43*31*3)
	f, err := d.Decode(jpg, imaging.Options{Buffer: buf})
	if err != nil || &f.Data[0] != &buf[0] {
		t.Errorf("after the errors: %v, or not into the buffer", err)
	}
	if _, err := d.Decode(jpg, imaging.Options{Limits: imaging.Limits{Pixels: 10}}); !errors.Is(err, imaging.ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}

// Without OpenCV the error says how to get it.
func TestStub(t *testing.T) {
	if Available {
		return
	}
	if _, err := NewDecoder(); err == nil || !strings.Contains(err.Error(), "-tags gocv") {
		t.Errorf("got %v", err)
	}
}

func slopes(w, h int) vision.Frame {
	f := imaging.NewFrame(nil, w, h)
	state := uint32(1)
	for y := range h {
		row := imaging.Row(f, y)
		for x := range row {
			state = state*1664525 + 1013904223
			row[x] = byte(40 + 120*x/(3*w) + 60*y/h + 20*(x/90%2) + int(state>>29))
		}
	}
	return f
}

func BenchmarkDecodeJPEG720p(b *testing.B) {
	d := decoder(b)
	var e imaging.Encoder
	data, err := e.Encode(slopes(1280, 720), 90)
	if err != nil {
		b.Fatal(err)
	}
	data = bytes.Clone(data)
	for name, minSide := range map[string]int{"full": 0, "half": 256} {
		b.Run(name, func(b *testing.B) {
			var f vision.Frame
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				if f, err = d.Decode(data, imaging.Options{Buffer: f.Data, MinSide: minSide}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is the process's own CPU time: on a busy machine it says more than the wall clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

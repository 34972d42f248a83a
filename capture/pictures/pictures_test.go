package pictures

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/capturetest"
	"github.com/glimpsed/glimpsed/vision"
)

// picture is a small picture of one grey.
func picture(t *testing.T, encode string, grey uint8) []byte {
	img := image.NewGray(image.Rect(0, 0, 16, 8))
	for i := range img.Pix {
		img.Pix[i] = grey
	}
	var b bytes.Buffer
	var err error
	switch encode {
	case "png":
		err = png.Encode(&b, img)
	case "png16":
		deep := image.NewNRGBA64(img.Rect)
		for i := range 16 * 8 {
			deep.SetNRGBA64(i%16, i/16, color.NRGBA64{uint16(grey) << 8, uint16(grey) << 8, uint16(grey) << 8, 0x8000})
		}
		err = png.Encode(&b, deep)
	default:
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func folder(t *testing.T, files map[string][]byte) string {
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, source string, loop bool) (capture.Source, *bytes.Buffer, error) {
	var log bytes.Buffer
	cfg := capture.DefaultConfig()
	cfg.Name, cfg.Source, cfg.Loop = "test", source, loop
	src, err := Opener(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { src.Close() })
	}
	return src, &log, err
}

func read(t *testing.T, src capture.Source) vision.Frame {
	t.Helper()
	f, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestConformance(t *testing.T) {
	dir := folder(t, map[string][]byte{"b.png": picture(t, "png", 90), "a.jpg": picture(t, "jpeg", 20), "c.png": picture(t, "png16", 200), "notes.txt": []byte("no picture")})
	for name, source := range map[string]string{"folder": dir, "glob": filepath.Join(dir, "[abc].*")} {
		t.Run(name, func(t *testing.T) {
			cfg := capture.DefaultConfig()
			cfg.Source = source
			capturetest.Run(t, capturetest.Subject{
				Open: Opener(Options{Logger: slog.New(slog.DiscardHandler)}), Config: cfg, Width: 16, Height: 8, Frames: 3,
			})
		})
	}
}

// What can't be shown is named once, not in every round, and the rest is shown in order.
func TestBrokenFilesAreReportedOnce(t *testing.T) {
	whole := picture(t, "jpeg", 100)
	dir := folder(t, map[string][]byte{
		"1.jpg": whole, "2-empty.jpg": nil, "3-cut.jpg": whole[:len(whole)/2], "4.png": picture(t, "png", 50),
		"notes.txt": []byte("buy milk"), ".hidden.jpg": whole,
	})
	src, log, err := open(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for _, want := range []string{"1.jpg", "4.png"} {
			f := read(t, src)
			if filepath.Base(f.Source) != want {
				t.Errorf("round %d shows %s, want %s", round, f.Source, want)
			}
			f.Release()
		}
	}
	for _, name := range []string{"2-empty.jpg", "3-cut.jpg", "notes.txt"} {
		if n := strings.Count(log.String(), "file="+filepath.Join(dir, name)); n != 1 {
			t.Errorf("%s is reported %d times, want once:\n%s", name, n, log)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines logged, want 3:\n%s", n, log)
	}
}

// A picture that is added while the folder is shown appears in the next round.
func TestNewPicturesAppear(t *testing.T) {
	dir := folder(t, map[string][]byte{"a.png": picture(t, "png", 10)})
	src, _, err := open(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	read(t, src).Release()
	if err := os.WriteFile(filepath.Join(dir, "b.png"), picture(t, "png", 20), 0o644); err != nil {
		t.Fatal(err)
	}
	read(t, src).Release()
	f := read(t, src)
	defer f.Release()
	if filepath.Base(f.Source) != "b.png" || f.Data[0] != 20 {
		t.Errorf("shows %s, want the new b.png", f.Source)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"no such folder", filepath.Join(t.TempDir(), "gone") + "/", "no such file"},
		{"empty folder", folder(t, nil), "there is no picture in this folder"},
		{"only text", folder(t, map[string][]byte{"a.txt": []byte("a")}), "there is no picture in this folder"},
		{"glob", filepath.Join(t.TempDir(), "*.jpg"), "no file matches"},
		{"bad glob", filepath.Join(t.TempDir(), "[.jpg"), "syntax error in pattern"},
		{"only broken ones", folder(t, map[string][]byte{"a.jpg": []byte("text"), "b.jpg": nil}), "none of its 2 files is a picture that can be decoded; of a.jpg: file is not a picture"},
		{"a broken one", filepath.Join(folder(t, map[string][]byte{"a.jpg": nil}), "a.jpg"), "a.jpg: picture is empty (0 bytes)"},
		{"no such picture", filepath.Join(t.TempDir(), "gone.jpg"), "gone.jpg: no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, _, err := open(t, c.source, true)
			if err == nil {
				_, err = src.Read(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.source) {
				t.Errorf("error is %v, want one with %q and the source", err, c.want)
			}
			if n := strings.Count(err.Error(), c.source); n > 1 {
				t.Errorf("error %q says the path %d times", err, n)
			}
			if errors.Is(err, capture.ErrEnded) {
				t.Error("it is said to have ended")
			}
		})
	}
}

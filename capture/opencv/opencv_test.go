//go:build gocv

package opencv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/capturetest"
)

// grab relies on it.
func TestVideoCaptureIsOnePointer(t *testing.T) {
	typ := reflect.TypeFor[gocv.VideoCapture]()
	if typ.NumField() != 1 || typ.Field(0).Type.Kind() != reflect.UnsafePointer && typ.Field(0).Type.Kind() != reflect.Pointer {
		t.Fatalf("gocv.VideoCapture is %v, not one pointer: native.go has to be adapted", typ)
	}
}

func TestConformance(t *testing.T) {
	clip := []string{"-i", "testsrc=size=160x120:rate=100", "-frames:v", "20", "-pix_fmt", "yuv420p"}
	for _, c := range []struct {
		name    string
		subject func(t *testing.T) capturetest.Subject
	}{
		{"mp4 at its own pace", func(t *testing.T) capturetest.Subject {
			return capturetest.Subject{Config: config(makeVideo(t, "clip.mp4", clip...)), Width: 160, Height: 120, Frames: 20}
		}},
		{"avi as fast as possible", func(t *testing.T) capturetest.Subject {
			cfg := config(makeVideo(t, "clip.avi", clip...))
			cfg.Pace = capture.PaceFast
			return capturetest.Subject{Config: cfg, Width: 160, Height: 120, Frames: 20}
		}},
		{"raw h264, which can't be rewound", func(t *testing.T) capturetest.Subject {
			cfg := config(makeVideo(t, "clip.h264", clip...))
			cfg.Pace = capture.PaceFast
			return capturetest.Subject{Config: cfg, Width: 160, Height: 120, Frames: 20}
		}},
		{"rtsp over tcp", func(t *testing.T) capturetest.Subject {
			return capturetest.Subject{Config: config("rtsp://" + serveRTSP(t) + "/live"), Width: 320, Height: 240, Cycles: 2}
		}},
		{"rtsp over udp with a login", func(t *testing.T) capturetest.Subject {
			cfg := config("rtsp://admin:s3cret-word@" + serveRTSP(t, "--user=admin", "--password=s3cret-word") + "/live")
			cfg.RTSPTransport = capture.TransportUDP
			return capturetest.Subject{Config: cfg, Width: 320, Height: 240, Secret: "s3cret", Cycles: 2}
		}},
		{"mjpeg over http with a login", func(t *testing.T) capturetest.Subject {
			srv := serveMJPEG(t, "admin", "s3cret-word", nil)
			source := strings.Replace(srv.URL, "http://", "http://admin:s3cret-word@", 1) + "/stream"
			return capturetest.Subject{Config: config(source), Width: 160, Height: 120, Secret: "s3cret"}
		}},
		{"mp4 over http", func(t *testing.T) capturetest.Subject {
			srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(makeVideo(t, "clip.mp4", clip...)))))
			t.Cleanup(srv.Close)
			cfg := config(srv.URL + "/clip.mp4")
			cfg.Pace = capture.PaceFast
			return capturetest.Subject{Config: cfg, Width: 160, Height: 120, Frames: 20}
		}},
		{"gstreamer", func(*testing.T) capturetest.Subject {
			return capturetest.Subject{
				Config: config("gstreamer:videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=60/1"),
				Width:  160, Height: 120,
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.subject(t)
			s.Open = Opener(discard())
			capturetest.Run(t, s)
		})
	}
}

// Only the transport that is configured reaches a server that speaks only that one.
func TestRTSPTransport(t *testing.T) {
	for _, server := range []string{capture.TransportTCP, capture.TransportUDP} {
		for _, client := range []string{capture.TransportTCP, capture.TransportUDP} {
			t.Run(server+" server, "+client+" client", func(t *testing.T) {
				cfg := config("rtsp://" + serveRTSP(t, "--transport="+server) + "/live")
				cfg.RTSPTransport = client
				src, err := Opener(discard())(t.Context(), cfg)
				if server != client {
					if err == nil {
						src.Close()
						t.Fatal("opened with the transport that the server refuses")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer src.Close()
				f, err := src.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				f.Release()
			})
		}
	}
}

// What users see when a source can't be opened names it and says what to do, without credentials.
func TestOpenErrors(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name   string
		source func(t *testing.T) string
		want   []string
	}{
		{"no such file", func(*testing.T) string { return filepath.Join(folder, "gone.mp4") }, []string{"gone.mp4: no such file"}},
		{"empty file", func(*testing.T) string { return write("empty.mp4", "") }, []string{"empty.mp4: the file is empty"}},
		{"not a video", func(*testing.T) string { return write("text.mp4", strings.Repeat("words ", 999)) }, []string{"text.mp4: FFmpeg finds no video"}},
		{"no such device", func(*testing.T) string { return "/dev/video977" }, []string{"opening /dev/video977: no such file or directory: is the camera plugged in?"}},
		{"not a camera", func(*testing.T) string { return "/dev/null" }, []string{"opening /dev/null: not a capture device"}},
		{"refused", func(*testing.T) string { return "rtsp://admin:s3cret-word@127.0.0.1:1/live" }, []string{"opening rtsp://***@127.0.0.1:1/live: ", "connection refused"}},
		{"no such host", func(*testing.T) string { return "rtsp://admin:s3cret-word@nowhere.invalid/live" }, []string{"nowhere.invalid"}},
		{"rtsp wrong password, digest", func(t *testing.T) string {
			return "rtsp://admin:s3cret-wrong@" + serveRTSP(t, "--user=admin", "--password=right", "--digest") + "/live"
		}, []string{"does not accept this user and password (status 401)"}},
		{"rtsp wrong path, right password, digest", func(t *testing.T) string {
			return "rtsp://admin:s3cret-word@" + serveRTSP(t, "--user=admin", "--password=s3cret-word", "--digest") + "/none"
		}, []string{"no such stream (status 404)"}},
		{"rtsp without a password", func(t *testing.T) string {
			return "rtsp://" + serveRTSP(t, "--user=admin", "--password=right") + "/live"
		}, []string{"wants a user and a password"}},
		{"rtsp on an http server", func(t *testing.T) string {
			return strings.Replace(serveMJPEG(t, "", "", nil).URL, "http:", "rtsp:", 1) + "/live"
		}, []string{"does not speak RTSP"}},
		{"http wrong password", func(t *testing.T) string {
			return strings.Replace(serveMJPEG(t, "admin", "right", nil).URL, "http://", "http://admin:s3cret-word@", 1) + "/stream"
		}, []string{"does not accept this user and password (status 401)"}},
		{"http wrong path", func(t *testing.T) string { return serveMJPEG(t, "", "", nil).URL + "/none?token=s3cret" }, []string{"no such stream (status 404)", "token=***"}},
		{"gstreamer", func(*testing.T) string {
			return "gstreamer:rtspsrc location=rtsp://127.0.0.1:1/x user-id=admin user-pw=s3cret-word ! nosuchelement"
		}, []string{"user-pw=***", `GStreamer: no element "nosuchelement"`}},
		{"gstreamer fails at once", func(*testing.T) string { return "gstreamer:filesrc location=/nowhere ! decodebin" }, []string{`GStreamer: Resource not found`}},
		{"gstreamer fails later", func(*testing.T) string { return "gstreamer:rtspsrc location=rtsp://127.0.0.1:1/x ! decodebin" }, []string{"GStreamer: "}},
		{"gstreamer hangs", func(*testing.T) string {
			return "gstreamer:appsrc ! video/x-raw,format=BGR,width=64,height=48,framerate=5/1"
		}, []string{"delivers no picture within 1s"}},
		{"libcamera", func(*testing.T) string { return "libcamera:" }, []string{`opening libcamera: GStreamer: `, "gstreamer1.0-libcamera"}},
		{"rtsp host that is silent", func(t *testing.T) string { return "rtsp://" + silentHost(t) + "/live" }, []string{"the host does not answer within 1s"}},
		{"http host that is silent", func(t *testing.T) string { return "http://" + silentHost(t) + "/live" }, []string{"the host does not answer within 1s"}},
		{"pipe", func(t *testing.T) string {
			path := filepath.Join(folder, "pipe.mp4")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, []string{"pipe.mp4: it is no file but a pipe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(c.source(t))
			cfg.OpenTimeout = time.Second
			src, err := Opener(discard())(t.Context(), cfg)
			if err == nil {
				src.Close()
				t.Fatal("opened")
			}
			for _, w := range append(c.want, "opening ") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if n := strings.Count(err.Error(), cfg.Source); n > 1 {
				t.Errorf("error %q says %s %d times", err, cfg.Source, n)
			}
			if strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), "s3cret") {
				t.Errorf("error shows the password: %v", err)
			}
		})
	}
}

// A host that accepts connections and says nothing doesn't hold up another camera, and is given up.
func TestHangingOpenIsBounded(t *testing.T) {
	silent := silentHost(t)
	cfg := config("rtsp://" + silent + "/live")
	cfg.OpenTimeout = time.Second
	failed := make(chan error, 1)
	go func() {
		_, err := Opener(discard())(context.Background(), cfg)
		failed <- err
	}()
	time.Sleep(100 * time.Millisecond)
	other, err := Opener(discard())(t.Context(), config("rtsp://"+serveRTSP(t)+"/live"))
	if err != nil {
		t.Fatalf("another camera meanwhile: %v", err)
	}
	other.Close()
	select {
	case err := <-failed:
		if err == nil {
			t.Fatal("opened a host that says nothing")
		}
	case <-time.After(15 * time.Second):
		t.Fatal("opening is not bounded")
	}
}

// A recording plays at its own pace, however fast it could be read.
func TestNativePace(t *testing.T) {
	path := makeVideo(t, "slow.mp4", "-i", "testsrc=size=64x48:rate=20", "-frames:v", "10", "-pix_fmt", "yuv420p")
	for _, c := range []struct {
		pace     string
		min, max time.Duration
	}{{capture.PaceNative, 400 * time.Millisecond, 5 * time.Second}, {capture.PaceFast, 0, 400 * time.Millisecond}} {
		cfg := config(path)
		cfg.Pace, cfg.Loop = c.pace, false
		src, err := Opener(discard())(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var first, last time.Time
		for i := range 10 {
			f, err := src.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if last = f.CapturedAt; i == 0 {
				first = last
			}
			f.Release()
		}
		src.Close()
		if d := last.Sub(first); d < c.min || d > c.max {
			t.Errorf("pace %s: 10 pictures of a video of 20 a second span %v, want %v to %v", c.pace, d, c.min, c.max)
		}
	}
}

func TestCompletePipeline(t *testing.T) {
	for in, want := range map[string]string{
		"videotestsrc":                         "videotestsrc" + newestOnly,
		"videotestsrc ! ":                      "videotestsrc" + newestOnly,
		"videotestsrc ! videoconvert !appsink": "videotestsrc ! videoconvert !appsink",
	} {
		if got := completePipeline(in); got != want {
			t.Errorf("completePipeline(%q) = %q, want %q", in, got, want)
		}
	}
	cfg := config("libcamera:")
	cfg.Width, cfg.Height, cfg.CaptureFPS = 1280, 720, 29.97
	want := `libcamerasrc camera-name="/base/soc/cam" ! video/x-raw,width=1280,height=720,framerate=29970/1000` + newestOnly
	if got := libcameraPipeline(cfg, "/base/soc/cam"); got != want {
		t.Errorf("libcamera pipeline is %q, want %q", got, want)
	}
}

func BenchmarkRead1280x720(b *testing.B) {
	cfg := config(makeVideo(b, "clip.mp4", "-i", "testsrc=size=1280x720:rate=30", "-frames:v", "60", "-pix_fmt", "yuv420p"))
	cfg.Pace = capture.PaceFast
	src, err := Opener(discard())(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	var decode time.Duration
	b.ReportAllocs()
	for b.Loop() {
		f, err := src.Read(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		decode += f.Decode
		f.Release()
	}
	b.ReportMetric(float64(decode.Microseconds())/float64(b.N), "decode-µs/frame")
}

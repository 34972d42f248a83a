package capture

import (
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	for _, c := range []struct {
		text string
		want Pattern
		err  string
	}{
		{"", Pattern{640, 480, 25}, ""},
		{"1280x720", Pattern{1280, 720, 25}, ""},
		{"1280x720@30", Pattern{1280, 720, 30}, ""},
		{"@0", Pattern{640, 480, 0}, ""},
		{"1x1@12.5", Pattern{1, 1, 12.5}, ""},
		{"big", Pattern{}, "pattern:big: the size must be WIDTHxHEIGHT of 1 to 8192 pixels, such as pattern:1280x720@30"},
		{"0x10", Pattern{}, "pattern:0x10: the size must be WIDTHxHEIGHT of 1 to 8192 pixels, such as pattern:1280x720@30"},
		{"@-1", Pattern{}, "pattern:@-1: the rate must be 0 (as fast as possible) to 1000 frames a second, such as pattern:1280x720@30"},
	} {
		got, err := ParsePattern(c.text)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("ParsePattern(%q): error %v, want %s", c.text, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("ParsePattern(%q) = %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
}

// What can't work whatever is plugged in is refused before it is tried, with the key and what to write instead.
func TestSourcesThatCannotWork(t *testing.T) {
	for source, want := range map[string]string{
		"":                        "must be a camera",
		"pattern:abc":             "pattern:abc: the size must be WIDTHxHEIGHT of 1 to 8192 pixels",
		"pattern:100000x100000":   "the size must be WIDTHxHEIGHT of 1 to 8192 pixels",
		"pattern:640x480@fast":    "the rate must be 0",
		"gstreamer:":              "needs a pipeline",
		"gstreamer":               "needs a pipeline",
		"rtsp:cam/live":           "rtsp:cam/live must begin with rtsp://",
		"http:/cam/mjpeg":         "must begin with http://",
		"rtsp:///live":            "rtsp:///live has no host",
		"rtsp://u:p@/live":        "rtsp://***@/live has no host",
		"rtsp://?a=b":             "has no host",
		"rtsp://cam:0/live":       "has no valid port: it must be 1 to 65535",
		"http://cam:http/x":       "has no valid port",
		"http://cam:70000":        "has no valid port",
		"rtsp://u:pa/ss@cam/x":    "percent-encode its /, ? and #",
		"rtsp://::1/live":         "an IPv6 address must be in [ ]",
		"rtsp://[::1/live":        "has no valid IPv6 address in [ ]",
		"rtsp://[cam]/live":       "has no valid IPv6 address in [ ]",
		"http://my cam/mjpeg":     "has white space in its host",
		"http://cam/a\nb":         "has a control character in it",
		"shots/[a-.jpg":           "is no glob",
		"/dev/":                   "/dev/ is no device",
		"0":                       "the camera of that number is /dev/video0",
		"rtmp://u:p@h/app":        "rtmp:// is no kind of source; use auto, /dev/videoN, libcamera:, rtsp://, rtsps://, http://, https://, gstreamer:, pattern:, or the path of",
		"file:///srv/video/x.mp4": "file:// is no kind of source",
	} {
		cfg := DefaultConfig()
		cfg.Name, cfg.Source = "front", source
		err := cfg.Validate("cameras[0]")
		if err == nil || !strings.HasPrefix(err.Error(), "cameras[0].source: ") || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "u:p") {
			t.Errorf("source %q: %v, want cameras[0].source and %q", source, err, want)
		}
	}
	for _, source := range []string{
		"auto", "libcamera", "rtsp://cam", "rtsp://[::1]:554/x", "rtsp://[fe80::1%25eth0]/x", "https://cam:8443/?a=b@c", "http://a@b@cam/x y",
		"rtsp://admin:p@ss/w:rd?@cam/live", "http://cam/x@y:1", "shots/[ab]*.jpg", "clips/0", "pattern", "pattern:@0", "/dev/video0",
	} {
		if _, err := ParseSource(source); err != nil {
			t.Errorf("%q is refused: %v", source, err)
		}
	}
}

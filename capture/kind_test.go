package capture

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		source   string
		kind     Kind
		target   string
		redacted string
	}{
		{"auto", KindAuto, "auto", "auto"},
		{"/dev/video0", KindV4L2, "/dev/video0", "/dev/video0"},
		{"/dev/v4l/by-id/usb-Cam-video-index0", KindV4L2, "/dev/v4l/by-id/usb-Cam-video-index0", "/dev/v4l/by-id/usb-Cam-video-index0"},
		{"libcamera:", KindLibcamera, "", "libcamera:"},
		{"libcamera:/base/soc/i2c0mux/i2c@1/imx708@1a", KindLibcamera, "/base/soc/i2c0mux/i2c@1/imx708@1a", "libcamera:/base/soc/i2c0mux/i2c@1/imx708@1a"},
		{"rtsp://cam/live", KindRTSP, "rtsp://cam/live", "rtsp://cam/live"},
		{"RTSPS://u:p@cam:322/live", KindRTSP, "RTSPS://u:p@cam:322/live", "RTSPS://***@cam:322/live"},
		{"https://cam/mjpg?user=u&password=p", KindHTTP, "https://cam/mjpg?user=u&password=p", "https://cam/mjpg?user=u&password=***"},
		{"gstreamer: videotestsrc ! appsink", KindGStreamer, "videotestsrc ! appsink", "gstreamer: videotestsrc ! appsink"},
		{"pattern:", KindPattern, "", "pattern:"},
		{"pattern:1280x720@30", KindPattern, "1280x720@30", "pattern:1280x720@30"},
		{folder, KindPictures, folder, folder},
		{"later/", KindPictures, "later/", "later/"},
		{"shots/*.jpg", KindPictures, "shots/*.jpg", "shots/*.jpg"},
		{"cat.JPEG", KindPictures, "cat.JPEG", "cat.JPEG"},
		{"clip.mp4", KindFile, "clip.mp4", "clip.mp4"},
		{"C:odd name", KindFile, "C:odd name", "C:odd name"},
	} {
		got, err := ParseSource(c.source)
		if want := (SourceSpec{c.kind, c.target, c.redacted}); err != nil || got != want {
			t.Errorf("ParseSource(%q) = %+v, %v; want %+v", c.source, got, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"rtsp://cam/live":                        "rtsp://cam/live",
		"rtsp://admin:pw@cam/live":               "rtsp://***@cam/live",
		"rtsp://admin@cam/live":                  "rtsp://***@cam/live",
		"rtsp://admin:p@ss/w:rd?@cam/live":       "rtsp://***@cam/live",
		"rtsp://cam/user=admin&password=pw&ch=1": "rtsp://cam/user=admin&password=***&ch=1",
		"http://cam/snap?token=abc&x=1#f":        "http://cam/snap?token=***&x=1#f",
		"http://cam/snap?access_token=abc":       "http://cam/snap?access_token=***",
		"open http://a:b@c/d: refused":           "open http://***@c/d: refused",
		`Get "http://a:b@c/d": EOF`:              `Get "http://***@c/d": EOF`,
		`rtspsrc user-id=me user-pw="a b" ! x`:   `rtspsrc user-id=*** user-pw=*** ! x`,
		"monkey=1 bypass=2":                      "monkey=1 bypass=2",
	} {
		if got := Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
	source := "rtsp://admin:p%40ssword@cam/live?token=t0ken"
	text := "login failed for p@ssword, p%40ssword and t0ken"
	if got, want := RedactFor(source, text), "login failed for ***, *** and ***"; got != want {
		t.Errorf("RedactFor = %q, want %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	good.Name = "front-door_2"
	if err := good.Validate("cameras[0]"); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Name = "" }, "name: must be given: it is the camera's topic level"},
		{func(c *Config) { c.Name = "a/b" }, `name: must be letters, digits, - and _ only, got "a/b"`},
		{func(c *Config) { c.Name = "stats" }, `name: must not be status, stats, cmd, diagnostics, which are topics of the device, got "stats"`},
		{func(c *Config) { c.Source = "rtsp://u:p@h:0/x" }, "source: rtsp://***@h:0/x has no valid port: it must be 1 to 65535"},
		{func(c *Config) { c.Width, c.Height = -1, 480 }, "width: must be 0 (the camera's default) to 16384 pixels, got -1"},
		{func(c *Config) { c.Width = 640 }, "height: must be given with width (640), or neither"},
		{func(c *Config) { c.Height = 480 }, "width: must be given with height (480), or neither"},
		{func(c *Config) { c.CaptureFPS = -1 }, "capture_fps: must be 0 (the camera's default) to 1000, got -1"},
		{func(c *Config) { c.FOURCC = "MJPEG" }, `fourcc: must be 4 characters, such as MJPG or YUYV, got "MJPEG"`},
		{func(c *Config) { c.FPS = -3 }, "fps: must be 0 or above, got -3"},
		{func(c *Config) { c.RTSPTransport = "http" }, `rtsp_transport: must be tcp or udp, got "http"`},
		{func(c *Config) { c.Pace = "slow" }, `pace: must be native or fast, got "slow"`},
		{func(c *Config) { c.Rotate = 45 }, "rotate: must be 0, 90, 180 or 270 degrees clockwise, got 45"},
		{func(c *Config) { c.Flip = "left" }, `flip: must be "", horizontal, vertical or both, got "left"`},
		{func(c *Config) { c.ROI.X = -0.5 }, "roi.x: must be 0 to 1, got -0.5"},
		{func(c *Config) { c.ROI.Y = 2 }, "roi.y: must be 0 to 1, got 2"},
		{func(c *Config) { c.ROI.Width = 0 }, "roi.width: must be above 0 and at most 1, got 0"},
		{func(c *Config) { c.ROI.Y, c.ROI.Height = 0.5, 0.75 }, "roi.height: must end inside the picture: y 0.5 and 0.75 make 1.25"},
		{func(c *Config) { c.Masks = [][]Point{{{0, 0}, {1, 1}}} }, "masks[0]: must have 3 points or more, got 2"},
		{func(c *Config) { c.Masks = [][]Point{{{0, 0}, {1, 1}, {1.5, 0}}} }, "masks[0][2].x: must be 0 to 1, got 1.5"},
		{func(c *Config) { c.Masks = [][]Point{{{0, 0}, {1, -1}, {1, 0}}} }, "masks[0][1].y: must be 0 to 1, got -1"},
		{func(c *Config) { c.MaxAge = 0 }, "max_age: must be above 0, got 0s"},
		{func(c *Config) { c.StallAfter = -1 }, "stall_after: must be above 0, got -1ns"},
		{func(c *Config) { c.FrozenAfter = -1 }, "frozen_after: must be 0 (off) or above, got -1ns"},
		{func(c *Config) { c.OpenTimeout = 0 }, "open_timeout: must be above 0, got 0s"},
		{func(c *Config) { c.RetryMin = 0 }, "retry_min: must be above 0, got 0s"},
		{func(c *Config) { c.RetryMax = 1 }, "retry_max: must be retry_min (1s) or above, got 1ns"},
	} {
		cfg := good
		c.change(&cfg)
		if err := cfg.Validate("cameras[0]"); err == nil || err.Error() != "cameras[0]."+c.want {
			t.Errorf("error is %v\nwant cameras[0].%s", err, c.want)
		}
	}
	bad := Config{}
	if n := strings.Count(fmt.Sprint(bad.Validate("cameras[1]")), "cameras[1]."); n < 9 {
		t.Errorf("of an empty config only %d keys are reported", n)
	}
}

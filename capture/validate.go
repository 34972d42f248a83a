package capture

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// reservedNames are topic levels of the device itself.
var reservedNames = []string{"status", "stats", "cmd", "diagnostics"}

// Validate checks every key; path is the camera's place in the configuration, such as
// "cameras[0]". All that is wrong is reported, one joined error a key.
func (c Config) Validate(path string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %s", path, key, fmt.Sprintf(format, args...)))
	}

	if err := checkName(c.Name); err != nil {
		bad("name", "%v", err)
	}
	if _, err := ParseSource(c.Source); err != nil {
		bad("source", "%v", err)
	}
	c.validateRequest(bad)
	if !(c.FPS >= 0) || math.IsInf(c.FPS, 0) {
		bad("fps", "must be 0 or above, got %v", c.FPS)
	}
	oneOf(bad, "rtsp_transport", c.RTSPTransport, TransportTCP, TransportUDP)
	oneOf(bad, "pace", c.Pace, PaceNative, PaceFast)
	if !slices.Contains([]int{0, 90, 180, 270}, c.Rotate) {
		bad("rotate", "must be 0, 90, 180 or 270 degrees clockwise, got %d", c.Rotate)
	}
	oneOf(bad, "flip", c.Flip, "", "horizontal", "vertical", "both")
	c.ROI.validate(bad)
	validateMasks(bad, c.Masks)
	c.Motion.validate(bad)

	positive := func(key string, d time.Duration) {
		if d <= 0 {
			bad(key, "must be above 0, got %v", d)
		}
	}
	positive("max_age", c.MaxAge)
	positive("stall_after", c.StallAfter)
	positive("open_timeout", c.OpenTimeout)
	positive("retry_min", c.RetryMin)
	positive("retry_max", c.RetryMax)
	if c.RetryMin > 0 && c.RetryMax > 0 && c.RetryMin > c.RetryMax {
		bad("retry_max", "must be retry_min (%v) or above, got %v", c.RetryMin, c.RetryMax)
	}
	if c.FrozenAfter < 0 {
		bad("frozen_after", "must be 0 (off) or above, got %v", c.FrozenAfter)
	}
	return errors.Join(errs...)
}

func (c Config) validateRequest(bad func(key, format string, args ...any)) {
	const most = 16384
	for _, side := range []struct {
		key   string
		value int
	}{{"width", c.Width}, {"height", c.Height}} {
		if side.value < 0 || side.value > most {
			bad(side.key, "must be 0 (the camera's default) to %d pixels, got %d", most, side.value)
		}
	}
	if c.Width > 0 && c.Height == 0 {
		bad("height", "must be given with width (%d), or neither", c.Width)
	}
	if c.Height > 0 && c.Width == 0 {
		bad("width", "must be given with height (%d), or neither", c.Height)
	}
	if !(c.CaptureFPS >= 0) || c.CaptureFPS > 1000 {
		bad("capture_fps", "must be 0 (the camera's default) to 1000, got %v", c.CaptureFPS)
	}
	if c.FOURCC != "" && !isFOURCC(c.FOURCC) {
		bad("fourcc", "must be 4 characters, such as MJPG or YUYV, got %q", c.FOURCC)
	}
}

func isFOURCC(s string) bool {
	return len(s) == 4 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func checkName(name string) error {
	if name == "" {
		return errors.New("must be given: it is the camera's topic level")
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return fmt.Errorf("must be letters, digits, - and _ only, got %q", name)
		}
	}
	if slices.Contains(reservedNames, name) {
		return fmt.Errorf("must not be %s, which are topics of the device, got %q", strings.Join(reservedNames, ", "), name)
	}
	return nil
}

func oneOf(bad func(key, format string, args ...any), key, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	names := make([]string, 0, len(allowed))
	for _, a := range allowed {
		if a == "" {
			a = `""`
		}
		names = append(names, a)
	}
	last := len(names) - 1
	bad(key, "must be %s or %s, got %q", strings.Join(names[:last], ", "), names[last], value)
}

func (r ROI) validate(bad func(key, format string, args ...any)) {
	fraction := func(v float64) bool { return v >= 0 && v <= 1 }
	if !fraction(r.X) {
		bad("roi.x", "must be 0 to 1, got %v", r.X)
	}
	if !fraction(r.Y) {
		bad("roi.y", "must be 0 to 1, got %v", r.Y)
	}
	side := func(key string, start, size float64, startKey string) {
		switch {
		case !(size > 0 && size <= 1):
			bad(key, "must be above 0 and at most 1, got %v", size)
		case fraction(start) && start+size > 1+1e-9:
			bad(key, "must end inside the picture: %s %v and %v make %v", startKey, start, size, start+size)
		}
	}
	side("roi.width", r.X, r.Width, "x")
	side("roi.height", r.Y, r.Height, "y")
}

func validateMasks(bad func(key, format string, args ...any), masks [][]Point) {
	for i, polygon := range masks {
		if len(polygon) < 3 {
			bad(fmt.Sprintf("masks[%d]", i), "must have 3 points or more, got %d", len(polygon))
		}
		for j, p := range polygon {
			if !(p.X >= 0 && p.X <= 1) {
				bad(fmt.Sprintf("masks[%d][%d].x", i, j), "must be 0 to 1, got %v", p.X)
			}
			if !(p.Y >= 0 && p.Y <= 1) {
				bad(fmt.Sprintf("masks[%d][%d].y", i, j), "must be 0 to 1, got %v", p.Y)
			}
		}
	}
}

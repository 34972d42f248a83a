package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kind is the sort of a source, which decides who opens it.
type Kind string

// The kinds of sources. What each is written like is said at ParseSource.
const (
	KindAuto      Kind = "auto"
	KindV4L2      Kind = "v4l2"
	KindLibcamera Kind = "libcamera"
	KindRTSP      Kind = "rtsp"
	KindHTTP      Kind = "http"
	KindFile      Kind = "file"
	KindPictures  Kind = "pictures"
	KindGStreamer Kind = "gstreamer"
	KindPattern   Kind = "pattern"
)

// Live says whether pictures of this kind come at their own time, whether
// somebody takes them or not.
func (k Kind) Live() bool {
	switch k {
	case KindAuto, KindV4L2, KindLibcamera, KindRTSP, KindHTTP, KindGStreamer:
		return true
	}
	return false
}

// SourceSpec is a source as it was understood.
type SourceSpec struct {
	Kind Kind
	// Target is what the kind's opener is given: the device, URL or path, or what
	// follows the prefix (a pipeline, the options of the test card).
	// It may hold credentials.
	Target string
	// Redacted is the source without credentials, fit for logs and status.
	Redacted string
}

// PictureExtensions are the file names' ends, in lower case, that make a path a picture.
var PictureExtensions = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"}

// IsPicture says whether a file's name ends like a picture's.
func IsPicture(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return slices.Contains(PictureExtensions, ext)
}

// ParseSource says of which kind a source is:
//
//	auto                       the first usable camera
//	/dev/video0, /dev/v4l/...  V4L2 (anything below /dev)
//	libcamera:[NAME]           a camera of libcamera, the first if unnamed
//	rtsp://, rtsps://          a network camera
//	http://, https://          MJPEG, a picture that is got again and again, or a video file
//	gstreamer:PIPELINE         a GStreamer pipeline
//	pattern:[WxH][@FPS]        a moving test card
//	FOLDER, GLOB, PICTURE      pictures
//	any other path             a video file
//
// What can't work whatever is plugged in is an error. The only thing it asks the system is
// whether a path is a folder or is there at all, so a path that appears later (a stick
// being mounted) is to be parsed when it is opened.
func ParseSource(source string) (SourceSpec, error) {
	spec := SourceSpec{Target: source, Redacted: Redact(source)}
	scheme, rest, hasScheme := strings.Cut(source, "://")
	prefix, after, hasPrefix := strings.Cut(source, ":")
	switch {
	case strings.TrimSpace(source) == "":
		return spec, fmt.Errorf("must be a camera, URL, file or folder, such as auto or /dev/video0")
	case source == "auto":
		spec.Kind = KindAuto
	case source == "libcamera" || hasPrefix && prefix == "libcamera":
		spec.Kind, spec.Target = KindLibcamera, after
	case source == "gstreamer" || hasPrefix && prefix == "gstreamer":
		spec.Kind, spec.Target = KindGStreamer, strings.TrimSpace(after)
		if spec.Target == "" {
			return spec, fmt.Errorf("gstreamer: needs a pipeline, such as gstreamer:videotestsrc ! videoconvert ! appsink")
		}
	case source == "pattern" || hasPrefix && prefix == "pattern":
		spec.Kind, spec.Target = KindPattern, after
		if _, err := ParsePattern(after); err != nil {
			return spec, err
		}
	case hasScheme && isScheme(scheme):
		switch strings.ToLower(scheme) {
		case "rtsp", "rtsps":
			spec.Kind = KindRTSP
		case "http", "https":
			spec.Kind = KindHTTP
		default:
			return spec, fmt.Errorf("%s:// is no kind of source; use auto, /dev/videoN, libcamera:, rtsp://, rtsps://, http://, https://, "+
				"gstreamer:, pattern:, or the path of a video file, a folder or a picture", scheme)
		}
		if err := checkURL(source, rest); err != nil {
			return spec, fmt.Errorf("%s %w", spec.Redacted, err)
		}
	case hasPrefix && slices.Contains([]string{"rtsp", "rtsps", "http", "https"}, strings.ToLower(prefix)):
		return spec, fmt.Errorf("%s must begin with %s://", spec.Redacted, strings.ToLower(prefix))
	case strings.HasPrefix(source, "/dev/"):
		spec.Kind = KindV4L2
		if strings.HasSuffix(source, "/") {
			return spec, fmt.Errorf("%s is no device, such as /dev/video0", source)
		}
	case isNumber(source) && !exists(source):
		return spec, fmt.Errorf("%s is no path; the camera of that number is /dev/video%s", source, source)
	case strings.ContainsAny(source, "*?[") || strings.HasSuffix(source, "/") || IsPicture(source) || isFolder(source):
		spec.Kind = KindPictures
		if _, err := filepath.Match(source, ""); err != nil && !exists(source) {
			return spec, fmt.Errorf("%s is no glob: a [ lacks its ], or stands for itself and must be written \\[", source)
		}
	default:
		spec.Kind = KindFile
	}
	return spec, nil
}

func isScheme(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+.-", r)) {
			return false
		}
	}
	return s != ""
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

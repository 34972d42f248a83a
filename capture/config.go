package capture

import "time"

// Config is one camera as its capture stage needs it.
type Config struct {
	// Name is the camera's name, a topic level.
	Name string
	// Source is a device, URL, file, folder or other kind, as ParseSource lists them.
	Source string
	// Width, Height (pixels), FPS and FOURCC are asked of a V4L2 or libcamera camera; zero
	// values leave its defaults. What it grants is logged.
	Width, Height int
	CaptureFPS    float64
	FOURCC        string
	// FPS is how many frames a second are wanted at most; 0: as many as can be classified.
	// A folder of pictures, and a URL that gives one picture, move on at this rate, once a second for 0.
	FPS float64
	// RTSPTransport is "tcp" or "udp".
	RTSPTransport string
	// Loop says whether a file or a folder starts again at its end.
	Loop bool
	// Pace is "native" (a video file at its own frame rate, a folder at FPS) or "fast" (every
	// frame, as fast as FPS allows and they are classified; none is dropped).
	// Cameras and network streams have a pace of their own.
	Pace string
	// Rotate is 0, 90, 180 or 270 degrees clockwise; Flip "", "horizontal",
	// "vertical" or "both", applied after Rotate.
	Rotate int
	Flip   string
	// ROI is the part of the upright picture that is classified.
	ROI ROI
	// Masks are polygons, in fractions of the upright picture, that are blacked out before
	// anything else sees it.
	Masks [][]Point
	// Motion is when a picture is worth classifying again.
	Motion MotionConfig
	// MaxAge is how old a frame may be when it is taken for classification.
	MaxAge time.Duration
	// StallAfter is how long a read may block before the camera counts as stalled and is reopened.
	StallAfter time.Duration
	// FrozenAfter is how long identical pictures may repeat before the camera counts as stalled; 0: off.
	FrozenAfter time.Duration
	// OpenTimeout bounds opening; RetryMin and RetryMax the backoff between openings.
	OpenTimeout, RetryMin, RetryMax time.Duration
}

// Paces and transports, as the configuration names them.
const (
	PaceNative   = "native"
	PaceFast     = "fast"
	TransportTCP = "tcp"
	TransportUDP = "udp"
)

// DefaultConfig is a camera of which nothing was said; Name is to be filled in.
func DefaultConfig() Config {
	return Config{
		Source:        "auto",
		FPS:           5,
		RTSPTransport: TransportTCP,
		Loop:          true,
		Pace:          PaceNative,
		ROI:           ROI{Width: 1, Height: 1},
		Motion:        DefaultMotion(),
		MaxAge:        2 * time.Second,
		StallAfter:    10 * time.Second,
		FrozenAfter:   30 * time.Second,
		OpenTimeout:   15 * time.Second,
		RetryMin:      time.Second,
		RetryMax:      time.Minute,
	}
}

// Point is a place in a picture as fractions of its width and height, 0..1.
type Point struct{ X, Y float64 }

// ROI is a rectangle in fractions of the picture; the whole is {0, 0, 1, 1}.
type ROI struct{ X, Y, Width, Height float64 }

//go:build gocv

package opencv

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/glimpsed/glimpsed/capture"
)

// ffmpegOptions is OpenCV's way to FFmpeg's options: read by every opening, shared by the process.
const ffmpegOptions = "OPENCV_FFMPEG_CAPTURE_OPTIONS"

// gate lets openings that want the same options go side by side and makes those
// that want others wait, so that a camera that hangs while it is opened only
// delays cameras of the other transport.
type gate struct {
	mu    sync.Mutex
	user  string // what the variable held before
	value string
	users int
	set   bool
	free  chan struct{} // closed when users becomes 0
}

// transports is the process's gate, as the variable is the process's.
var transports gate

// prepare sets the variable before any native code runs. Later changes replace its value only;
// adding a variable would move the environment from under other threads that read it.
func (g *gate) prepare() {
	if err := g.enter(context.Background(), transportOptions(capture.DefaultConfig())); err == nil {
		g.leave()
	}
}

// enter waits for its turn and sets the options; leave must follow when the opening is over.
func (g *gate) enter(ctx context.Context, options string) error {
	for {
		g.mu.Lock()
		if !g.set {
			g.user, g.set = os.Getenv(ffmpegOptions), true
		}
		if g.users == 0 && g.value != options {
			if err := os.Setenv(ffmpegOptions, merged(g.user, options)); err != nil {
				g.mu.Unlock()
				return fmt.Errorf("setting %s: %w", ffmpegOptions, err)
			}
			g.value = options
		}
		if g.value == options {
			if g.users++; g.users == 1 {
				g.free = make(chan struct{})
			}
			g.mu.Unlock()
			return nil
		}
		free := g.free
		g.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return fmt.Errorf("waiting for a camera with another rtsp_transport to be opened: %w", ctx.Err())
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users--; g.users == 0 {
		close(g.free)
	}
}

// merged puts ours behind the user's own options: pairs "key;value" joined by "|", of
// which FFmpeg takes the last.
func merged(user, ours string) string {
	if user == "" {
		return ours
	}
	return strings.TrimSuffix(user, "|") + "|" + ours
}

func transportOptions(cfg capture.Config) string {
	if cfg.RTSPTransport == capture.TransportUDP {
		return "rtsp_transport;udp"
	}
	return "rtsp_transport;tcp"
}

//go:build gocv

package opencv

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

// ffmpegOptions is OpenCV's way to FFmpeg's options: read by every opening, shared by the process.
const ffmpegOptions = "OPENCV_FFMPEG_CAPTURE_OPTIONS"

const (
	// longestOpening bounds a network camera's native opening, during which no other source can be
	// opened.
	longestOpening = 5 * time.Second
	// hopeless is how long a native opening, all of which have time limits, must have lasted to be
	// taken for one that never ends.
	hopeless = time.Minute
)

// urgency is the order among those that wait: those who are known to be quick aren't kept by those
// who aren't.
type urgency int

const (
	local    urgency = iota // files
	remote                  // network cameras
	suspect                 // network cameras that used up their time when they were opened last
	urgences = iota
)

// gate lets native openings through one at a time, in the order in which they came for
// each urgency. OpenCV holds a lock of the process while FFmpeg opens anything, and
// nobody who waits for that one can be called off or told from one that
// hangs; so the waiting is done here. FFmpeg's options, which are the process's, too, are set for
// whoever is let through.
type gate struct {
	hopeless time.Duration // 0: the constant

	mu     sync.Mutex
	holder string // "": free
	since  time.Time
	queues [urgences][]*ticket
	user   *string // what the variable held before
}

type ticket struct {
	who  string
	turn chan struct{} // closed when the gate is this one's
}

// ffmpeg is the process's gate, as OpenCV's lock and the variable are the process's.
var ffmpeg gate

// prepare sets the variable before any native code runs. Later changes replace its value only;
// adding a variable would move the environment from under other threads that read it.
func (g *gate) prepare() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.user == nil {
		user := os.Getenv(ffmpegOptions)
		g.user = &user
		os.Setenv(ffmpegOptions, optionsFor(capture.DefaultConfig()).around(user))
		if os.Getenv(selectTimeout) == "" {
			os.Setenv(selectTimeout, "11") // for V4L2: see waitFor
		}
	}
}

// enter waits for its turn and sets the options; leave must follow when the opening is over. The
// Camera is told that this is waiting. An error that is not ctx's is capture.ErrStuck.
func (g *gate) enter(ctx context.Context, who string, u urgency, options options) error {
	defer capture.Queued(ctx, "waiting for another source to be opened")()
	if err := ctx.Err(); err != nil {
		return err
	}
	g.prepare()
	g.mu.Lock()
	if g.holder == "" {
		g.give(who, options)
		g.mu.Unlock()
		return nil
	}
	t := &ticket{who: who, turn: make(chan struct{})}
	g.queues[u] = append(g.queues[u], t)
	g.mu.Unlock()

	limit := g.hopeless
	if limit == 0 {
		limit = hopeless
	}
	look := time.NewTicker(limit / 4)
	defer look.Stop()
	for {
		select {
		case <-t.turn:
			g.mu.Lock()
			g.give(who, options)
			g.mu.Unlock()
			return nil
		case <-ctx.Done():
			g.withdraw(u, t)
			return ctx.Err()
		case <-look.C:
			g.mu.Lock()
			holder, held := g.holder, time.Since(g.since)
			g.mu.Unlock()
			if held >= limit {
				g.withdraw(u, t)
				return fmt.Errorf("opening %s hangs since %v and keeps all others from being opened: %w",
					holder, held.Round(time.Second), capture.ErrStuck)
			}
		}
	}
}

// give lets one through; the caller holds mu.
func (g *gate) give(who string, options options) {
	g.holder, g.since = who, time.Now()
	os.Setenv(ffmpegOptions, options.around(*g.user))
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next()
}

// next hands the gate to the most urgent; the caller holds mu.
func (g *gate) next() {
	g.holder = ""
	for i, queue := range g.queues {
		if len(queue) > 0 {
			first := queue[0]
			g.queues[i] = slices.Delete(queue, 0, 1)
			g.holder, g.since = first.who, time.Now()
			close(first.turn)
			return
		}
	}
}

// withdraw takes one that gave up from the queue; if it was given the gate meanwhile it hands it on.
func (g *gate) withdraw(u urgency, t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queues[u], t); i >= 0 {
		g.queues[u] = slices.Delete(g.queues[u], i, i+1)
		return
	}
	g.next()
}

// options are FFmpeg's: pairs "key;value" joined by "|", of which it takes the last for a key.
type options struct{ defaults, fixed string }

// around puts the user's own between those that are only defaults and those that a configuration sets.
func (o options) around(user string) string {
	all := strings.Trim(o.defaults+"|"+strings.Trim(user, "|"), "|")
	return strings.Trim(all+"|"+o.fixed, "|")
}

func optionsFor(cfg capture.Config) options {
	if cfg.RTSPTransport == capture.TransportUDP {
		return options{fixed: "rtsp_transport;udp"}
	}
	return options{fixed: "rtsp_transport;tcp"}
}

// quick has FFmpeg study a live stream for a second (of microseconds) where it would take five to
// learn a frame rate that nobody needs: most streams tell their format beforehand.
func (o options) quick() options {
	o.defaults = "fpsprobesize;0|analyzeduration;1000000"
	return o
}

//go:build gocv

package opencv

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

func tcp() options { return optionsFor(capture.DefaultConfig()) }

// Openings go one at a time, files before cameras before cameras that were slow, each kind in its order.
func TestGateOrder(t *testing.T) {
	t.Setenv(ffmpegOptions, "buffer_size;1000")
	synctest.Test(t, func(t *testing.T) {
		var g gate
		if err := g.enter(t.Context(), "first", suspect, tcp()); err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, c := range []struct {
			who string
			u   urgency
		}{{"slow", suspect}, {"camera 1", remote}, {"camera 2", remote}, {"file 1", local}, {"camera 3", remote}, {"file 2", local}} {
			go func() {
				if err := g.enter(t.Context(), c.who, c.u, options{fixed: "who;" + c.who}); err != nil {
					t.Error(err)
				}
				if v := os.Getenv(ffmpegOptions); v != "buffer_size;1000|who;"+c.who {
					t.Errorf("%s has the options %q", c.who, v)
				}
				order = append(order, c.who)
				time.Sleep(time.Second)
				g.leave()
			}()
			synctest.Wait()
		}
		g.leave()
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"file 1", "file 2", "camera 1", "camera 2", "camera 3", "slow"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
	})
}

// Who gives up leaves the queue at once, and never takes the gate with it.
func TestGateCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.enter(t.Context(), "first", remote, tcp())
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- g.enter(ctx, "second", remote, tcp()) }()
			synctest.Wait()
			// Both at once: either it has the gate and gives it back, or it left the queue.
			go cancel()
			go g.leave()
			if err := <-done; err == nil {
				g.leave()
			} else if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			synctest.Wait()
			if g.holder != "" || len(g.queues[remote]) != 0 {
				t.Fatalf("held by %q, %d wait", g.holder, len(g.queues[remote]))
			}
			g.enter(t.Context(), "first", remote, tcp())
		}
	})
}

// A native call that never returns leaves nothing but a new process: whoever waits says so, naming it.
func TestGateThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.enter(t.Context(), "rtsp://stuck/live", remote, tcp())
		begin := time.Now()
		err := g.enter(t.Context(), "clip.mp4", local, tcp())
		if !errors.Is(err, capture.ErrStuck) || !strings.Contains(err.Error(), "rtsp://stuck/live") {
			t.Errorf("error is %v", err)
		}
		if d := time.Since(begin); d < hopeless || d > 2*hopeless {
			t.Errorf("said after %v", d)
		}
	})
}

func TestOptions(t *testing.T) {
	udp := capture.DefaultConfig()
	udp.RTSPTransport = capture.TransportUDP
	for _, c := range []struct {
		options    options
		user, want string
	}{
		{tcp(), "", "rtsp_transport;tcp"},
		{optionsFor(udp), "timeout;5|", "timeout;5|rtsp_transport;udp"},
		{tcp().quick(), "", "fpsprobesize;0|analyzeduration;1000000|rtsp_transport;tcp"},
		{tcp().quick(), "analyzeduration;9", "fpsprobesize;0|analyzeduration;1000000|analyzeduration;9|rtsp_transport;tcp"},
	} {
		if got := c.options.around(c.user); got != c.want {
			t.Errorf("options are %q, want %q", got, c.want)
		}
	}
}

//go:build gocv

package opencv

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/vision"
)

// describingHost answers OPTIONS and DESCRIBE as a camera does and then never says a word, until it hangs up.
func describingHost(t *testing.T) (address string, hangUp func()) {
	const sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Go(func() {
				lines := bufio.NewScanner(conn)
				method, seq := "", ""
				for lines.Scan() {
					switch line := lines.Text(); {
					case strings.HasSuffix(line, "RTSP/1.0"):
						method, _, _ = strings.Cut(line, " ")
					case strings.HasPrefix(line, "CSeq:"):
						seq = line
					case line == "" && method == "OPTIONS":
						fmt.Fprintf(conn, "RTSP/1.0 200 OK\r\n%s\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n", seq)
					case line == "" && method == "DESCRIBE":
						fmt.Fprintf(conn, "RTSP/1.0 200 OK\r\n%s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", seq, len(sdp), sdp)
					}
				}
			})
		}
	})
	return l.Addr().String(), func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	}
}

// Cameras that hang while they are opened, in one way or the other, keep neither a camera that is well nor a
// file waiting for longer than one native opening may take; none of them is taken for stuck.
func TestHangingCamerasSlowNoOther(t *testing.T) {
	silent := silentHost(t)
	var hanging []*supervised
	for range 4 {
		hanging = append(hanging, supervise(t, "rtsp://"+silent+"/live", func(cfg *capture.Config) { cfg.OpenTimeout = 6 * time.Second }))
	}
	address, hangUp := describingHost(t)
	defer hangUp() // a native opening can't be called off otherwise
	halfway := supervise(t, "rtsp://"+address+"/live", nil)
	clip := makeVideo(t, "clip.mp4", "-i", "testsrc=size=64x48:rate=25", "-frames:v", "50", "-pix_fmt", "yuv420p")
	server := serveRTSP(t)

	begin := time.Now()
	healthy := supervise(t, "rtsp://"+server+"/live", nil)
	file := supervise(t, clip, nil)
	for name, c := range map[string]*supervised{"camera": healthy, "file": file} {
		c.await(t, vision.CameraOnline)
		if d := time.Since(begin); d > longestOpening+5*time.Second {
			t.Errorf("the %s that is well delivers after %v", name, d)
		}
	}
	if reason := halfway.await(t, vision.CameraOffline); !strings.Contains(reason, "gets no picture within 5s; try the other rtsp_transport") {
		t.Errorf("the camera that describes its stream and hangs: %q", reason)
	}
	for _, c := range hanging {
		if reason := c.await(t, vision.CameraOffline); !strings.Contains(reason, "the host does not answer within 6s") {
			t.Errorf("a camera that is silent: %q", reason)
		}
	}
	for _, c := range []*supervised{healthy, file} {
		if s := c.Status(); s.State != vision.CameraOnline || s.Reconnects != 0 {
			t.Errorf("the status of one that is well is %+v", s)
		}
	}
}

// A raw stream is opened anew at each round: that, too, is no hang when it has to wait.
func TestFileReopensWhileACameraHangs(t *testing.T) {
	address, hangUp := describingHost(t)
	defer hangUp() // a native opening can't be called off otherwise
	halfway := supervise(t, "rtsp://"+address+"/live", func(cfg *capture.Config) { cfg.OpenTimeout = 2 * time.Second })
	file := supervise(t, makeVideo(t, "clip.h264", "-i", "testsrc=size=64x48:rate=25", "-frames:v", "10", "-pix_fmt", "yuv420p"),
		func(cfg *capture.Config) { cfg.StallAfter, cfg.OpenTimeout = time.Second, time.Second })
	file.await(t, vision.CameraOnline)
	halfway.await(t, vision.CameraOffline)
	for range 15 {
		f, err := file.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	if s := file.Status(); s.State != vision.CameraOnline || s.Reconnects != 0 {
		t.Errorf("the file's status is %+v", s)
	}
}

// FFmpeg would study a stream of few frames for longer than an opening may take.
func TestStreamOfFewFrames(t *testing.T) {
	c := supervise(t, "rtsp://"+serveRTSP(t, "--fps=3")+"/live", nil)
	c.await(t, vision.CameraOnline)
	if s := c.Status(); s.Reconnects != 0 {
		t.Errorf("status is %+v", s)
	}
}

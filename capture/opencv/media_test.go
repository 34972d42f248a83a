//go:build gocv

package opencv

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func config(source string) capture.Config {
	cfg := capture.DefaultConfig()
	cfg.Name, cfg.Source = "test", source
	return cfg
}

// makeVideo has ffmpeg make a test video from its own test card; args are output options.
func makeVideo(t testing.TB, name string, args ...string) string {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("needs ffmpeg: " + err.Error())
	}
	path := filepath.Join(t.TempDir(), name)
	args = append([]string{"-v", "error", "-f", "lavfi"}, append(args, "-y", path)...)
	if out, err := exec.Command(ffmpeg, args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	return path
}

// serveRTSP runs GStreamer's RTSP server and returns host:port.
func serveRTSP(t *testing.T, args ...string) string {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's own, which sees Debian's gi
	check := exec.Command(python, "-c", "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer")
	if out, err := check.CombinedOutput(); err != nil {
		t.Skipf("needs GStreamer's RTSP server (apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly): %v\n%s", err, out)
	}
	cmd := exec.Command(python, append([]string{"testdata/rtsp_server.py"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		done := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		done.Stop()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the RTSP server did not start: %v\n%s", err, stderr.String())
	}
	return "127.0.0.1:" + strings.TrimSpace(port)
}

// serveMJPEG serves a JPEG stream as network cameras do. hang, if not nil, stops the pictures after
// the first 5 without ending the stream, until it is closed.
func serveMJPEG(t *testing.T, user, password string, hang chan struct{}) *httptest.Server {
	t.Helper()
	pattern := makeVideo(t, "%02d.jpg", "-i", "testsrc=size=160x120:rate=25", "-frames:v", "10", "-pix_fmt", "yuvj420p")
	var pictures [][]byte
	for i := range 10 {
		b, err := os.ReadFile(fmt.Sprintf(pattern, i+1))
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, b)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="camera"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/stream" {
			http.NotFound(w, r)
			return
		}
		parts := multipart.NewWriter(w)
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary="+parts.Boundary())
		for i := 0; ; i++ {
			if hang != nil && i == 5 {
				select {
				case <-hang:
				case <-r.Context().Done():
				}
				return
			}
			part, err := parts.CreatePart(textproto.MIMEHeader{
				"Content-Type":   {"image/jpeg"},
				"Content-Length": {fmt.Sprint(len(pictures[i%10]))},
			})
			if err == nil {
				_, err = part.Write(pictures[i%10])
			}
			if err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// silentHost accepts connections and never says a word.
func silentHost(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
	})
	return l.Addr().String()
}

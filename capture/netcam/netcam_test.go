package netcam

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/capture/capturetest"
	"github.com/glimpsed/glimpsed/imaging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The example of RFC 2617, section 3.5, without qop as of RFC 2069, and what else servers ask for.
func TestAuthorize(t *testing.T) {
	mufasa := parse("rtsp://Mufasa:Circle%20Of%20Life@cam/dir/index.html")
	const uri = "/dir/index.html"
	challenge := `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	got, ok := mufasa.authorize([]string{`Basic realm="x"`, challenge}, "GET", uri)
	want := `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", ` +
		`response="670fd8c2df070c60b045671b8b24ff02", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	if !ok || got != want {
		t.Errorf("digest without qop is\n%s, want\n%s", got, want)
	}
	withQop, ok := mufasa.authorize([]string{challenge + `, qop="auth,auth-int", algorithm=MD5`}, "GET", uri)
	client := param(withQop, "cnonce")
	response := md5Hex(md5Hex("Mufasa:testrealm@host.com:Circle Of Life") + ":dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:" + client + ":auth:" + md5Hex("GET:"+uri))
	if !ok || client == "" || param(withQop, "response") != response || param(withQop, "nc") != "00000001" {
		t.Errorf("digest with qop is %s", withQop)
	}
	if got, ok := mufasa.authorize([]string{`Digest realm="a", nonce="b", algorithm=SHA-256`, `Basic realm="x"`}, "GET", uri); !ok || got != "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl" {
		t.Errorf("basic is %q, %v", got, ok)
	}
	if _, ok := mufasa.authorize([]string{`Negotiate`}, "GET", uri); ok {
		t.Error("a scheme that is not known is answered")
	}
}

// rtspServer answers every request with what answer says, "" being silence.
func rtspServer(t *testing.T, answer func(method, head string) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for head := ""; ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if head += line; line == "\r\n" {
						method, _, _ := strings.Cut(head, " ")
						conn.Write([]byte(answer(method, head)))
						head = ""
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func reply(status, headers, body string) string {
	return fmt.Sprintf("RTSP/1.0 %s\r\nCSeq: 1\r\n%sContent-Length: %d\r\n\r\n%s", status, headers, len(body), body)
}

const video = "v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n"

// Each way in which an RTSP server can fail has a reason of its own.
func TestDescribe(t *testing.T) {
	then := func(describe string) func(method, head string) string {
		return func(method, _ string) string {
			if method == "OPTIONS" {
				return reply("200 OK", "", "")
			}
			return describe
		}
	}
	digest := func(_, head string) string {
		switch {
		case !strings.Contains(head, "DESCRIBE"), strings.Contains(head, `uri="rtsp://`) && strings.Contains(head, `username="admin"`):
			return reply("200 OK", "", video)
		}
		return reply("401 Unauthorized", "WWW-Authenticate: Digest realm=\"cam\", nonce=\"1\"\r\n", "")
	}
	for _, c := range []struct {
		name, login string
		answer      func(method, head string) string
		want        string
	}{
		{"stream", "", then(reply("200 OK", "", video)), ""},
		{"moved", "", then(reply("302 Moved", "Location: rtsp://elsewhere/\r\n", "")), ""},
		{"login", "admin:s3cret@", digest, ""},
		{"no login", "", digest, "it wants a user and a password"},
		{"wrong login", "guest:s3cret@", digest, "it does not accept this user and password (status 401)"},
		{"no such stream", "", then(reply("404 Not Found", "", "")), "no such stream"},
		{"busy", "", then(reply("453 Not Enough Bandwidth", "", "")), "status 453"},
		{"only audio", "", then(reply("200 OK", "", "v=0\r\nm=audio 0 RTP/AVP 0\r\n")), "there is no video in it"},
		{"silent", "", func(string, string) string { return "" }, "does not answer within 300ms"},
		{"silent when it matters", "", then(""), "does not answer within 300ms"},
		{"another protocol", "", func(string, string) string { return "HTTP/1.0 400 Bad\r\n\r\n" }, "it does not speak RTSP"},
		{"endless description", "", then("RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "announces a description of 99999999 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := "rtsp://" + c.login + rtspServer(t, c.answer) + "/live"
			limit := 10 * time.Second
			if strings.Contains(c.want, "300ms") {
				limit = 300 * time.Millisecond
			}
			err := Describe(t.Context(), source, limit)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// Asking is called off at once, however silent the host is.
func TestCancel(t *testing.T) {
	silent := rtspServer(t, func(string, string) string { return "" })
	for name, ask := range map[string]func(ctx context.Context) error{
		"rtsp":  func(ctx context.Context) error { return Describe(ctx, "rtsp://"+silent, time.Hour) },
		"rtsps": func(ctx context.Context) error { return Greet(ctx, "rtsps://"+silent, time.Hour) },
		"http": func(ctx context.Context) error {
			_, err := Ask(ctx, "http://"+silent, time.Hour)
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func picture(n int) []byte {
	img := image.NewGray(image.Rect(0, 0, 64, 32))
	for i := range img.Pix {
		img.Pix[i] = color.Gray{uint8(n * 16)}.Y
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// snapshots serves another picture at each request, to those who log in by digest with qop.
func snapshots(t *testing.T, gets *atomic.Int64) *httptest.Server {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := r.Header.Get("Authorization")
		secret, request := md5Hex("admin:cam:s3cret/word"), md5Hex("GET:"+r.URL.RequestURI())
		if param(a, "nc") == "" || param(a, "response") != md5Hex(secret+":n:"+param(a, "nc")+":"+param(a, "cnonce")+":auth:"+request) {
			w.Header().Set("WWW-Authenticate", `Digest realm="cam", nonce="n", qop="auth"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(picture(int(gets.Add(1) % 16)))
	}))
	t.Cleanup(srv.Close)
	return srv
}

func openSnapshots(_ context.Context, cfg capture.Config) (capture.Source, error) {
	return OpenSnapshots(cfg, &imaging.GoDecoder{}), nil
}

// A URL that gives one picture is a source like any other.
func TestSnapshots(t *testing.T) {
	var gets atomic.Int64
	srv := snapshots(t, &gets)
	cfg := capture.DefaultConfig()
	cfg.Source = strings.Replace(srv.URL, "https://", "https://admin:s3cret%2Fword@", 1) + "/snapshot.jpg?channel=1"
	if snapshot, err := Ask(t.Context(), cfg.Source, 10*time.Second); err != nil || !snapshot {
		t.Fatalf("asking: %v, %v", snapshot, err)
	}
	capturetest.Run(t, capturetest.Subject{Open: openSnapshots, Config: cfg, Width: 64, Height: 32, Secret: "s3cret"})
}

func TestHTTP(t *testing.T) {
	bodies := map[string]struct{ kind, body string }{
		"/stream":  {"multipart/x-mixed-replace; boundary=x", "--x\r\nContent-Type: image/jpeg\r\n\r\n"},
		"/page":    {"text/html", "<html><body>Log in</body></html>"},
		"/nothing": {"video/mp4", ""},
		"/picture": {"image/jpeg", string(picture(1))},
		"/unnamed": {"application/octet-stream", string(picture(1))},
		"/cut":     {"image/jpeg", string(picture(1)[:300])},
		"/list":    {"application/vnd.apple.mpegurl", "#EXTM3U\n"},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", b.kind)
		w.Write([]byte(b.body))
	}))
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		path     string
		snapshot bool
		err      string
	}{
		{"/stream", false, ""},
		{"/list", false, ""},
		{"/picture", true, ""},
		{"/unnamed", true, ""},
		{"/page", false, "a web page, not with a stream"},
		{"/nothing", false, "answers with nothing"},
		{"/gone?token=s3cret", false, "no such stream (status 404)"},
	} {
		snapshot, err := Ask(t.Context(), srv.URL+c.path, 10*time.Second)
		if snapshot != c.snapshot || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v, %v; want %v, %q", c.path, snapshot, err, c.snapshot, c.err)
		}
	}

	cfg := capture.DefaultConfig()
	cfg.Source = srv.URL + "/cut"
	src, _ := openSnapshots(t.Context(), cfg)
	defer src.Close()
	if _, err := src.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "reading "+cfg.Source+": ") || !errors.Is(err, imaging.ErrTruncated) {
		t.Errorf("a picture that is cut off: %v", err)
	}
}

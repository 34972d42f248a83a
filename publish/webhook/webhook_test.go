package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers with one code after the other, then with 204.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	codes   []int
	bodies  []string
	headers []http.Header
}

func newServer(t *testing.T, codes ...int) *server {
	s := &server{codes: codes}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bodies, s.headers = append(s.bodies, string(body)), append(s.headers, r.Header)
		code := http.StatusNoContent
		if len(s.codes) > 0 {
			code, s.codes = s.codes[0], s.codes[1:]
		}
		if code/100 == 3 {
			w.Header().Set("Location", "http://127.0.0.1:1/")
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

func run(t *testing.T, cfg Config, log io.Writer) *Publisher {
	t.Helper()
	if err := cfg.Validate("webhooks[0]"); err != nil {
		t.Fatal(err)
	}
	p := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

func event(kind string, n int) publish.Message {
	return publish.Message{Topic: "front/event", Kind: publish.KindEvent, Payload: fmt.Appendf(nil, `{"type":%q,"n":%d}`, kind, n)}
}

func put(t *testing.T, p *Publisher, messages ...publish.Message) {
	t.Helper()
	for _, m := range messages {
		if ack, err := p.Publish(t.Context(), m); err != nil || ack.Err() != nil {
			t.Fatal(err, ack.Err())
		}
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func config(url string) Config {
	c := DefaultConfig()
	c.URL = url
	return c
}

func TestEventsArePostedAndSigned(t *testing.T) {
	s := newServer(t)
	cfg := config(s.URL + "/hook?token=1")
	cfg.Secret = "right-horse"
	p := run(t, cfg, io.Discard)
	put(t, p, event("start", 1), event("update", 2), publish.Message{Kind: publish.KindResult, Payload: []byte("{}")}, event("end", 3))
	eventually(t, "two events", func() bool { return len(s.got()) == 2 })
	if got := s.got(); got[0] != `{"type":"start","n":1}` || got[1] != `{"type":"end","n":3}` {
		t.Errorf("got %v", got)
	}
	h := s.headers[0]
	// echo -n '{"type":"start","n":1}' | openssl dgst -sha256 -hmac right-horse
	if h.Get("Content-Type") != "application/json" || h.Get(SignatureHeader) != Signature("right-horse", []byte(s.got()[0])) || len(h.Get(SignatureHeader)) != 71 {
		t.Errorf("headers %v", h)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A server in trouble is tried again; one that doesn't want an event isn't.
func TestRetries(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, 503, 429, 204, 400, 204, 302, 204)
	p := run(t, config(s.URL), &log)
	put(t, p, event("start", 1), event("start", 2), event("start", 3), event("start", 4), event("start", 5))
	eventually(t, "everything", func() bool { return len(s.got()) == 7 })
	var order []string
	for _, b := range s.got() {
		order = append(order, b[len(b)-2:len(b)-1])
	}
	if got := strings.Join(order, ""); got != "1112345" {
		t.Errorf("events were posted as %s", got)
	}
	eventually(t, "the end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.waiting) == 0 })
	if p.lost != 2 || p.Fault() != "" {
		t.Errorf("%d lost, fault %q", p.lost, p.Fault())
	}
}

func TestAServerThatIsAway(t *testing.T) {
	s := newServer(t)
	at := s.Listener.Addr().String()
	s.Close()
	cfg := config("http://me:right-horse@" + at)
	cfg.GiveUp = time.Hour
	var log bytes.Buffer
	p := run(t, cfg, &log)
	for n := range 3 * maxWaiting {
		put(t, p, event("start", n))
	}
	eventually(t, "a fault", func() bool { return strings.Contains(p.Fault(), "connection refused") })
	if strings.Contains(p.Fault(), "horse") {
		t.Errorf("the password shows: %s", p.Fault())
	}
	p.mu.Lock()
	waiting, lost := len(p.waiting), p.lost
	p.mu.Unlock()
	if waiting != maxWaiting || lost != 2*maxWaiting {
		t.Errorf("%d wait, %d lost", waiting, lost)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "100 events were not posted") {
		t.Errorf("got %v", err)
	}
}

func TestGiveUp(t *testing.T) {
	s := newServer(t, 500, 500, 500, 500, 500, 500, 500, 500)
	cfg := config(s.URL)
	cfg.GiveUp = 0
	p := run(t, cfg, io.Discard)
	put(t, p, event("start", 1))
	eventually(t, "given up", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.waiting) == 0 })
	if len(s.got()) != 1 || p.lost != 1 {
		t.Errorf("%d attempts, %d lost", len(s.got()), p.lost)
	}
}

func TestValidate(t *testing.T) {
	for want, edit := range map[string]func(*Config){
		"webhooks[0].url: must be a URL that begins with http:// or https://": func(c *Config) { c.URL = "ftp://x" },
		"webhooks[0].types: must name at least one of start, update, end":     func(c *Config) { c.Types = nil },
		`webhooks[0].types: there are start, update, end, got "stop"`:         func(c *Config) { c.Types = []string{"stop"} },
		"webhooks[0].timeout: must be above 0, got 0s":                        func(c *Config) { c.Timeout = 0 },
		"webhooks[0].give_up: must be 0s or above, got -1ns":                  func(c *Config) { c.GiveUp = -1 },
	} {
		c := config("https://server.example/hook")
		if err := c.Validate("webhooks[0]"); err != nil {
			t.Fatal(err)
		}
		edit(&c)
		if err := c.Validate("webhooks[0]"); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

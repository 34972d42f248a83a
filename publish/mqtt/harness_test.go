package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/publish/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a broker that a test can stop and start again at its address.
type server interface {
	addr() string
	start()
	stop()
}

// servers are the brokers that behaviour is tried with.
var servers = map[string]func(testing.TB, ...string) server{
	"mochi":     func(t testing.TB, userPassword ...string) server { return newMochi(t, userPassword...) },
	"mosquitto": func(t testing.TB, userPassword ...string) server { return newMosquitto(t, userPassword...) },
}

// withServers runs f with a fresh broker of each kind.
func withServers(t *testing.T, f func(t *testing.T, s server)) {
	for name, make := range servers {
		t.Run(name, func(t *testing.T) {
			s := make(t)
			s.start()
			t.Cleanup(s.stop)
			f(t, s)
		})
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

type mochiServer struct {
	t       testing.TB
	cfg     broker.Config
	running *broker.Broker
}

func newMochi(t testing.TB, userPassword ...string) *mochiServer {
	s := &mochiServer{t: t, cfg: broker.Config{Listen: freePort(t)}}
	if len(userPassword) == 2 {
		s.cfg.Username, s.cfg.Password = userPassword[0], userPassword[1]
	}
	return s
}

func (s *mochiServer) addr() string { return s.cfg.Listen }

func (s *mochiServer) start() {
	s.t.Helper()
	b, err := broker.Start(s.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.running = b
}

func (s *mochiServer) stop() {
	if s.running != nil {
		if err := s.running.Close(); err != nil {
			s.t.Error(err)
		}
		s.running = nil
	}
}

type mosquittoServer struct {
	t       testing.TB
	listen  string
	command []string
	running *exec.Cmd
}

func newMosquitto(t testing.TB, userPassword ...string) *mosquittoServer {
	t.Helper()
	bin := lookup(t, "mosquitto", "/usr/sbin/mosquitto")
	s := &mosquittoServer{t: t, listen: freePort(t)}
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(s.listen)
	conf := fmt.Sprintf("listener %s 127.0.0.1\nmax_queued_messages 0\n", port)
	if len(userPassword) == 2 {
		// mosquitto gives up root's rights and must still read the file.
		pass := filepath.Join(dir, "passwd")
		out, err := exec.Command(lookup(t, "mosquitto_passwd", "/usr/bin/mosquitto_passwd"), "-b", "-c", pass, userPassword[0], userPassword[1]).CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		for _, f := range []string{filepath.Dir(dir), dir, pass} {
			if err := os.Chmod(f, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		conf += "allow_anonymous false\npassword_file " + pass + "\n"
	} else {
		conf += "allow_anonymous true\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	s.command = []string{bin, "-c", file}
	return s
}

// withWebSocket adds a WebSocket listener before the start and returns its address.
func (s *mosquittoServer) withWebSocket() string {
	s.t.Helper()
	addr := freePort(s.t)
	_, port, _ := net.SplitHostPort(addr)
	file := s.command[2]
	conf, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, fmt.Appendf(conf, "listener %s 127.0.0.1\nprotocol websockets\n", port), 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return addr
}

func lookup(t testing.TB, name, path string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s: apt-get install mosquitto", name)
	}
	return path
}

func (s *mosquittoServer) addr() string { return s.listen }

func (s *mosquittoServer) start() {
	s.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.running = cmd
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.listen)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			s.stop()
			s.t.Fatalf("mosquitto doesn't start: %s", out.String())
		}
	}
}

func (s *mosquittoServer) stop() {
	if s.running != nil {
		s.running.Process.Kill()
		s.running.Wait()
		s.running = nil
	}
}

// subscriber collects what a broker delivers.
type subscriber struct {
	client paho.Client
	mu     sync.Mutex
	got    []paho.Message
}

func subscribe(t testing.TB, addr, filter string, userPassword ...string) *subscriber {
	t.Helper()
	s := &subscriber{}
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(fmt.Sprintf("sub-%d", time.Now().UnixNano())).
		SetAutoReconnect(false).SetOrderMatters(true)
	if len(userPassword) == 2 {
		o.SetUsername(userPassword[0]).SetPassword(userPassword[1])
	}
	s.client = paho.NewClient(o)
	wait := func(tok paho.Token) {
		t.Helper()
		if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
			t.Fatalf("subscriber: %v", tok.Error())
		}
	}
	wait(s.client.Connect())
	wait(s.client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, m)
	}))
	// mochi acknowledges before it looks for retained messages, and would deliver what is
	// published in between twice; a second subscription waits for that.
	wait(s.client.Subscribe("settled", 0, nil))
	t.Cleanup(s.close)
	return s
}

func (s *subscriber) close() { s.client.Disconnect(100) }

func (s *subscriber) messages() []paho.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]paho.Message(nil), s.got...)
}

// text is all messages as "topic=payload", "!" marking what came from the broker's store.
func (s *subscriber) text() []string {
	var out []string
	for _, m := range s.messages() {
		mark := ""
		if m.Retained() {
			mark = "!"
		}
		out = append(out, fmt.Sprintf("%s%s=%s", mark, m.Topic(), m.Payload()))
	}
	return out
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// logs is a slog destination that a test can read.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// count is the number of lines that hold text.
func (l *logs) count(text string) int { return strings.Count(l.String(), text) }

// testConfig retries and times out quickly.
func testConfig(brokers ...string) Config {
	c := DefaultConfig()
	c.KeepAlive, c.ConnectTimeout, c.RetryMax = time.Second, time.Second, 100*time.Millisecond
	for _, b := range brokers {
		if !strings.Contains(b, "://") {
			b = "tcp://" + b
		}
		c.Brokers = append(c.Brokers, b)
	}
	return c
}

func newTestPublisher(t testing.TB, cfg Config, device string, log io.Writer) *Publisher {
	t.Helper()
	p, err := New(cfg, Options{Device: device, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs a publisher for device "porch" until the test ends.
func start(t testing.TB, cfg Config, log io.Writer) *Publisher {
	t.Helper()
	if err := cfg.Validate("mqtt"); err != nil {
		t.Fatal(err)
	}
	p := newTestPublisher(t, cfg, "porch", log)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	eventually(t, "Run has begun", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.started })
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return p
}

func closeWithin(p *Publisher, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.Close(ctx)
}

func result(n int) publish.Message {
	return publish.Message{Topic: "front/result", Kind: publish.KindResult, QoS: 1, Payload: fmt.Appendf(nil, "%d", n)}
}

func state(topic, payload string) publish.Message {
	return publish.Message{Topic: topic, Kind: publish.KindStatus, QoS: 1, Retain: true, Payload: []byte(payload)}
}

func mustPublish(t testing.TB, p *Publisher, m publish.Message) publish.Ack {
	t.Helper()
	a, err := p.Publish(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func waitAck(t testing.TB, a publish.Ack) {
	t.Helper()
	select {
	case <-a.Done():
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("no acknowledgement")
	}
}

package broker

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg Config, log io.Writer) *Broker {
	t.Helper()
	if err := cfg.Validate("broker"); err != nil {
		t.Fatal(err)
	}
	b, err := Start(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func connect(url, user, password string) (paho.Client, error) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetUsername(user).SetPassword(password).
		SetAutoReconnect(false).SetProtocolVersion(4))
	token := c.Connect()
	if !token.WaitTimeout(5 * time.Second) {
		return nil, errors.New("no answer")
	}
	return c, token.Error()
}

func TestRetained(t *testing.T) {
	b := start(t, Config{Listen: "127.0.0.1:0"}, io.Discard)
	c, err := connect(b.URL(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Publish("a/b", 1, true, "kept").WaitTimeout(5 * time.Second)
	c.Disconnect(100)
	d, err := connect(b.URL(), "anybody", "anything")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Disconnect(100)
	got := make(chan string, 1)
	d.Subscribe("a/#", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) })
	select {
	case s := <-got:
		if s != "kept" {
			t.Errorf("got %q", s)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing retained")
	}
}

func TestUserAndPassword(t *testing.T) {
	var log bytes.Buffer
	b := start(t, Config{Listen: "0.0.0.0:0", Username: "porch", Password: "right-horse"}, &log)
	if !strings.HasPrefix(b.URL(), "tcp://127.0.0.1:") {
		t.Errorf("URL is %s", b.URL())
	}
	for _, c := range []struct {
		user, password string
		ok             bool
	}{
		{"porch", "right-horse", true}, {"porch", "wrong-battery", false}, {"Porch", "right-horse", false}, {"", "", false}, {"porch", "", false},
	} {
		client, err := connect(b.URL(), c.user, c.password)
		if (err == nil) != c.ok {
			t.Errorf("%s, %s: got %v", c.user, c.password, err)
		}
		if !c.ok && !errors.Is(err, packets.ErrorRefusedNotAuthorised) && !errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) {
			t.Errorf("%s, %s: refused with %v", c.user, c.password, err)
		}
		if err == nil {
			client.Disconnect(100)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("the log isn't quiet:\n%s", log.String())
	}
}

// The loopback check of a broker without users looks at the connection, too.
func TestOpenMeansLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "192.0.2.1": false, "2001:db8::1": false, "": false} {
		if loopback(host) != want {
			t.Errorf("%q: got %v", host, !want)
		}
	}
	b, err := Start(Config{Listen: "0.0.0.0:0"}, slog.New(slog.DiscardHandler)) // Validate refuses this
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, port, _ := net.SplitHostPort(b.Addr().String())
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs { // none where there is no network
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			if _, err := connect("tcp://"+net.JoinHostPort(n.IP.String(), port), "", ""); err == nil {
				t.Errorf("a client from %s was let in", n.IP)
			}
		}
	}
}

func TestPortTaken(t *testing.T) {
	b := start(t, Config{Listen: "127.0.0.1:0"}, io.Discard)
	_, err := Start(Config{Listen: b.Addr().String()}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrPortTaken) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{b.Addr().String(), "broker.listen", "mqtt.broker"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if _, err := Start(Config{Listen: "192.0.2.1:0"}, slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, ErrPortTaken) {
		t.Errorf("an address of another machine: got %v", err)
	}
}

// Connections that never say CONNECT must not hold the end up.
func TestCloseWithSilentConnections(t *testing.T) {
	b := start(t, Config{Listen: "127.0.0.1:0"}, io.Discard)
	silent, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c, err := connect(b.URL(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- b.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close hangs")
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection is still open")
	}
	c.Disconnect(0)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	again := start(t, Config{Listen: b.Addr().String()}, io.Discard)
	again.Close()
}

// A CONNECT holds a password and mochi logs packets.
func TestLogHasNoPackets(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(quiet{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})})
	log.Error("broken", "pk", "secret", "client", "c1")
	log.With("listener", "tcp").Info("ended", "packet", "secret", "error", "EOF")
	got := out.String()
	if strings.Contains(got, "secret") || strings.Count(got, "level=WARN") != 1 || strings.Count(got, "level=DEBUG") != 1 ||
		!strings.Contains(got, `msg="embedded broker: ended" listener=tcp error=EOF`) {
		t.Errorf("got %s", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{DefaultConfig(), ""},
		{Config{Listen: "localhost:0"}, ""},
		{Config{Listen: "[::1]:1883"}, ""},
		{Config{Listen: ":1883", Username: "u", Password: "p"}, ""},
		{Config{Listen: "1883"}, `broker.listen: must be HOST:PORT such as 127.0.0.1:1883, got "1883"`},
		{Config{Listen: "127.0.0.1:http"}, `broker.listen: port must be from 0 to 65535, got "http"`},
		{Config{Listen: ":1883"}, "broker.listen: :1883 can be reached from other machines: set broker.username and broker.password, or listen on 127.0.0.1"},
		{Config{Listen: "192.168.1.5:1883", Username: "u"}, "broker.password: must be set where username is"},
		{Config{Listen: "127.0.0.1:1883", Password: "p"}, "broker.username: must be set where password is"},
		{Config{Listen: "my.host:1883"}, "broker.listen: my.host:1883 can be reached from other machines: set broker.username and broker.password, or listen on 127.0.0.1"},
	} {
		got := ""
		if err := c.cfg.Validate("broker"); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.cfg, got, c.want)
		}
	}
}

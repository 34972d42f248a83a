package mqtt

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/glimpsed/glimpsed/publish"
)

// eventuallyReason waits for a failed attempt whose reason holds want.
func eventuallyReason(t *testing.T, p *Publisher, want string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the reason was %q", p.State().Reason)
		}
	}()
	eventually(t, "reason "+want, func() bool { return strings.Contains(p.State().Reason, want) })
}

func TestWrongPassword(t *testing.T) {
	for name, make := range servers {
		t.Run(name, func(t *testing.T) {
			s := make(t, "porch", "right-horse")
			s.start()
			t.Cleanup(s.stop)
			var log logs
			cfg := testConfig("tcp://porch:wrong-battery@" + s.addr())
			p := start(t, cfg, &log)
			eventuallyReason(t, p, "refused: not authorised (wrong user name or password")
			time.Sleep(500 * time.Millisecond) // several attempts
			if n := log.count("level=WARN"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, log.String())
			}
			if s := log.String() + p.State().Reason; strings.Contains(s, "battery") {
				t.Errorf("the password shows: %s", s)
			}
			if p.State().Pending != 0 || p.State().Connected {
				t.Errorf("got %+v", p.State())
			}

			cfg = testConfig("tcp://nobody:x@" + s.addr())
			cfg.Username, cfg.Password = "porch", "right-horse" // win over the URL's
			cfg.ClientID = "other"
			waitAck(t, mustPublish(t, start(t, cfg, io.Discard), result(1)))
			waitAck(t, mustPublish(t, start(t, testConfig("mqtt://porch:right-horse@"+s.addr()), io.Discard), result(1)))
		})
	}
}

// fake is a listener whose connections f serves; they are closed at the test's end.
func fake(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	via := newProxy(t, "")
	via.Listener.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	via.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			via.set(func(p *proxy) { p.conns = append(p.conns, c) })
			via.wg.Go(func() { f(c) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func connack(code byte) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := packets.ReadPacket(c); err == nil {
			c.Write([]byte{0x20, 2, 0, code})
		}
	}
}

func TestReasons(t *testing.T) {
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	silent := fake(t, func(net.Conn) {})
	table := []struct {
		name, url, want string
	}{
		{"nothing listens", "tcp://" + freePort(t), ": connection refused: no broker listens there"},
		{"DNS", "tcp://broker.invalid", "DNS: there is no host broker.invalid"},
		{"hangs", "tcp://" + silent, ": timeout: took the connection, but doesn't answer"},
		{"hangs in TLS", "ssl://" + silent, ": TLS: timeout in the handshake"},
		{"closes", "tcp://" + fake(t, func(c net.Conn) { c.Close() }), ": closed the connection before answering"},
		{"version", "tcp://" + fake(t, connack(1)), ": refused: the broker doesn't speak MQTT 3.1.1"},
		{"client id", "tcp://" + fake(t, connack(2)), ": refused: the client id is not accepted"},
		{"unavailable", "tcp://" + fake(t, connack(3)), ": refused: the broker is not available at present"},
		{"user", "tcp://" + fake(t, connack(4)), ": refused: bad user name or password"},
		{"not authorised", "tcp://" + fake(t, connack(5)), ": refused: not authorised"},
		{"unknown code", "tcp://" + fake(t, connack(0x87)), ": refused with a code that MQTT 3.1.1 doesn't have"},
		{"unknown authority", "ssl://" + secure.Listener.Addr().String(), ": certificate: signed by an authority that this machine doesn't trust"},
		{"unknown authority, WebSocket", "wss://" + secure.Listener.Addr().String(), ": certificate: signed by an authority"},
		{"no TLS", "mqtts://" + plain.Listener.Addr().String(), ": TLS: the broker doesn't speak TLS at this port"},
		{"no WebSocket", "ws://" + plain.Listener.Addr().String() + "/mqtt", ": no MQTT over WebSocket at this path"},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(c.url)
			cfg.ConnectTimeout = 300 * time.Millisecond
			p := start(t, cfg, io.Discard)
			eventuallyReason(t, p, c.want)
			if err := closeWithin(p, 5*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTLSReasons(t *testing.T) {
	broker, err := parseBroker("ssl://broker.lan")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{tls.RecordHeaderError{}, "TLS: the broker doesn't speak TLS at this port"},
		{io.EOF, "TLS: the broker closed the connection in the handshake"},
		{errors.New("odd"), "TLS: odd"},
	} {
		if got := connectFailure(&handshakeError{c.err}, broker, time.Second); got != "broker.lan:8883: "+c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A broker that stays connected but says nothing more is noticed by the keep-alive,
// one that stops reading at the latest by the write's deadline.
func TestDeadLink(t *testing.T) {
	withServers(t, func(t *testing.T, s server) {
		for name, spoil := range map[string]func(*proxy){
			"deaf":   func(p *proxy) { p.deaf = true },
			"frozen": func(p *proxy) { p.frozen = true },
		} {
			t.Run(name, func(t *testing.T) {
				via := newProxy(t, s.addr())
				var log logs
				p := start(t, testConfig(via.Addr().String()), &log)
				waitAck(t, mustPublish(t, p, result(0)))
				via.set(func(p *proxy) { spoil(p); p.down = true })
				a := mustPublish(t, p, result(1))
				eventually(t, "silence is noticed", func() bool { return log.count("timeout: no sign of life for 1.5s") == 1 })
				via.set(func(p *proxy) { p.deaf, p.frozen, p.down = false, false, false })
				waitAck(t, a)
			})
		}
	})
}

func TestStopsReading(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	l := &link{Conn: here, timeout: 20 * time.Millisecond}
	go io.ReadFull(there, make([]byte, writeChunk+1))
	n, err := l.Write(make([]byte, 2*writeChunk))
	if !errors.Is(err, errStoppedReading) || n != writeChunk+1 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, errStoppedReading) {
		t.Errorf("a read must tell paho the reason, got %v", err)
	}
}

// A slow but steady reader is not taken for one that has stopped.
func TestSlowReader(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	l := &link{Conn: here, timeout: 150 * time.Millisecond}
	go func() {
		for {
			if _, err := io.ReadFull(there, make([]byte, writeChunk)); err != nil {
				return
			}
			time.Sleep(60 * time.Millisecond)
		}
	}()
	if n, err := l.Write(make([]byte, 5*writeChunk)); err != nil || n != 5*writeChunk {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestBrokersInOrder(t *testing.T) {
	second, third := newMochi(t), newMochi(t)
	third.start()
	t.Cleanup(third.stop)
	p := start(t, testConfig(freePort(t), second.addr(), third.addr()), io.Discard)
	eventually(t, "third", func() bool { return p.State().Broker == third.addr() })
	second.start()
	t.Cleanup(second.stop)
	third.stop()
	eventually(t, "second", func() bool { return p.State().Broker == second.addr() })
	waitAck(t, mustPublish(t, p, result(1)))
	second.stop()
	eventually(t, "both reasons", func() bool { return strings.Count(p.State().Reason, "connection refused") == 3 })
}

// A broker that lets the client in and throws it out at once is tried ever less
// often, and the log stays short.
func TestThrownOut(t *testing.T) {
	addr := fake(t, func(c net.Conn) { connack(0)(c); c.Close() })
	var log logs
	cfg := testConfig(addr)
	p := start(t, cfg, &log)
	eventually(t, "some connections", func() bool { return p.State().Reconnects > 5 })
	if n := strings.Count(log.String(), "\n"); n > 4 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

func TestOnChange(t *testing.T) {
	s := newMochi(t)
	states := make(chan State, 100)
	p, err := New(testConfig(s.addr()), Options{Device: "porch", OnChange: func(s State) { states <- s }})
	if err != nil {
		t.Fatal(err)
	}
	go p.Run(t.Context())
	if st := <-states; st.Connected || !strings.Contains(st.Reason, "connection refused") {
		t.Errorf("got %+v", st)
	}
	s.start()
	t.Cleanup(s.stop)
	if st := <-states; !st.Connected || st.Broker != s.addr() || st.Reason != "" || time.Since(st.Since) > time.Minute {
		t.Errorf("got %+v", st)
	}
	if err := closeWithin(p, 5*time.Second); err != nil {
		t.Error(err)
	}
	if st := <-states; st.Connected {
		t.Errorf("got %+v", st)
	}
}

func TestWebSocketAndLargePayload(t *testing.T) {
	m := newMosquitto(t)
	ws := m.withWebSocket()
	m.start()
	t.Cleanup(m.stop)
	sub := subscribe(t, m.addr(), "glimpsed/porch/front/image")
	p := start(t, testConfig("ws://"+ws), io.Discard)
	image := make([]byte, 3<<20)
	for i := range image {
		image[i] = byte(i * 7)
	}
	waitAck(t, mustPublish(t, p, publish.Message{Topic: "front/image", Kind: publish.KindImage, QoS: 1, Retain: true, Payload: image}))
	eventually(t, "image", func() bool { return len(sub.messages()) == 1 })
	if got := sub.messages()[0].Payload(); string(got) != string(image) {
		t.Errorf("%d bytes arrived changed", len(got))
	}
}

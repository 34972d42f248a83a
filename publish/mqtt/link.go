package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	// writeChunk is how much is written under one deadline, so that a large picture on
	// a slow link isn't taken for a broker that has stopped reading.
	writeChunk = 16 << 10
	// writeTimeout is how long a chunk may take.
	writeTimeout = 10 * time.Second
)

// dial opens the network connection to broker, TLS and WebSocket included. The URL
// has no user.
func dial(ctx context.Context, broker *url.URL, secure TLSConfig, timeout time.Duration) (net.Conn, error) {
	var t *tls.Config
	if broker.Scheme == "ssl" || broker.Scheme == "wss" {
		var err error
		if t, err = secure.configFor(broker); err != nil {
			return nil, &handshakeError{err}
		}
	}
	if broker.Scheme == "ws" || broker.Scheme == "wss" {
		return paho.NewWebsocket(broker.String(), t, timeout, nil, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", broker.Host)
	if err != nil || broker.Scheme != "ssl" {
		return conn, err
	}
	secured := tls.Client(conn, t)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &handshakeError{err}
	}
	return secured, nil
}

// handshakeError marks what went wrong in TLS rather than in the network.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// link is the connection that paho reads and writes. It bounds each write, which
// paho does for PUBLISH only, and can be cut with a reason: paho takes a connection that
// is closed under its hands for one that it closed itself, and goes on as if it
// were connected.
type link struct {
	net.Conn
	timeout time.Duration

	mu sync.Mutex
	// cause is why cut was called.
	cause error
	// first is the beginning of what the broker said: its CONNACK.
	first []byte
}

// cut ends the link; Read returns cause from then on.
func (l *link) cut(cause error) {
	l.mu.Lock()
	if l.cause == nil {
		l.cause = cause
	}
	l.mu.Unlock()
	l.Conn.Close()
}

// connack is the return code of the broker's CONNACK (MQTT 3.1.1, 3.2.2.3).
func (l *link) connack() byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.first) < 4 {
		return 0
	}
	return l.first[3]
}

func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if missing := 4 - len(l.first); missing > 0 {
		l.first = append(l.first, b[:min(n, missing)]...)
	}
	if err != nil && l.cause != nil {
		err = l.cause
	}
	return n, err
}

func (l *link) Write(b []byte) (int, error) {
	written := 0
	for {
		chunk := b[written:min(len(b), written+writeChunk)]
		if err := l.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
			return written, err
		}
		n, err := l.Conn.Write(chunk)
		written += n
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errStoppedReading
				l.cut(err)
			}
			return written, err
		}
		if written == len(b) {
			return written, nil
		}
	}
}

package broker

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const (
	// connectWithin is how long a new connection may take to say CONNECT; mochi sets
	// its own deadline from the keep-alive afterwards.
	connectWithin = 10 * time.Second
	// acceptPause is the pause after an accept that failed, as when there are no file
	// descriptors left.
	acceptPause = 100 * time.Millisecond
)

// listener is a listeners.Listener that knows all its connections. In mochi's own
// a failed accept is the last, a connection that never says CONNECT stays, and
// Server.Close waits for it for ever.
type listener struct {
	net.Listener
	log  *slog.Logger
	done chan struct{}
	// serving counts the connections that mochi has; it grows under mu, and only
	// while conns isn't nil.
	serving sync.WaitGroup
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
}

func newListener(ln net.Listener) *listener {
	return &listener{Listener: ln, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
}

// Init implements listeners.Listener.
func (l *listener) Init(log *slog.Logger) error {
	l.log = log
	return nil
}

// ID implements listeners.Listener.
func (l *listener) ID() string { return "tcp" }

// Address implements listeners.Listener.
func (l *listener) Address() string { return l.Addr().String() }

// Protocol implements listeners.Listener.
func (l *listener) Protocol() string { return "tcp" }

// Serve implements listeners.Listener: it accepts connections until Close.
func (l *listener) Serve(establish listeners.EstablishFn) {
	failing := false
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if (err != nil) != failing {
			failing = err != nil
			l.log.Error("accepting connections", "fails", failing, "error", err)
		}
		if err != nil {
			select {
			case <-time.After(acceptPause):
			case <-l.done:
			}
			continue
		}
		if !l.start(conn, establish) {
			conn.Close()
		}
	}
}

// start lets mochi serve conn, unless the listener is closed.
func (l *listener) start(conn net.Conn, establish listeners.EstablishFn) bool {
	if conn.SetDeadline(time.Now().Add(connectWithin)) != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		return false
	}
	l.conns[conn] = struct{}{}
	l.serving.Go(func() {
		if err := establish(l.ID(), conn); err != nil {
			l.log.Info("client connection ended", "error", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, conn)
	})
	return true
}

// Close implements listeners.Listener: it stops listening, lets mochi say goodbye to
// its clients, closes what else is connected and waits until all have gone.
func (l *listener) Close(closeClients listeners.CloseFn) {
	l.mu.Lock()
	left := l.conns
	l.conns = nil
	l.mu.Unlock()
	if left == nil {
		return
	}
	close(l.done)
	l.Listener.Close()
	closeClients(l.ID())
	for conn := range left {
		conn.Close()
	}
	l.serving.Wait()
}

package mqtt

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a publisher and a broker and can spoil their connection.
type proxy struct {
	net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	// deaf: what the broker says is swallowed. frozen: nothing is read from the publisher either.
	deaf, frozen bool
	down         bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, target: target}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c)
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.set(func(p *proxy) { p.deaf, p.frozen = false, false })
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := net.Dial("tcp", p.target)
	if p.down || err != nil {
		if err == nil {
			b.Close()
		}
		c.Close()
		return
	}
	p.conns = append(p.conns, c, b)
	p.wg.Go(func() { p.copy(b, c, &p.frozen) })
	p.wg.Go(func() { p.copy(c, b, &p.deaf) })
}

// copy moves bytes until an end closes; while *spoil is set they vanish (or, for
// frozen, stay unread). The other end learns of a close only through a link that
// isn't spoiled.
func (p *proxy) copy(to, from net.Conn, spoil *bool) {
	defer func() {
		if !p.spoiled() {
			to.Close()
			from.Close()
		}
	}()
	buf := make([]byte, 4096)
	for {
		for p.is(&p.frozen) && spoil == &p.frozen {
			time.Sleep(10 * time.Millisecond)
		}
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if p.is(spoil) {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil && !p.spoiled() {
			return
		}
	}
}

func (p *proxy) is(b *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *b
}

func (p *proxy) spoiled() bool { return p.is(&p.deaf) || p.is(&p.frozen) }

// set changes how the proxy treats its connections.
func (p *proxy) set(f func(p *proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// cut closes the connections that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.Close()
	}
	p.conns = nil
}

// Package broker is the MQTT broker inside the daemon, for boxes that have no
// other: mochi-mqtt with its messages in memory.
package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
)

// ErrPortTaken is wrapped by Start where another program listens on the address.
var ErrPortTaken = errors.New("the port is taken by another program")

const (
	// maxPacket bounds what one client can make the daemon allocate; a JPEG of any
	// camera fits.
	maxPacket = 16 << 20
	// century keeps retained messages for as long as the daemon runs: mochi's default
	// deletes them after a day, "online" among them. Zero would turn that off too,
	// but makes QoS 2 acknowledgements of MQTT 5 clients expire at once.
	century = 100 * 365 * 24 * 3600
	// sysTopics is how often $SYS is published, in seconds; each time stops the world for
	// a moment (runtime.ReadMemStats), mochi's default being every second.
	sysTopics = 60
	// sessionDay is how long a persistent session outlives its connection, in
	// seconds; its queue is in memory.
	sessionDay = 24 * 3600
)

// Broker is a running broker. Close ends it.
type Broker struct {
	server   *mochi.Server
	listener *listener
	close    sync.Once
}

// Start listens on cfg.Listen and serves from then on. cfg must be valid.
func Start(cfg Config, log *slog.Logger) (*Broker, error) {
	ln, err := net.Listen("tcp", cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("starting the embedded broker on %s (broker.listen): %w (%w): stop that program, "+
			"set broker.listen to another port, or set mqtt.broker if a broker runs there already", cfg.Listen, ErrPortTaken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the embedded broker on %s (broker.listen): %w", cfg.Listen, err)
	}
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = maxPacket
	caps.MaximumMessageExpiryInterval = century
	caps.MaximumSessionExpiryInterval = sessionDay
	b := &Broker{
		server: mochi.New(&mochi.Options{
			Capabilities:           caps,
			Logger:                 slog.New(quiet{log.Handler()}),
			SysTopicResendInterval: sysTopics,
		}),
		listener: newListener(ln),
	}
	if err := b.server.AddHook(newAuth(cfg), nil); err != nil {
		return nil, errors.Join(fmt.Errorf("setting up the embedded broker's access check: %w", err), ln.Close())
	}
	if err := b.server.AddListener(b.listener); err != nil {
		return nil, errors.Join(fmt.Errorf("setting up the embedded broker's listener: %w", err), ln.Close())
	}
	if err := b.server.Serve(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded broker: %w", err), ln.Close())
	}
	return b, nil
}

// Addr is where the broker listens, with the port it was given where the
// configuration says 0.
func (b *Broker) Addr() net.Addr { return b.listener.Addr() }

// URL is how a client on this machine reaches the broker.
func (b *Broker) URL() string {
	addr := b.listener.Addr().(*net.TCPAddr)
	host := addr.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	return fmt.Sprintf("tcp://%s", net.JoinHostPort(host.String(), fmt.Sprint(addr.Port)))
}

// Close lets subscribers have what was published last, the farewell above all, then
// disconnects all clients and frees the port.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		b.drain()
		if err = b.server.Close(); err != nil {
			err = fmt.Errorf("stopping the embedded broker: %w", err)
		}
	})
	return err
}

// drain waits until subscribers have acknowledged what is on its way to them. What goes to them
// at QoS 0 can't be seen, so it takes a moment in any case.
func (b *Broker) drain() {
	const atLeast, atMost = 50 * time.Millisecond, 300 * time.Millisecond
	if b.connected() == 0 {
		return
	}
	start := time.Now()
	for {
		time.Sleep(atLeast / 5)
		took := time.Since(start)
		if took >= atMost || took >= atLeast && !b.waiting() {
			return
		}
	}
}

func (b *Broker) connected() int {
	n := 0
	for _, c := range b.server.Clients.GetAll() {
		if !c.Net.Inline && !c.Closed() {
			n++
		}
	}
	return n
}

func (b *Broker) waiting() bool {
	for _, c := range b.server.Clients.GetAll() {
		if !c.Closed() && c.State.Inflight.Len() > 0 {
			return true
		}
	}
	return false
}

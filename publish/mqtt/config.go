package mqtt

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// Config is the MQTT publisher's part of the configuration.
type Config struct {
	// Brokers are tried in this order; empty: the caller fills in the embedded one.
	// tcp:// and mqtt:// are plain, ssl://, tls:// and mqtts:// are TLS, ws:// and wss:// are WebSockets.
	Brokers []string
	// BaseTopic is in front of the device in every topic.
	BaseTopic string
	// ClientID is how the broker knows this daemon; empty: made of device and machine.
	ClientID string
	// QoS is of every topic that Topics doesn't name.
	QoS int
	// Username and Password win over those in a broker's URL.
	Username, Password string
	TLS                TLSConfig
	// KeepAlive is how long the link may be silent before it is tested, in whole
	// seconds; a broker that doesn't answer within half of it again is given up.
	KeepAlive time.Duration
	// ConnectTimeout bounds each step of connecting: the network, TLS and the broker's answer.
	ConnectTimeout time.Duration
	// RetryMax is the longest pause between two rounds of attempts.
	RetryMax time.Duration
	// Topics overrides how topics are sent, by kind: "result", "status" and so on.
	Topics map[string]TopicConfig
}

// TopicConfig overrides how one kind of topics is sent; nil leaves the default.
type TopicConfig struct {
	QoS    *int
	Retain *bool
}

// DefaultConfig is for a broker on a local network.
func DefaultConfig() Config {
	return Config{
		BaseTopic:      "glimpsed",
		QoS:            1,
		TLS:            TLSConfig{MinVersion: "1.2"},
		KeepAlive:      30 * time.Second,
		ConnectTimeout: 10 * time.Second,
		RetryMax:       30 * time.Second,
	}
}

// Validate returns one error for each key that can't be used, under path.
func (c Config) Validate(path string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %w", path, key, fmt.Errorf(format, args...)))
	}
	for i, b := range c.Brokers {
		key := "broker"
		if len(c.Brokers) > 1 {
			key = fmt.Sprintf("broker[%d]", i)
		}
		if _, err := parseBroker(b); err != nil {
			bad(key, "%w", err)
		}
	}
	if err := publish.CheckBase(c.BaseTopic); err != nil {
		bad("base_topic", "%w", err)
	}
	if strings.ContainsRune(c.ClientID, 0) || len(c.ClientID) > 65535 {
		bad("client_id", "must be a short text without NUL")
	}
	if c.QoS < 0 || c.QoS > 2 {
		bad("qos", "must be 0, 1 or 2, got %d", c.QoS)
	}
	if c.Password != "" && c.Username == "" && !c.urlsNameUser() {
		bad("username", "must be set where there is a password: MQTT 3.1.1 has no password without one")
	}
	c.TLS.validate(bad)
	if c.KeepAlive < time.Second || c.KeepAlive > 65535*time.Second {
		bad("keep_alive", "must be from 1s to 65535s, got %s", c.KeepAlive)
	}
	if c.ConnectTimeout < 100*time.Millisecond {
		bad("connect_timeout", "must be 100ms or above, got %s", c.ConnectTimeout)
	}
	if c.RetryMax < 100*time.Millisecond {
		bad("retry_max", "must be 100ms or above, got %s", c.RetryMax)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		if !slices.Contains(publish.Kinds(), publish.Kind(name)) {
			bad("topics."+name, "no such kind of topic; there are %s", joinKinds())
		}
		if q := c.Topics[name].QoS; q != nil && (*q < 0 || *q > 2) {
			bad("topics."+name+".qos", "must be 0, 1 or 2, got %d", *q)
		}
	}
	return errors.Join(errs...)
}

// Deliveries is how each kind of message is to be sent under this configuration.
func (c Config) Deliveries() publish.Deliveries {
	d := publish.DefaultDeliveries(byte(c.QoS))
	for name, t := range c.Topics {
		k := d[publish.Kind(name)]
		if t.QoS != nil {
			k.QoS = byte(*t.QoS)
		}
		if t.Retain != nil {
			k.Retain = *t.Retain
		}
		d[publish.Kind(name)] = k
	}
	return d
}

func (c Config) urlsNameUser() bool {
	for _, b := range c.Brokers {
		if u, err := url.Parse(b); err == nil && u.User.Username() != "" {
			return true
		}
	}
	return false
}

func joinKinds() string {
	var names []string
	for _, k := range publish.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// schemes maps what users write to what paho dials, with the port that goes without saying.
var schemes = map[string]struct{ dial, port string }{
	"tcp": {"tcp", "1883"}, "mqtt": {"tcp", "1883"},
	"ssl": {"ssl", "8883"}, "tls": {"ssl", "8883"}, "mqtts": {"ssl", "8883"},
	"ws": {"ws", "80"}, "wss": {"wss", "443"},
}

// parseBroker reads a broker's URL and completes it: a scheme that paho knows, a port.
// Its errors never hold the URL's user or password.
func parseBroker(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		return nil, fmt.Errorf("must begin with tcp://, ssl://, ws:// or wss://, got %q (write tcp://HOST:1883)", afterAt(s))
	}
	u, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) && !strings.Contains(s, "@") {
			err = ue.Err
		} else {
			err = errors.New("has signs that must be percent-encoded in the user, password or address")
		}
		return nil, fmt.Errorf("is not a URL: %w", err)
	}
	k, ok := schemes[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("must begin with tcp://, ssl://, ws:// or wss://, got %s://", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("names no host: write %s://HOST:%s", u.Scheme, k.port)
	}
	if (u.Path != "" && u.Path != "/" && k.dial != "ws" && k.dial != "wss") || u.Fragment != "" {
		return nil, fmt.Errorf("only ws:// and wss:// have a path, got %q: the topic is set by base_topic", u.Path)
	}
	port := u.Port()
	if port == "" {
		port = k.port
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("port must be from 1 to 65535, got %q", port)
	}
	u.Scheme, u.Host = k.dial, net.JoinHostPort(u.Hostname(), port)
	return u, nil
}

// afterAt cuts off what may be a user and a password.
func afterAt(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[i+1:]
	}
	return s
}

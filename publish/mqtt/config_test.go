package mqtt

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := DefaultConfig().Validate("mqtt"); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	three, yes := 3, true
	table := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no scheme", func(c *Config) { c.Brokers = []string{"u:secret@host:1883"} }, `mqtt.broker: must begin with tcp://, ssl://, ws:// or wss://, got "host:1883" (write tcp://HOST:1883)`},
		{"wrong scheme", func(c *Config) { c.Brokers = []string{"http://u:secret@host"} }, "mqtt.broker: must begin with tcp://, ssl://, ws:// or wss://, got http://"},
		{"no host", func(c *Config) { c.Brokers = []string{"tcp://a", "ssl://:8883"} }, "mqtt.broker[1]: names no host: write ssl://HOST:8883"},
		{"path", func(c *Config) { c.Brokers = []string{"tcp://host/topic"} }, `mqtt.broker: only ws:// and wss:// have a path, got "/topic": the topic is set by base_topic`},
		{"port", func(c *Config) { c.Brokers = []string{"tcp://host:0"} }, `mqtt.broker: port must be from 1 to 65535, got "0"`},
		{"port text", func(c *Config) { c.Brokers = []string{"tcp://host:mqtt"} }, `mqtt.broker: is not a URL: invalid port ":mqtt" after host`},
		{"odd password", func(c *Config) { c.Brokers = []string{"tcp://u:sec%ret@host"} }, "mqtt.broker: is not a URL: has signs that must be percent-encoded in the user, password or address"},
		{"wildcard", func(c *Config) { c.BaseTopic = "a/#" }, `mqtt.base_topic: may not hold +, # or NUL, got "a/#"`},
		{"slash", func(c *Config) { c.BaseTopic = "/a" }, `mqtt.base_topic: may not begin or end with / or hold an empty level, got "/a"`},
		{"dollar", func(c *Config) { c.BaseTopic = "$SYS" }, `mqtt.base_topic: may not begin with $, which brokers keep for themselves, got "$SYS"`},
		{"qos", func(c *Config) { c.QoS = -1 }, "mqtt.qos: must be 0, 1 or 2, got -1"},
		{"password alone", func(c *Config) { c.Password = "secret" }, "mqtt.username: must be set where there is a password: MQTT 3.1.1 has no password without one"},
		{"keep-alive", func(c *Config) { c.KeepAlive = 0 }, "mqtt.keep_alive: must be from 1s to 65535s, got 0s"},
		{"timeout", func(c *Config) { c.ConnectTimeout = time.Millisecond }, "mqtt.connect_timeout: must be 100ms or above, got 1ms"},
		{"retry", func(c *Config) { c.RetryMax = -time.Second }, "mqtt.retry_max: must be 100ms or above, got -1s"},
		{"kind", func(c *Config) { c.Topics = map[string]TopicConfig{"results": {Retain: &yes}} }, "mqtt.topics.results: no such kind of topic; there are status, diagnostics, result, state, event, health, settings, image, stats, reply"},
		{"kind's qos", func(c *Config) { c.Topics = map[string]TopicConfig{"result": {QoS: &three}} }, "mqtt.topics.result.qos: must be 0, 1 or 2, got 3"},
		{"several", func(c *Config) { c.QoS, c.BaseTopic = 7, "" }, "mqtt.base_topic: must not be empty\nmqtt.qos: must be 0, 1 or 2, got 7"},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.change(&cfg)
			err := cfg.Validate("mqtt")
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "sec") {
				t.Error("the password shows")
			}
		})
	}
}

func TestParseBroker(t *testing.T) {
	for in, want := range map[string]string{
		"tcp://host": "tcp://host:1883", "mqtt://host:99": "tcp://host:99", "mqtts://host": "ssl://host:8883",
		"tls://host": "ssl://host:8883", "ws://host/mqtt": "ws://host:80/mqtt", "wss://host": "wss://host:443",
		"tcp://[::1]": "tcp://[::1]:1883", "tcp://host/": "tcp://host:1883/",
	} {
		if u, err := parseBroker(in); err != nil || u.String() != want {
			t.Errorf("%s: got %v, %v, want %s", in, u, err, want)
		}
	}
}

func TestDeliveries(t *testing.T) {
	zero, yes, no := 0, true, false
	cfg := DefaultConfig()
	cfg.Topics = map[string]TopicConfig{"result": {QoS: &zero}, "event": {Retain: &yes}, "status": {Retain: &no}}
	d := cfg.Deliveries()
	for kind, want := range map[publish.Kind]publish.Delivery{
		publish.KindResult: {QoS: 0}, publish.KindEvent: {QoS: 1, Retain: true}, publish.KindStatus: {QoS: 1}, publish.KindStats: {QoS: 1, Retain: true},
	} {
		if d[kind] != want {
			t.Errorf("%s: got %+v, want %+v", kind, d[kind], want)
		}
	}
}

func TestClientID(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	os.WriteFile(a, []byte("0123456789abcdef0123456789abcdef\n"), 0o644)
	os.WriteFile(b, []byte("fedcba9876543210fedcba9876543210\n"), 0o644)
	one := clientID("porch", []string{filepath.Join(dir, "none"), a})
	if !regexp.MustCompile(`^glimpsed-porch-[0-9a-f]{8}$`).MatchString(one) || strings.Contains(one, "0123456") {
		t.Errorf("got %s", one)
	}
	if one != clientID("porch", []string{a, b}) || one == clientID("porch", []string{b}) {
		t.Error("must be stable on a machine and differ between machines")
	}
	if got := clientID("porch", nil); !strings.HasPrefix(got, "glimpsed-porch-") {
		t.Errorf("without a machine id: got %s", got)
	}
}

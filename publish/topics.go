package publish

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is what a topic carries: the last level of its name.
type Kind string

// The kinds of topics below <base>/<device>.
const (
	// KindStatus is the device's birth and will, and a camera's state.
	KindStatus Kind = "status"
	// KindDiagnostics is what is wrong, of the device or of a camera.
	KindDiagnostics Kind = "diagnostics"
	// KindResult is one classified frame.
	KindResult Kind = "result"
	// KindState is a camera's stable label.
	KindState Kind = "state"
	// KindEvent is the start, update or end of an event.
	KindEvent Kind = "event"
	// KindHealth is the opinion on a camera's health.
	KindHealth Kind = "health"
	// KindSettings is what can be changed while the daemon runs.
	KindSettings Kind = "settings"
	// KindImage is a JPEG of the last event or snapshot.
	KindImage Kind = "image"
	// KindStats is the device's numbers.
	KindStats Kind = "stats"
	// KindReply is the answer to a command.
	KindReply Kind = "reply"
	// KindDiscovery tells Home Assistant of this device, on a topic of its own. It isn't one of Kinds: how it
	// is sent is not to be changed.
	KindDiscovery Kind = "discovery"
)

// Happens says that a message of this kind is about something that happened
// once: each is sent, and none is retained by default. The other kinds say how things
// are, where only the newest counts.
func (k Kind) Happens() bool { return k == KindResult || k == KindEvent || k == KindReply }

// Kinds lists every kind, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{KindStatus, KindDiagnostics, KindResult, KindState, KindEvent,
		KindHealth, KindSettings, KindImage, KindStats, KindReply}
}

// Delivery is how messages of one kind are sent.
type Delivery struct {
	// QoS is 0, 1 or 2.
	QoS byte
	// Retain asks the broker to keep the newest message for later subscribers.
	Retain bool
}

// Deliveries says how each kind is sent. A kind that is missing is sent as
// DefaultDeliveries has it.
type Deliveries map[Kind]Delivery

// DefaultDeliveries is QoS qos for every kind, retained where only the newest
// counts.
func DefaultDeliveries(qos byte) Deliveries {
	d := Deliveries{}
	for _, k := range Kinds() {
		d[k] = Delivery{QoS: qos, Retain: !k.Happens()}
	}
	return d
}

// CheckLevel says why name can't be one level of a topic for a device or a
// camera, or nil: letters, digits, - and _ are allowed.
func CheckLevel(name string) error {
	if name == "" {
		return errors.New("must not be empty")
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		default:
			return fmt.Errorf("may hold letters, digits, - and _, got %q", name)
		}
	}
	return nil
}

// CheckBase says why base can't stand in front of the device in topics, or nil.
// It may have several levels, as in "site/hall/glimpsed".
func CheckBase(base string) error {
	switch {
	case base == "":
		return errors.New("must not be empty")
	case strings.ContainsAny(base, "+#\x00"):
		return fmt.Errorf("may not hold +, # or NUL, got %q", base)
	case strings.HasPrefix(base, "/"), strings.HasSuffix(base, "/"), strings.Contains(base, "//"):
		return fmt.Errorf("may not begin or end with / or hold an empty level, got %q", base)
	case strings.HasPrefix(base, "$"):
		return fmt.Errorf("may not begin with $, which brokers keep for themselves, got %q", base)
	}
	return nil
}

// Root is the topic that everything of a device is below.
func Root(base, device string) string { return base + "/" + device }

// CommandTopic is where a command is asked for, below Root.
func CommandTopic(name string) string { return "cmd/" + name }

// CameraTopic is a camera's topic of one kind, below Root.
func CameraTopic(camera string, k Kind) string { return camera + "/" + string(k) }

package publish

import (
	"bytes"
	"time"
)

// Clock says when a payload's captured_at was read, so that it can be set right where that was
// before the machine knew the time.
type Clock struct {
	// Unsynced says that the machine's clock was not set yet.
	Unsynced bool
	// BootID and SinceBoot are the machine's boot and the time since it, which are right nevertheless.
	BootID    string
	SinceBoot time.Duration
}

// BootClock tells this boot's id and, once the machine's clock is set, when it was.
type BootClock func() (bootID string, booted time.Time, synced bool)

// SetRight gives m the time of capture that follows from when its boot was. Messages of other
// boots, and those whose time is right, stay as they are. It says whether m was changed.
func (m *Message) SetRight(bootID string, booted time.Time) bool {
	if !m.Clock.Unsynced || m.Clock.BootID == "" || m.Clock.BootID != bootID {
		return false
	}
	payload, ok := corrected(m.Payload, booted.Add(m.Clock.SinceBoot))
	if ok {
		m.Payload, m.Clock = payload, Clock{}
	}
	return ok
}

var (
	capturedAt = []byte(`"captured_at":"`)
	notSynced  = []byte(`","clock_synced":false`)
	synced     = []byte(`","clock_synced":true`)
)

// corrected is a copy of a payload of this package with another time of capture.
func corrected(payload []byte, at time.Time) ([]byte, bool) {
	before, rest, ok := bytes.Cut(payload, capturedAt)
	if !ok || len(rest) < len(timeLayout) || !bytes.HasPrefix(rest[len(timeLayout):], notSynced) {
		return nil, false
	}
	out := make([]byte, 0, len(payload))
	out = append(append(out, before...), capturedAt...)
	out = at.UTC().AppendFormat(out, timeLayout)
	out = append(out, synced...)
	return append(out, rest[len(timeLayout)+len(notSynced):]...), true
}

package publish

import (
	"bytes"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

func TestTimesBeforeTheClockWasSet(t *testing.T) {
	e := testEncoder()
	e.ClockSynced = func() bool { return false }
	e.SinceBoot = func() time.Duration { return 90 * time.Second }
	r := testResult()
	r.CapturedAt = time.Now().Add(-30 * time.Second) // 60 s after boot
	m := e.Result(r)
	if c := m.Clock; !c.Unsynced || c.BootID != e.BootID || c.SinceBoot.Round(time.Second) != time.Minute {
		t.Fatalf("got %+v", c)
	}
	booted := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	same := m
	if same.SetRight("another boot", booted) || !bytes.Equal(same.Payload, m.Payload) {
		t.Error("the time of another boot was taken")
	}
	before := string(m.Payload)
	if !m.SetRight(e.BootID, booted) {
		t.Fatalf("not set right: %s", m.Payload)
	}
	m.Payload = bytes.Replace(m.Payload, []byte("07:09:08.999"), []byte("07:09:09.000"), 1) // the test takes its time
	r.CapturedAt = booted.Add(time.Minute)
	e.ClockSynced = func() bool { return true }
	want := e.Result(r)
	if got, want := string(m.Payload[:200]), string(want.Payload[:200]); got[:150] != want[:150] || len(m.Payload) != len(before)-1 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if m.Clock.Unsynced || want.Clock != (Clock{}) {
		t.Errorf("got %+v and %+v", m.Clock, want.Clock)
	}
	if m.SetRight(e.BootID, booted) {
		t.Error("set right twice")
	}
	e.ClockSynced = func() bool { return false }
	event := e.Event(vision.Event{Camera: "front", CapturedAt: time.Now()})
	if !event.SetRight(e.BootID, booted) || !bytes.Contains(event.Payload, []byte(`"captured_at":"2026-05-06T07:09:3`)) {
		t.Errorf("an event: %s", event.Payload)
	}
}

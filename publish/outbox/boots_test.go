package outbox

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

var booted = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// early is a result made a minute after boot, before the machine knew the time.
func early(boot string) publish.Message {
	return publish.Message{
		Topic: "front/result", Kind: publish.KindResult,
		Payload: []byte(`{"captured_at":"1970-01-01T00:01:00.000Z","clock_synced":false,"model":{}}`),
		Clock:   publish.Clock{Unsynced: true, BootID: boot, SinceBoot: time.Minute},
	}
}

const right = `{"captured_at":"2026-05-06T07:09:09.000Z","clock_synced":true,"model":{}}`

func TestTimesAreSetRight(t *testing.T) {
	dir := t.TempDir()
	first := false // whether the first boot knows the time
	clock := func() (string, time.Time, bool) { return "first", booted, first }
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Options{Dir: dir, Sync: time.Second, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b.Append(early("first"), false)
		}
		b.Append(early("long ago"), false)
		time.Sleep(2 * time.Second)
		id, m, _ := b.Next()
		if !bytes.Equal(m.Payload, early("first").Payload) || !m.Clock.Unsynced {
			t.Errorf("before the clock was set: %s", m.Payload)
		}
		b.Done(id)
		first = true
		if id, m, _ = b.Next(); string(m.Payload) != right || m.Clock.Unsynced {
			t.Errorf("after it: %s", m.Payload)
		}
		b.Done(id)
		time.Sleep(2 * agingEvery)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
	// The power was cut before the rest was delivered.
	b := open(t, Options{Dir: dir, Clock: func() (string, time.Time, bool) { return "second", time.Now(), false }})
	if _, m, ok := b.Next(); !ok || string(m.Payload) != right {
		t.Errorf("after another boot: %s", m.Payload)
	}
	if _, m, ok := b.Next(); !ok || !m.Clock.Unsynced {
		t.Errorf("of a boot that nobody knows: %s", m.Payload)
	}
}

func TestDamagedBoots(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, bootsName), []byte(`[{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, Options{Dir: dir, Clock: func() (string, time.Time, bool) { return "now", booted, true }})
	b.Append(early("before"), false)
	if _, m, ok := b.Next(); !ok || !m.Clock.Unsynced {
		t.Errorf("got %v %s", ok, m.Payload)
	}
}

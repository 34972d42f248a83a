package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Outbox {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func message(n int) publish.Message {
	return publish.Message{
		Topic: "front/result", Kind: publish.KindResult, QoS: 1, Payload: fmt.Appendf(nil, `{"seq":%d}`, n),
		Clock: publish.Clock{Unsynced: n%2 == 0, BootID: "5f0c", SinceBoot: time.Duration(n) * time.Second},
	}
}

// number is what message was made with.
func number(t interface{ Fatalf(string, ...any) }, m publish.Message) int {
	var n int
	if _, err := fmt.Sscanf(string(m.Payload), `{"seq":%d}`, &n); err != nil {
		t.Fatalf("payload %q: %v", m.Payload, err)
	}
	return n
}

func add(t *testing.T, b *Outbox, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if _, err := b.Append(message(n), false); err != nil {
			t.Fatal(err)
		}
	}
}

// rest takes everything and settles it.
func rest(t *testing.T, b *Outbox) []int {
	t.Helper()
	var got []int
	for {
		id, m, ok := b.Next()
		if !ok {
			return got
		}
		got = append(got, number(t, m))
		b.Done(id)
	}
}

func count(from, to int) []int {
	var out []int
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

func wantRest(t *testing.T, b *Outbox, want []int) {
	t.Helper()
	if got := rest(t, b); !slices.Equal(got, want) {
		t.Errorf("got %d messages %v, want %d %v", len(got), got, len(want), want)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	want := publish.Message{
		Topic: "front/event", Kind: publish.KindEvent, QoS: 2, Retain: true, Whole: true, Payload: []byte("G\xffM\xfe\x00 not UTF-8"),
		Clock: publish.Clock{Unsynced: true, BootID: "5f0c3c7e-6f0e", SinceBoot: -3},
	}
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sync: time.Hour})
	if _, err := b.Append(want, false); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, ok := open(t, Options{Dir: dir}).Next()
	if !ok || got.Topic != want.Topic || got.Kind != want.Kind || got.QoS != 2 || !got.Retain || !got.Whole || !bytes.Equal(got.Payload, want.Payload) || got.Clock != want.Clock {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOnlyWhatIsDoneIsForgotten(t *testing.T) {
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sync: time.Hour})
	add(t, b, 1, 10)
	var taken []uint64
	for range 6 {
		id, _, _ := b.Next()
		taken = append(taken, id)
	}
	for _, i := range []int{0, 1, 3} {
		b.Done(taken[i])
	}
	if s := b.State(); s.Pending != 7 {
		t.Errorf("%d pending, want 7", s.Pending)
	}
	b.Rewind()
	var again []int
	for range 4 {
		_, m, _ := b.Next()
		again = append(again, number(t, m))
	}
	if want := []int{3, 5, 6, 7}; !slices.Equal(again, want) {
		t.Errorf("after a rewind %v, want %v", again, want)
	}
	b.Close()
	b = open(t, Options{Dir: dir, Sync: time.Hour})
	wantRest(t, b, []int{3, 5, 6, 7, 8, 9, 10})
	b.Close()
	b = open(t, Options{Dir: dir, Sync: time.Hour})
	wantRest(t, b, nil)
	add(t, b, 11, 11)
	wantRest(t, b, []int{11})
}

// What is held is in other hands: it isn't handed out, but it is there after a restart.
func TestHeldMessagesAreNotHandedOut(t *testing.T) {
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sync: time.Hour})
	first, err := b.Append(message(1), true)
	if err != nil {
		t.Fatal(err)
	}
	b.Append(message(2), true)
	add(t, b, 3, 3)
	b.Done(first)
	wantRest(t, b, []int{3})
	if _, _, ok := b.Next(); ok {
		t.Error("a held message is none for Next")
	}
	b.Close()
	wantRest(t, open(t, Options{Dir: dir}), []int{2})
}

func TestNothingIsWrittenWithoutMessages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	b := open(t, Options{Dir: dir, Sync: time.Millisecond})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, filepath.Dir(dir)); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// A settled outbox gives its space back.
func TestSettledFilesAreDeleted(t *testing.T) {
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sync: time.Millisecond})
	big := publish.Message{Topic: "x", Payload: bytes.Repeat([]byte("x"), segmentSize/4)}
	for range 20 {
		if _, err := b.Append(big, false); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; ; n++ {
		id, _, ok := b.Next()
		if !ok {
			break
		}
		b.Done(id)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := slices.DeleteFunc(files(t, dir), func(n string) bool { return !strings.HasSuffix(n, segmentSuffix) })
		if len(left) == 0 && b.State().Bytes == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v and %+v are left of 20 delivered messages", left, b.State())
		}
	}
	b.Close()
	b = open(t, Options{Dir: dir})
	add(t, b, 1, 2)
	wantRest(t, b, []int{1, 2})
}

func TestBounds(t *testing.T) {
	t.Run("count", func(t *testing.T) {
		b := open(t, Options{Dir: t.TempDir(), MaxMessages: 5, Sync: time.Hour})
		add(t, b, 1, 12)
		if s := b.State(); s.Pending != 5 || s.Lost != 7 {
			t.Errorf("got %+v, want 5 pending and 7 lost", s)
		}
		wantRest(t, b, count(8, 12))
	})
	t.Run("bytes", func(t *testing.T) {
		const limit = 3 * segmentSize
		dir := t.TempDir()
		b := open(t, Options{Dir: dir, MaxBytes: limit, Sync: 0})
		payload := bytes.Repeat([]byte("x"), 10_000)
		for range 200 {
			if _, err := b.Append(publish.Message{Topic: "x", Payload: payload}, false); err != nil {
				t.Fatal(err)
			}
			if s := b.State(); s.Bytes > limit {
				t.Fatalf("%d bytes, more than %d", s.Bytes, limit)
			}
		}
		s := b.State()
		if s.Lost == 0 || s.Lost+s.Pending != 200 || s.Bytes < limit/2 {
			t.Errorf("of 200 messages: %+v", s)
		}
		n := uint64(0)
		for {
			if _, _, ok := b.Next(); !ok {
				break
			}
			n++
		}
		if n != s.Pending {
			t.Errorf("%d messages handed out of %d", n, s.Pending)
		}
	})
	t.Run("age", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b, err := Open(Options{Dir: dir, MaxAge: time.Hour, Sync: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			add(t, b, 1, 3)
			time.Sleep(50 * time.Minute)
			add(t, b, 4, 5)
			time.Sleep(20 * time.Minute)
			wantRest(t, b, []int{4, 5})
			if s := b.State(); s.Lost != 3 {
				t.Errorf("got %+v, want 3 lost", s)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// What Append returned without an error is there after the process was killed, once Sync has passed.
func TestWritesAreBatched(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Options{Dir: dir, Sync: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		add(t, b, 1, 100)
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		if got := files(t, dir); len(got) != 0 {
			t.Errorf("before the time: %v", got)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := readBack(t, dir); !slices.Equal(got, count(1, 100)) {
			t.Errorf("after a batch: %v", got)
		}
	})
	t.Run("each", func(t *testing.T) {
		dir := t.TempDir()
		b := open(t, Options{Dir: dir})
		add(t, b, 1, 3)
		if got := readBack(t, dir); !slices.Equal(got, count(1, 3)) {
			t.Errorf("Sync 0: %v", got)
		}
	})
}

// readBack is what the files hold, as another process would find them.
func readBack(t *testing.T, dir string) []int {
	t.Helper()
	copied := t.TempDir()
	for _, name := range files(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(Options{Dir: copied})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return rest(t, b)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another glimpsed") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one got %v", err)
	}
}

func TestAppendAfterClose(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	b.Close()
	if _, err := b.Append(message(1), false); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestTooLargeAMessageIsRefused(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()})
	m := publish.Message{Topic: "front/event", Payload: make([]byte, maxBody)}
	if _, err := b.Append(m, false); err == nil || !strings.Contains(err.Error(), "front/event") {
		t.Errorf("got %v", err)
	}
}

// A day at 5 frames a second without a broker: the bounds hold and memory stays flat.
func TestADayWithoutABroker(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		day := 24 * 60 * 60 * 5
		if slow {
			day /= 10
		}
		b, err := Open(Options{Dir: dir, MaxBytes: 512 << 20, MaxMessages: 1_000_000, MaxAge: 7 * 24 * time.Hour, Sync: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		m := publish.Message{Topic: "front/result", Kind: publish.KindResult}
		usual := bytes.Repeat([]byte("x"), 660)
		for n := range day {
			m.Payload = append(fmt.Appendf(nil, `{"seq":%d}`, n), usual...)
			if _, err := b.Append(m, false); err != nil {
				t.Fatal(err)
			}
			if n%500 == 0 { // the fake clock advances when all is written
				time.Sleep(100 * time.Second)
			}
		}
		s := b.State()
		if s.Pending != uint64(day) || s.Lost != 0 || s.Bytes > 512<<20 {
			t.Fatalf("after a day: %+v", s)
		}
		if spans := len(b.settled.spans); spans > 1 {
			t.Errorf("%d spans", spans)
		}
		for n := range day {
			id, m, ok := b.Next()
			if !ok || number(t, m) != n {
				t.Fatalf("message %d: got %v %.20q", n, ok, m.Payload)
			}
			b.Done(id)
		}
		if s := b.State(); s.Pending != 0 {
			t.Errorf("after the catch-up: %+v", s)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	box, err := Open(Options{Dir: b.TempDir(), Sync: 500 * time.Millisecond, MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	m := publish.Message{Topic: "front/result", Kind: publish.KindResult, Payload: bytes.Repeat([]byte("x"), 680)}
	b.ReportAllocs()
	for b.Loop() {
		for {
			if _, err := box.Append(m, false); !errors.Is(err, ErrBusy) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	box, err := Open(Options{Dir: b.TempDir(), Sync: 500 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	m := publish.Message{Topic: "front/result", Kind: publish.KindResult, Payload: bytes.Repeat([]byte("x"), 680)}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		box.Append(m, false)
		if box.State().Pending%1000 == 999 {
			box.flush(false)
		}
		b.StartTimer()
		if id, _, ok := box.Next(); ok {
			box.Done(id)
		}
	}
}

package outbox

import (
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what an Outbox is to be: a list.
type model struct {
	*Outbox
	dir     string
	next    int
	waiting []int          // not settled, in order
	held    map[int]uint64 // with their ids
}

// Whatever is done in whatever order, an outbox is a list of what isn't settled.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "outbox")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &model{dir: dir, held: map[int]uint64{}}
		m.open(t)
		defer func() { m.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) { m.append(t, rapid.Bool().Draw(t, "hold")) },
			"next": func(t *rapid.T) {
				want := slices.IndexFunc(m.waiting, func(n int) bool { _, held := m.held[n]; return !held })
				id, msg, ok := m.Next()
				if ok != (want >= 0) {
					t.Fatalf("Next says %v with %v waiting, of which %v are held", ok, m.waiting, m.held)
				}
				if ok {
					if n := number(t, msg); n != m.waiting[want] {
						t.Fatalf("Next gave %d, want %d", n, m.waiting[want])
					}
					m.held[m.waiting[want]] = id
				}
			},
			"done": func(t *rapid.T) {
				if len(m.held) == 0 {
					t.Skip("nothing is held")
				}
				n := rapid.SampledFrom(heldNumbers(m)).Draw(t, "which")
				m.Done(m.held[n])
				delete(m.held, n)
				m.waiting = slices.DeleteFunc(m.waiting, func(w int) bool { return w == n })
			},
			"flush":  func(*rapid.T) { m.flush(false); m.tidy(false) },
			"seal":   func(*rapid.T) { m.seal() },
			"rewind": func(*rapid.T) { m.Rewind(); clear(m.held) },
			"reopen": func(t *rapid.T) {
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				clear(m.held)
				m.open(t)
			},
			"": func(t *rapid.T) {
				if s := m.State(); s.Pending != uint64(len(m.waiting)) || s.Lost != 0 {
					t.Fatalf("%+v with %d waiting", s, len(m.waiting))
				}
			},
		})
	})
}

func heldNumbers(m *model) []int {
	var out []int
	for n := range m.held {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (m *model) open(t *rapid.T) {
	b, err := Open(Options{Dir: m.dir, Sync: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	m.Outbox = b
}

func (m *model) append(t *rapid.T, hold bool) {
	m.next++
	id, err := m.Append(message(m.next), hold)
	if err != nil {
		t.Fatal(err)
	}
	m.waiting = append(m.waiting, m.next)
	if hold {
		m.held[m.next] = id
	}
}

// seal begins a new segment, as if the present one were full.
func (m *model) seal() {
	m.flush(true)
	m.writing.Lock()
	defer m.writing.Unlock()
	if m.file != nil {
		m.sealActive()
	}
}

func TestIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s ids
		want := map[uint64]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "adds") {
			first := rapid.Uint64Range(1, 40).Draw(t, "first")
			last := first + rapid.Uint64Range(0, 6).Draw(t, "more")
			fresh := uint64(0)
			for id := first; id <= last; id++ {
				if !want[id] {
					fresh++
				}
				want[id] = true
			}
			if got := s.add(first, last); got != fresh {
				t.Fatalf("adding %d to %d: %d new, want %d", first, last, got, fresh)
			}
		}
		if s.count != uint64(len(want)) {
			t.Fatalf("count %d, want %d", s.count, len(want))
		}
		for id := uint64(1); id < 50; id++ {
			if s.has(id) != want[id] {
				t.Fatalf("has(%d) is %v", id, s.has(id))
			}
			next := id
			for want[next] {
				next++
			}
			if got := s.next(id); got != next {
				t.Fatalf("next(%d) is %d, want %d", id, got, next)
			}
		}
		for i, sp := range s.spans {
			if sp.first > sp.last || i > 0 && sp.first <= s.spans[i-1].last+1 {
				t.Fatalf("spans %v", s.spans)
			}
		}
	})
}

package events

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// Change is news: of the state, of an event, or of both.
type Change struct {
	State *vision.State
	Event *vision.Event
}

// Tracker follows one camera. It is safe for concurrent use.
type Tracker struct {
	cfg    Config
	camera string
	// prefix is in front of the ids of events; it is new at each start of the daemon.
	prefix string
	called map[string]string // what a model's label counts as, "" for nothing; filled as labels come

	mu     sync.Mutex
	scores map[string]float64 // smoothed
	recent []vote             // of SmoothMajority
	last   time.Time          // of the newest result
	state  vision.State
	// next is what the state is about to become, since when.
	next      string
	nextSince time.Time
	event     *event
	events    uint64
}

type vote struct {
	at    time.Time
	label string
}

type event struct {
	id    string
	since time.Time
	best  float64
	told  time.Time
}

// New makes a tracker of a valid Config. prefix makes ids unique among runs of the daemon.
func New(cfg Config, camera, prefix string) *Tracker {
	return &Tracker{
		cfg: cfg, camera: camera, prefix: prefix,
		called: map[string]string{}, scores: map[string]float64{},
	}
}

// Observe takes a result's classifications, of a picture taken at at, and returns what changed by it, in order.
func (t *Tracker) Observe(at time.Time, top []vision.Classification) []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.smooth(at, t.grouped(top))
	t.last = at
	if t.state.Label == "" { // the first result: unknown until something is sure
		t.state = vision.State{Camera: t.camera, Label: vision.Unknown, Since: at}
		return append([]Change{{State: t.told()}}, t.step(at)...)
	}
	return t.step(at)
}

// Thresholds are Config's Enter and Leave as they are now.
func (t *Tracker) Thresholds() (enter, leave float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg.Enter, t.cfg.Leave
}

// SetThresholds changes them from the next result on.
func (t *Tracker) SetThresholds(enter, leave float64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.cfg
	changed.Enter, changed.Leave = enter, leave
	if err := changed.Validate("events"); err != nil {
		return err
	}
	t.cfg = changed
	return nil
}

// Configure has the tracker go on under another Config, which is valid. What goes on under the old one ends, and the
// state is unknown until something is sure again.
func (t *Tracker) Configure(cfg Config, at time.Time) []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	changes := t.stop(at)
	t.cfg = cfg
	clear(t.called)
	return changes
}

// Best is the event that goes on, with its highest score so far; an empty id: there is none.
func (t *Tracker) Best() (id string, score float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.event == nil {
		return "", 0
	}
	return t.event.id, t.event.best
}

// Stop ends what goes on: the camera shows nothing any more.
func (t *Tracker) Stop(at time.Time) []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stop(at)
}

func (t *Tracker) stop(at time.Time) []Change {
	clear(t.scores)
	t.recent, t.next = nil, ""
	if t.state.Label == "" || t.state.Label == vision.Unknown {
		return nil
	}
	return t.become(vision.Unknown, at, at)
}

// grouped are the scores by what labels are called, less what doesn't count.
func (t *Tracker) grouped(top []vision.Classification) map[string]float64 {
	out := make(map[string]float64, len(top))
	for _, c := range top {
		name, known := t.called[c.Label]
		if !known {
			name = t.cfg.call(c.Label)
			t.called[c.Label] = name
		}
		if name != "" {
			out[name] += float64(c.Score)
		}
	}
	return out
}

// call is what a model's label counts as, or "" where it doesn't count.
func (c Config) call(label string) string {
	all := names(label)
	matches := func(list []string) bool {
		return slices.ContainsFunc(list, func(l string) bool { return slices.Contains(all, fold(l)) })
	}
	called := label
	for _, g := range c.Groups {
		if matches(g.Labels) {
			called = g.Name
			all = append(all, fold(g.Name))
			break
		}
	}
	if len(c.Allow) > 0 && !matches(c.Allow) || matches(c.Ignore) {
		return ""
	}
	return called
}

// forgotten is the score below which a label is not remembered.
const forgotten = 1e-4

func (t *Tracker) smooth(at time.Time, now map[string]float64) {
	switch t.cfg.Smoothing {
	case SmoothOff:
		t.scores = now
	case SmoothMajority:
		t.vote(at, now)
	default:
		t.average(at, now)
	}
}

// average moves each score towards the new one, the further the more time has passed.
func (t *Tracker) average(at time.Time, now map[string]float64) {
	share := 1.0
	if !t.last.IsZero() && len(t.scores) > 0 {
		share = 1 - math.Exp(-float64(max(at.Sub(t.last), 0))/float64(t.cfg.Window))
	}
	for name := range now {
		if _, known := t.scores[name]; !known {
			t.scores[name] = 0
		}
	}
	for name, was := range t.scores {
		is := was + share*(now[name]-was)
		if is < forgotten {
			delete(t.scores, name)
			continue
		}
		t.scores[name] = is
	}
}

// vote counts how often each label was the best in the window.
func (t *Tracker) vote(at time.Time, now map[string]float64) {
	best, _ := leading(now)
	t.recent = append(t.recent, vote{at, best.name})
	t.recent = slices.DeleteFunc(t.recent, func(v vote) bool { return at.Sub(v.at) > t.cfg.Window })
	clear(t.scores)
	for _, v := range t.recent {
		if v.label != "" {
			t.scores[v.label] += 1 / float64(len(t.recent))
		}
	}
}

type scored struct {
	name  string
	score float64
}

// leading are the two best scores; equal ones by name.
func leading(scores map[string]float64) (first, second scored) {
	all := make([]scored, 0, len(scores))
	for name, s := range scores {
		all = append(all, scored{name, s})
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
	})
	if len(all) > 0 {
		first = all[0]
	}
	if len(all) > 1 {
		second = all[1]
	}
	return first, second
}

// step looks what the state ought to be and changes it once that has held long enough.
func (t *Tracker) step(at time.Time) []Change {
	first, second := leading(t.scores)
	want := t.state.Label
	switch {
	case first.name != "" && first.score >= t.cfg.Enter && first.score-second.score >= t.cfg.Margin:
		want = first.name
	case t.scores[t.state.Label] < t.cfg.Leave:
		want = vision.Unknown
	}
	if want == t.state.Label {
		t.next = ""
		return t.goOn(at)
	}
	if t.next != want {
		t.next, t.nextSince = want, at
	}
	hold := t.cfg.After
	if want == vision.Unknown {
		hold = t.cfg.Linger
	}
	if at.Sub(t.nextSince) < hold {
		return t.goOn(at)
	}
	return t.become(want, t.nextSince, at)
}

// goOn tells how the event goes on, if it is time.
func (t *Tracker) goOn(at time.Time) []Change {
	e := t.event
	if e == nil {
		return nil
	}
	e.best = max(e.best, t.scores[t.state.Label])
	if t.cfg.UpdateEvery == 0 || at.Sub(e.told) < t.cfg.UpdateEvery {
		return nil
	}
	e.told = at
	return []Change{{Event: t.news(vision.EventUpdate, at)}}
}

// become changes the state, and ends and begins events with it. It is so since, and sure at a time after that.
func (t *Tracker) become(label string, since, at time.Time) []Change {
	var out []Change
	if t.event != nil {
		end := t.news(vision.EventEnd, at)
		end.Duration = max(since.Sub(t.event.since), 0)
		out = append(out, Change{Event: end})
		t.event = nil
	}
	t.next = ""
	t.state = vision.State{Camera: t.camera, Label: label, Score: t.scores[label], Since: since}
	change := Change{State: t.told()}
	if label != vision.Unknown {
		t.events++
		t.event = &event{id: fmt.Sprintf("%s-%s-%d", t.prefix, t.camera, t.events), since: since, best: t.state.Score, told: at}
		change.Event = t.news(vision.EventStart, at)
	}
	return append(out, change)
}

func (t *Tracker) told() *vision.State {
	s := t.state
	return &s
}

func (t *Tracker) news(what vision.EventType, at time.Time) *vision.Event {
	return &vision.Event{
		ID: t.event.id, Type: what, Camera: t.camera, Label: t.state.Label,
		Score: t.scores[t.state.Label], Best: t.event.best, CapturedAt: at, Duration: at.Sub(t.event.since),
	}
}

package events

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

var start = time.Date(2026, 5, 6, 7, 0, 0, 0, time.UTC)

// play shows a camera's labels, ten results a second: "cat 0.9, dog 0.05 x 20" is twenty results of that kind.
// It returns the changes as text, with the time since the start.
func play(t *testing.T, tr *Tracker, script ...string) []string {
	t.Helper()
	var out []string
	at := start
	for _, line := range script {
		text, repeat, _ := strings.Cut(line, " x ")
		n := 1
		if repeat != "" {
			if _, err := fmt.Sscan(repeat, &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		var top []vision.Classification
		for part := range strings.SplitSeq(text, "; ") {
			at := strings.LastIndexByte(part, ' ')
			var score float32
			if _, err := fmt.Sscan(part[at+1:], &score); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			top = append(top, vision.Classification{Label: part[:at], Score: score})
		}
		for range n {
			out = append(out, texts(tr.Observe(at, top))...)
			at = at.Add(100 * time.Millisecond)
		}
	}
	return out
}

func texts(changes []Change) []string {
	var out []string
	for _, c := range changes {
		if s := c.State; s != nil {
			out = append(out, fmt.Sprintf("state %s since %.1f", s.Label, s.Since.Sub(start).Seconds()))
		}
		if e := c.Event; e != nil {
			out = append(out, fmt.Sprintf("%s %s %s at %.1f, %.1f s", e.ID, e.Type, e.Label, e.CapturedAt.Sub(start).Seconds(), e.Duration.Seconds()))
		}
	}
	return out
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// plain is a configuration without smoothing.
func plain() Config {
	c := DefaultConfig()
	c.Smoothing = SmoothOff
	return c
}

func TestAStayIsOneEvent(t *testing.T) {
	tr := New(plain(), "front", "run")
	got := play(t, tr, "wall 0.2 x 10", "cat 0.9 x 120", "wall 0.2 x 40")
	want(t, got,
		"state unknown since 0.0",
		"state cat since 1.0", "run-front-1 start cat at 1.5, 0.5 s",
		"run-front-1 update cat at 11.5, 10.5 s",
		"run-front-1 end cat at 15.0, 12.0 s", "state unknown since 13.0",
	)
}

func TestAFlickerIsNone(t *testing.T) {
	tr := New(plain(), "front", "run")
	got := play(t, tr, "cat 0.9 x 20", "dog 0.9 x 4", "cat 0.9 x 20", "wall 0.1 x 15", "cat 0.9 x 5")
	want(t, got, "state unknown since 0.0", "state cat since 0.0", "run-front-1 start cat at 0.5, 0.5 s")
}

func TestOneLabelAfterTheOther(t *testing.T) {
	tr := New(plain(), "front", "run")
	got := play(t, tr, "cat 0.9 x 20", "dog 0.8; cat 0.1 x 20")
	want(t, got,
		"state unknown since 0.0", "state cat since 0.0", "run-front-1 start cat at 0.5, 0.5 s",
		"run-front-1 end cat at 2.5, 2.0 s", "state dog since 2.0", "run-front-2 start dog at 2.5, 0.5 s",
	)
}

// Between leave and enter, what is there stays, and what isn't doesn't come.
func TestHysteresis(t *testing.T) {
	tr := New(plain(), "front", "run")
	got := play(t, tr, "cat 0.45 x 20", "cat 0.55 x 10", "cat 0.35 x 60", "cat 0.25 x 30")
	want(t, got,
		"state unknown since 0.0", "state cat since 2.0", "run-front-1 start cat at 2.5, 0.5 s",
		"run-front-1 end cat at 11.0, 7.0 s", "state unknown since 9.0",
	)
}

// Two labels that are nearly as likely are neither.
func TestMargin(t *testing.T) {
	c := plain()
	c.Enter, c.Leave = 0.4, 0.2
	got := play(t, New(c, "front", "run"), "cat 0.45; dog 0.42 x 20", "cat 0.5; dog 0.42 x 10")
	want(t, got, "state unknown since 0.0", "state cat since 2.0", "run-front-1 start cat at 2.5, 0.5 s")
}

func TestGroupsAllowAndIgnore(t *testing.T) {
	c := plain()
	c.Groups = []Group{{"cat", []string{"tabby", " Persian Cat ", "Egyptian cat"}}}
	c.Ignore = []string{"window screen"}
	script := []string{"window screen 0.95; tabby 0.03 x 20", "tabby, tabby cat 0.3; Persian cat 0.2; Egyptian cat 0.1 x 20"}
	want(t, play(t, New(c, "front", "run"), script...),
		"state unknown since 0.0", "state cat since 2.0", "run-front-1 start cat at 2.5, 0.5 s")
	c.Allow = []string{"dog"}
	want(t, play(t, New(c, "front", "run"), script...), "state unknown since 0.0")
	c.Allow = []string{"cat"}
	want(t, play(t, New(c, "front", "run"), script...),
		"state unknown since 0.0", "state cat since 2.0", "run-front-1 start cat at 2.5, 0.5 s")
}

// An average forgets one wrong result, and doesn't depend on how many results a second there are.
func TestAverage(t *testing.T) {
	for _, every := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond} {
		tr := New(DefaultConfig(), "front", "run")
		at := start
		see := func(label string, d time.Duration) (changes []string) {
			for end := at.Add(d); at.Before(end); at = at.Add(every) {
				changes = append(changes, texts(tr.Observe(at, []vision.Classification{{Label: label, Score: 0.9}}))...)
			}
			return changes
		}
		see("cat", 8*time.Second)
		if got := tr.scores["cat"]; math.Abs(got-0.9) > 0.01 {
			t.Errorf("every %s: the average of 0.9 is %.3f", every, got)
		}
		if got := see("dog", every); len(got) != 0 {
			t.Errorf("every %s: one wrong result changed %v", every, got)
		}
		see("dog", 800*time.Millisecond-every)
		if got := tr.scores["cat"]; got < 0.33 || got > 0.61 {
			t.Errorf("every %s: after 0.8 s, %.2f of the old score are left", every, got)
		}
	}
}

func TestMajority(t *testing.T) {
	c := DefaultConfig()
	c.Smoothing, c.Window = SmoothMajority, 2*time.Second
	got := play(t, New(c, "front", "run"), "wall 0.3 x 20", "cat 0.6 x 2", "wall 0.3 x 20")
	want(t, got, "state unknown since 0.0", "state wall since 0.0", "run-front-1 start wall at 0.5, 0.5 s")
}

// A camera that is gone shows nothing any more.
func TestStop(t *testing.T) {
	tr := New(plain(), "front", "run")
	play(t, tr, "cat 0.9 x 20")
	want(t, texts(tr.Stop(start.Add(5*time.Second))), "run-front-1 end cat at 5.0, 5.0 s", "state unknown since 5.0")
	if got := tr.Stop(start.Add(6 * time.Second)); got != nil {
		t.Errorf("stopped twice: %v", texts(got))
	}
	got := texts(tr.Observe(start.Add(7*time.Second), []vision.Classification{{Label: "cat", Score: 0.9}}))
	got = append(got, texts(tr.Observe(start.Add(8*time.Second), []vision.Classification{{Label: "cat", Score: 0.9}}))...)
	want(t, got, "state cat since 7.0", "run-front-2 start cat at 8.0, 1.0 s")
}

func TestBestScore(t *testing.T) {
	tr := New(plain(), "front", "run")
	play(t, tr, "cat 0.6 x 10", "cat 0.95", "cat 0.7 x 10")
	changes := tr.Stop(start.Add(time.Minute))
	if e := changes[0].Event; e.Best < 0.949 || e.Best > 0.951 {
		t.Errorf("best %v", e.Best)
	}
}

func TestValidate(t *testing.T) {
	if err := DefaultConfig().Validate("cameras[0].events"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"smoothing":   {func(c *Config) { c.Smoothing = "mean" }, `e.smoothing: must be ema, majority or off, got "mean"`},
		"window":      {func(c *Config) { c.Window = 0 }, "e.window: must be above 0 with smoothing: ema, got 0s"},
		"enter":       {func(c *Config) { c.Enter = 1.5 }, "e.enter: must be from 0 to 1, got 1.5"},
		"nan":         {func(c *Config) { c.Margin = math.NaN() }, "e.margin: must be from 0 to 1, got NaN"},
		"leave":       {func(c *Config) { c.Leave = 0.6 }, "e.leave: must not be above enter (0.5), got 0.6"},
		"after":       {func(c *Config) { c.After = -1 }, "e.after: must be 0s or above, got -1ns"},
		"no name":     {func(c *Config) { c.Groups = []Group{{"", []string{"x"}}} }, "e.groups[0].name: must not be empty"},
		"unknown":     {func(c *Config) { c.Groups = []Group{{"Unknown", []string{"x"}}} }, "e.groups[0].name: unknown is what the state is called without a label"},
		"no labels":   {func(c *Config) { c.Groups = []Group{{"cat", nil}} }, "e.groups[0].labels: must name at least one label"},
		"same name":   {func(c *Config) { c.Groups = []Group{{"cat", []string{"x"}}, {"Cat", []string{"y"}}} }, `e.groups[1].name: "Cat" is the name of another group already`},
		"taken label": {func(c *Config) { c.Groups = []Group{{"cat", []string{"x"}}, {"dog", []string{"X"}}} }, `e.groups[1].labels[0]: "X" is in the group cat already`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.edit(&cfg)
			if err := cfg.Validate("e"); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestStrangers(t *testing.T) {
	c := DefaultConfig()
	c.Groups = []Group{{"cat", []string{"Tabby", "tiger cat", "lion"}}}
	c.Allow, c.Ignore = []string{"cat", "bird"}, []string{"tabby cat"}
	if got := c.Strangers([]string{"tabby, tabby cat", "tiger cat"}); !slices.Equal(got, []string{"lion", "bird"}) {
		t.Errorf("got %v", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	tr := New(DefaultConfig(), "front", "run")
	top := []vision.Classification{{Label: "tabby, tabby cat", Score: 0.6}, {Label: "tiger cat", Score: 0.2}, {Label: "Egyptian cat", Score: 0.1}}
	at := start
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(200 * time.Millisecond)
		tr.Observe(at, top)
	}
}

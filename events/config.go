// Package events turns results, which change from frame to frame, into a steady state and events
// with a start and an end.
package events

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/vision"
)

// How scores are smoothed.
const (
	// SmoothEMA is an exponential moving average over time.
	SmoothEMA = "ema"
	// SmoothMajority is the share of the window's results that a label is the best of.
	SmoothMajority = "majority"
	SmoothOff      = "off"
)

// Config says what counts as something before the camera.
type Config struct {
	// Groups give one name to several labels, whose scores are added.
	Groups []Group
	// Allow, if it is not empty, lists the only labels that count, Ignore those that don't; both after Groups.
	Allow, Ignore []string
	// Smoothing is one of the constants, Window its time constant or the window's length.
	Smoothing string
	Window    time.Duration
	// Enter is the score from which a label is taken for what is there, Leave the one below which
	// it is not any more.
	Enter, Leave float64
	// Margin is how far the best label must be ahead of the second to be taken.
	Margin float64
	// After is how long that must hold before the state changes to a label, Linger before it
	// changes to unknown.
	After, Linger time.Duration
	// UpdateEvery is the time between updates of an event; 0: none.
	UpdateEvery time.Duration
	// Picture has the best picture of each event published.
	Picture bool
}

// Group is a name for several labels.
type Group struct {
	Name   string
	Labels []string
}

// DefaultConfig suits a few results a second.
func DefaultConfig() Config {
	return Config{
		Smoothing: SmoothEMA, Window: time.Second, Enter: 0.5, Leave: 0.3, Margin: 0.05,
		After: 500 * time.Millisecond, Linger: 2 * time.Second, UpdateEvery: 10 * time.Second,
	}
}

// Validate returns one error for each key that can't be used, under path.
func (c Config) Validate(path string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %w", path, key, fmt.Errorf(format, args...)))
	}
	names := map[string]bool{}
	owner := map[string]string{}
	for i, g := range c.Groups {
		key := fmt.Sprintf("groups[%d]", i)
		switch {
		case strings.TrimSpace(g.Name) == "":
			bad(key+".name", "must not be empty")
		case fold(g.Name) == vision.Unknown:
			bad(key+".name", "%s is what the state is called without a label", vision.Unknown)
		case names[fold(g.Name)]:
			bad(key+".name", "%q is the name of another group already", g.Name)
		}
		names[fold(g.Name)] = true
		if len(g.Labels) == 0 {
			bad(key+".labels", "must name at least one label")
		}
		for j, l := range g.Labels {
			if other, taken := owner[fold(l)]; taken {
				bad(fmt.Sprintf("%s.labels[%d]", key, j), "%q is in the group %s already", l, other)
			}
			owner[fold(l)] = g.Name
		}
	}
	switch c.Smoothing {
	case SmoothEMA, SmoothMajority:
		if c.Window <= 0 {
			bad("window", "must be above 0 with smoothing: %s, got %s", c.Smoothing, c.Window)
		}
	case SmoothOff:
	default:
		bad("smoothing", "must be %s, %s or %s, got %q", SmoothEMA, SmoothMajority, SmoothOff, c.Smoothing)
	}
	for _, s := range []struct {
		key   string
		value float64
	}{{"enter", c.Enter}, {"leave", c.Leave}, {"margin", c.Margin}} {
		if s.value < 0 || s.value > 1 || s.value != s.value {
			bad(s.key, "must be from 0 to 1, got %v", s.value)
		}
	}
	if c.Leave > c.Enter {
		bad("leave", "must not be above enter (%v), got %v", c.Enter, c.Leave)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"after", c.After}, {"linger", c.Linger}, {"update_every", c.UpdateEvery}} {
		if d.value < 0 {
			bad(d.key, "must be 0s or above, got %s", d.value)
		}
	}
	return errors.Join(errs...)
}

// Strangers are the labels in the configuration that no model's label matches.
func (c Config) Strangers(labels []string) []string {
	if len(c.Groups)+len(c.Allow)+len(c.Ignore) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, l := range labels {
		for _, name := range names(l) {
			known[name] = true
		}
	}
	var out []string
	look := func(list []string) {
		for _, l := range list {
			if !known[fold(l)] {
				out = append(out, l)
			}
		}
	}
	for _, g := range c.Groups {
		look(g.Labels)
		known[fold(g.Name)] = true
	}
	look(c.Allow)
	look(c.Ignore)
	return out
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// names are what a label may be called: the whole, and its parts between commas, as ImageNet lists synonyms.
func names(label string) []string {
	out := []string{fold(label)}
	if strings.Contains(label, ",") {
		for part := range strings.SplitSeq(label, ",") {
			out = append(out, fold(part))
		}
	}
	return out
}

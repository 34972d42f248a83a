package mqtt

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/publish"
)

func newItem(topic, payload string, retain bool) *item {
	k := publish.KindResult
	if retain {
		k = publish.KindStatus
	}
	return &item{topic: topic, done: make(chan struct{}), message: publish.Message{Kind: k, Retain: retain, Payload: []byte(payload)}}
}

// drain takes all there is and shows it as "topic=payload".
func drain(b *backlog) (items []*item, text string) {
	var out []string
	for i := b.take(); i != nil; i = b.take() {
		items = append(items, i)
		out = append(out, i.topic+"="+string(i.message.Payload))
	}
	return items, strings.Join(out, " ")
}

func TestBacklogResendsInOrder(t *testing.T) {
	b := newBacklog()
	for _, i := range []*item{newItem("r", "1", false), newItem("s", "a", true), newItem("r", "2", false), newItem("q", "x", true), newItem("r", "3", false)} {
		b.add(i)
	}
	items, got := drain(&b)
	if want := "s=a q=x r=1 r=2 r=3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.acknowledged(items[0])
	b.acknowledged(items[2])
	b.add(newItem("q", "y", true)) // while x is on its way
	b.add(newItem("r", "4", false))
	if n, _ := b.pending(); n != 5 {
		t.Errorf("pending %d", n)
	}
	b.restart([]*item{items[1], items[3], items[4]})
	if !errors.Is(items[1].err, ErrSuperseded) {
		t.Errorf("q=x: got %v", items[1].err)
	}
	items, got = drain(&b)
	if want := "s=a q=y r=2 r=3 r=4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, i := range items {
		b.acknowledged(i)
	}
	if n, _ := b.pending(); n != 0 || b.bytes != 0 {
		t.Errorf("left %d, %d bytes", n, b.bytes)
	}
}

func TestBacklogDropsTheOldest(t *testing.T) {
	for name, bound := range map[string]func(*backlog){
		"items": func(b *backlog) { b.maxItems = 3 },
		"bytes": func(b *backlog) { b.maxBytes = 3 * newItem("r", "1", false).size() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBacklog()
			bound(&b)
			var all []*item
			dropped := 0
			for _, n := range []string{"1", "2", "3", "4", "5"} {
				all = append(all, newItem("r", n, false))
				dropped += b.add(all[len(all)-1])
			}
			items, got := drain(&b)
			if got != "r=3 r=4 r=5" || dropped != 2 || b.lost != 2 || !errors.Is(all[1].err, ErrDropped) {
				t.Errorf("got %s, dropped %d, lost %d, %v", got, dropped, b.lost, all[1].err)
			}
			b.add(newItem("r", "6", false))
			if n := b.restart(items); n != 1 || b.lost != 3 {
				t.Errorf("restart dropped %d, lost %d", n, b.lost)
			}
			if _, got := drain(&b); got != "r=4 r=5 r=6" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A result that the user has retained is still each sent.
func TestBacklogKeepsRetainedResults(t *testing.T) {
	b := newBacklog()
	for _, n := range []string{"1", "2"} {
		i := newItem("r", n, true)
		i.message.Kind = publish.KindResult
		b.add(i)
	}
	if _, got := drain(&b); got != "r=1 r=2" {
		t.Errorf("got %s", got)
	}
}

func TestBacklogForgetsRemovedTopics(t *testing.T) {
	b := newBacklog()
	b.add(newItem("old", "x", true))
	b.add(newItem("old", "", true))
	items, got := drain(&b)
	if got != "old=" {
		t.Errorf("got %s", got)
	}
	b.restart(items)
	items, _ = drain(&b)
	b.acknowledged(items[0])
	b.restart(nil)
	if _, got := drain(&b); got != "" {
		t.Errorf("a removed topic came back: %s", got)
	}
	if !slices.Equal(b.states, nil) || len(b.newest) != 0 {
		t.Error("something is left")
	}
}

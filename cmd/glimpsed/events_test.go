package main

import (
	"encoding/json"
	"image/jpeg"
	"strings"
	"syscall"
	"testing"
)

// What comes before a camera is told of from its start to its end, which the daemon's own end is as well.
func TestEventsEndWithTheDaemon(t *testing.T) {
	m := newTiny(t)
	p := start(t, nil, append([]string{"run", "--set", "device=porch", "--set", "broker.listen=127.0.0.1:0", "--print",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", "cameras[0].fps=20",
		"--set", "cameras[0].events.enter=0", "--set", "cameras[0].events.leave=0", "--set", "cameras[0].events.margin=0",
		"--set", "cameras[0].events.after=0s", "--set", "cameras[0].events.picture=true", "--set", "cameras[0].events.update_every=100ms"}, m.settings()...)...)
	s := subscribe(t, p.find(p.out, `Publishing on (tcp://\S+)\.`))
	type event struct {
		ID, Type, Label string
		DurationS       float64 `json:"duration_s"`
	}
	events := func() []event {
		var out []event
		for _, text := range s.on("glimpsed/porch/front/event") {
			var e event
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			out = append(out, e)
		}
		return out
	}
	eventually(t, "an update", func() bool {
		for _, e := range events() {
			if e.Type == "update" {
				return true
			}
		}
		return false
	})
	eventually(t, "the picture", func() bool { return len(s.on("glimpsed/porch/front/image")) > 0 })
	if picture, err := jpeg.Decode(strings.NewReader(s.on("glimpsed/porch/front/image")[0])); err != nil || picture.Bounds().Dx() != 64 {
		t.Errorf("the event's picture: %v, %v", picture, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	var state struct{ Label string }
	eventually(t, "the last state to be unknown", func() bool {
		all := s.on("glimpsed/porch/front/state")
		return len(all) > 0 && json.Unmarshal([]byte(all[len(all)-1]), &state) == nil && state.Label == "unknown"
	})
	open := ""
	for i, e := range events() {
		switch {
		case e.ID == "" || e.Label == "" || e.DurationS < 0:
			t.Errorf("event %d is %+v", i, e)
		case e.Type == "start" && open == "", e.Type != "start" && (e.ID == open || i == 0):
		default:
			t.Errorf("event %d is %+v while %q is open", i, e, open)
		}
		if open = e.ID; e.Type == "end" {
			open = ""
		}
	}
	if open != "" {
		t.Errorf("event %s has no end", open)
	}
}

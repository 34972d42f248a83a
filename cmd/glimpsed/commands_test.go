package main

import (
	"encoding/json"
	"fmt"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// asker sends commands and waits for their answers.
type asker struct {
	t      *testing.T
	client paho.Client
	s      *subscriber
	last   int
}

type answer struct {
	ID    int    `json:"id"`
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

func newAsker(t *testing.T, url string, s *subscriber) *asker {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("asker"))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	return &asker{t: t, client: c, s: s}
}

// ask sends a command with arguments such as `"fps": 2`.
func (a *asker) ask(name, args string) (got answer) {
	a.t.Helper()
	a.last++
	request := fmt.Sprintf(`{"id": %d%s}`, a.last, strings.TrimSuffix(", "+args, ", "))
	if token := a.client.Publish("glimpsed/porch/cmd/"+name, 1, false, request); !token.WaitTimeout(patience) || token.Error() != nil {
		a.t.Fatal(token.Error())
	}
	eventually(a.t, "an answer to "+name, func() bool {
		for _, text := range a.s.on("glimpsed/porch/cmd/" + name + "/reply") {
			if json.Unmarshal([]byte(text), &got) == nil && got.ID == a.last {
				return true
			}
		}
		return false
	})
	return got
}

func TestCommands(t *testing.T) {
	m := newTiny(t)
	p := start(t, nil, append([]string{"run", "--print", "--set", "device=porch", "--set", "broker.listen=127.0.0.1:0",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:320x240", "--set", "cameras[0].fps=20"}, m.settings()...)...)
	url := p.find(p.out, `Publishing on (tcp://\S+)\.`)
	s := subscribe(t, url)
	eventually(t, "a result", func() bool { return len(s.on("glimpsed/porch/front/result")) > 0 })
	a := newAsker(t, url, s)
	well := func(name, args string) {
		t.Helper()
		if got := a.ask(name, args); !got.OK || got.Error != "" {
			t.Errorf("%s %s: %+v", name, args, got)
		}
	}
	well("ping", "")

	well("pause", `"camera": "front"`)
	s.last(t, "glimpsed/porch/front/status", "paused")
	time.Sleep(100 * time.Millisecond) // for what was on its way
	before := len(s.on("glimpsed/porch/front/result"))
	time.Sleep(500 * time.Millisecond)
	if after := len(s.on("glimpsed/porch/front/result")); after > before {
		t.Errorf("%d results of a camera that is paused", after-before)
	}
	well("resume", "")
	s.last(t, "glimpsed/porch/front/status", "online")
	eventually(t, "results again", func() bool { return len(s.on("glimpsed/porch/front/result")) > before })

	well("set", `"camera": "front", "fps": 3, "enter": 0.8, "leave": 0.4`)
	var settings struct {
		Enabled           bool
		FPS, Enter, Leave float64
	}
	eventually(t, "the settings", func() bool {
		all := s.on("glimpsed/porch/front/settings")
		return json.Unmarshal([]byte(all[len(all)-1]), &settings) == nil && settings.FPS == 3
	})
	if !settings.Enabled || settings.Enter != 0.8 || settings.Leave != 0.4 {
		t.Errorf("got %+v", settings)
	}

	well("snapshot", `"camera": "front"`)
	eventually(t, "the picture", func() bool { return len(s.on("glimpsed/porch/front/image")) > 0 })
	picture, err := jpeg.Decode(strings.NewReader(s.on("glimpsed/porch/front/image")[0]))
	if err != nil || picture.Bounds().Dx() != 320 || picture.Bounds().Dy() != 240 {
		t.Errorf("the snapshot: %v, %v", picture, err)
	}

	for _, c := range []struct{ name, args, want string }{
		{"pause", `"camera": "back"`, `there is no camera "back"; there are front`},
		{"set", `"fps": -1`, "fps must be from 0 to 1000, got -1"},
		{"set", `"leave": 0.9`, "events.leave: must not be above enter (0.8), got 0.9"},
		{"set", "", "nothing to set: there are enabled, fps, enter and leave"},
		{"set", `"source": "/etc/passwd"`, `unknown field "source"`},
		{"format", "", `there is no command "format"; there are model, pause, ping, reload, restart, resume, set, snapshot`},
	} {
		if got := a.ask(c.name, c.args); got.OK || got.Error != c.want {
			t.Errorf("%s %s: %+v, want %s", c.name, c.args, got, c.want)
		}
	}
}

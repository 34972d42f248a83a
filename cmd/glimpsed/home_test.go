package main

import (
	"encoding/json"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Home Assistant is told of the device, again when it starts, and of what is no more.
func TestHomeAssistantDiscovery(t *testing.T) {
	m := newTiny(t)
	url, _ := startMosquitto(t, 0)
	s := subscribe(t, url)
	const topic = "homeassistant/device/glimpsed_porch/config"
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("ha"))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	say := func(topic, payload string, retain bool) {
		t.Helper()
		if token := c.Publish(topic, 1, retain, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	// An earlier run had another camera.
	say(topic, `{"dev":{"ids":["glimpsed_porch"]},"o":{"name":"glimpsed"},"cmps":{"back.label":{"p":"sensor","uniq_id":"glimpsed_porch.back.label","stat_t":"x"}}}`, true)
	type discovery struct {
		Components map[string]map[string]any `json:"cmps"`
	}
	told := func() (out []discovery) {
		for _, text := range s.on(topic)[1:] {
			var d discovery
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			out = append(out, d)
		}
		return out
	}
	eventually(t, "the earlier run's message", func() bool { return len(s.on(topic)) > 0 })
	start(t, nil, append([]string{"run", "--set", "device=porch", "--set", "mqtt.broker=" + url, "--set", "homeassistant.enabled=true",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", "cameras[0].fps=5"}, m.settings()...)...)
	eventually(t, "three messages", func() bool { return len(told()) >= 3 })
	all := told()
	if _, there := all[0].Components["back.label"]["stat_t"]; !there {
		t.Errorf("the first message lacks what is gone: %v", all[0])
	}
	if gone := all[1].Components["back.label"]; len(gone) != 1 || gone["p"] != "sensor" {
		t.Errorf("the second message doesn't remove what is gone: %v", gone)
	}
	last := all[2].Components
	if _, there := last["back.label"]; there || last["front.label"]["p"] != "sensor" {
		t.Errorf("the last message has %v", last)
	}
	before := len(told())
	say("homeassistant/status", "online", false)
	eventually(t, "the message again", func() bool { return len(told()) > before })
}

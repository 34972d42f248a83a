package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/publish/homeassistant"
)

// The bridge of the examples brings everything to the cluster, retained topics too, and commands back, each once.
func TestBridge(t *testing.T) {
	bin := mosquitto(t)
	example, err := os.ReadFile(filepath.Join("..", "..", "examples", "mosquitto", "bridge.conf"))
	if err != nil {
		t.Fatal(err)
	}
	cluster, _ := startMosquitto(t, 0)
	port := freePort(t)
	conf := strings.NewReplacer(
		"listener 1883 127.0.0.1", fmt.Sprintf("user root\nlistener %d 127.0.0.1", port),
		"cluster-a.example:8883 cluster-b.example:8883", strings.TrimPrefix(cluster, "tcp://"),
		"persistence true", "persistence false",
	).Replace(string(example))
	conf = regexp.MustCompile(`(?m)^bridge_(cafile|certfile|keyfile) .*$`).ReplaceAllString(conf, "") // TLS has tests of its own
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	write(t, file, []byte(conf))
	box := exec.Command(bin, "-c", file)
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Process.Kill(); _ = box.Wait() })

	m := newTiny(t)
	p := start(t, nil, append([]string{"run", "--set", "device=porch", "--set", fmt.Sprintf("mqtt.broker=tcp://127.0.0.1:%d", port), "--set", "stats.every=1s",
		"--set", "cameras[0].name=front", "--set", "cameras[0].source=pattern:64x48", "--set", "cameras[0].fps=5"}, m.settings()...)...)
	s := subscribe(t, cluster)
	for _, topic := range []string{"status", "diagnostics", "stats", "front/result", "front/state", "front/status", "front/diagnostics", "front/settings"} {
		eventually(t, topic+" at the cluster", func() bool { return len(s.on("glimpsed/porch/"+topic)) > 0 })
	}
	a := newAsker(t, cluster, s)
	for range 3 {
		if got := a.ask("ping", ""); !got.OK {
			t.Errorf("%+v", got)
		}
	}
	if n := len(s.on("glimpsed/porch/cmd/ping/reply")); n != 3 {
		t.Errorf("3 commands got %d answers", n)
	}
	late := subscribe(t, cluster)
	late.last(t, "glimpsed/porch/status", "online")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.last(t, "glimpsed/porch/status", "offline") // the will
}

// What the automations for Home Assistant speak of is discovered.
func TestAutomations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "homeassistant", "automations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known := string(homeassistant.Discovery(homeassistant.Device{
		Base: "glimpsed", Name: "porch", Commands: []string{"set", "snapshot"},
		Cameras: []homeassistant.Camera{{Name: "front", Health: []string{"clear", "covered"}, Image: true}},
	}))
	found := regexp.MustCompile(`\b[a-z_]+\.porch_[a-z_]+`).FindAllString(string(text), -1)
	if len(found) < 5 {
		t.Errorf("only %v", found)
	}
	for _, entity := range found {
		if !strings.Contains(known, `"`+entity+`"`) {
			t.Errorf("%s is not discovered", entity)
		}
	}
}

// The flow for Node-RED is one, and its nodes are connected to nodes that there are.
func TestFlow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "node-red", "flow.json"))
	if err != nil {
		t.Fatal(err)
	}
	var nodes []struct {
		ID, Type, Broker string
		Wires            [][]string
	}
	if err := json.Unmarshal(text, &nodes); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{"": true}
	for _, n := range nodes {
		ids[n.ID] = true
	}
	for _, n := range nodes {
		if n.Type == "mqtt-broker" { // its broker is a host
			n.Broker = ""
		}
		for _, to := range append(n.Wires, []string{n.Broker}) {
			for _, id := range to {
				if !ids[id] {
					t.Errorf("%s leads to %s, which is not there", n.ID, id)
				}
			}
		}
	}
}

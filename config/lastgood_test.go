package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What was kept gives the very same configuration, wherever its parts came from and whatever became of them.
func TestLastGoodIsTheSame(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	put := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("glimpsed.yaml", `
mqtt: {broker: ['ssl://me:pass@one:8883', 'tcp://two'], password_file: secret, username: me, tls: {server_name: x}, topics: {result: {qos: 0}}}
webhooks: [{url: 'https://hook/#a', secret: "it's # a: \"secret\"", types: [start]}]
cameras:
  - {name: front, source: 'rtsp://u:p@cam/1', masks: [[[0, 0], [0.5, 0], [0, 0.5]]], roi: {x: 0.1, y: 0.2, width: 0.5, height: 0.5}}
  - {name: back, events: {groups: [{name: cat, labels: [tabby, Persian cat]}]}}
`)
	put("secret", "s3cret\n")
	put("state/overrides.yaml", "cameras: [{name: back, fps: 2}]\n")
	opts := Options{File: filepath.Join(dir, "glimpsed.yaml"), Env: []string{"STATE_DIRECTORY=" + state, "GLIMPSED_LOG_LEVEL=debug"}, Flags: map[string]string{"device": "hall"}}
	loaded, err := Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.SaveLastGood(opts); err != nil {
		t.Fatal(err)
	}
	put("glimpsed.yaml", "x: [")
	put("state/overrides.yaml", "x: [")
	opts.Env[1] = "GLIMPSED_LOG_LEVEL=loud"
	again, saved, err := LoadLastGood(opts)
	if err != nil {
		t.Fatal(err)
	}
	want := loaded.Config
	want.MQTT.PasswordFile = filepath.Join(dir, "secret") // wherever the file that names it is now
	if saved.IsZero() || !reflect.DeepEqual(again.Config, want) {
		t.Errorf("got\n%+v\nwant\n%+v", again.Config, want)
	}
	if c := again.Config; c.MQTT.Password != "s3cret" || c.Device != "hall" || c.Cameras[1].FPS != 2 || c.Log.Level != "debug" {
		t.Errorf("got %+v", c)
	}
	if files := again.Watched(); files[0] != opts.File {
		t.Errorf("watched are %v", files)
	}
	// Writing the same again leaves the file alone: it may be on an SD card.
	name := filepath.Join(state, LastGoodFile)
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.SaveLastGood(opts); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(name); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written again: %v", err)
	}
	if err := os.WriteFile(name, []byte("cameras: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadLastGood(opts); err == nil || !strings.Contains(err.Error(), "does not any more: "+name) {
		t.Errorf("got %v", err)
	}
}

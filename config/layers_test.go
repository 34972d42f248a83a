package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

// TestLayers sets one key in one more layer each time, and looks who wins and what is said of it.
func TestLayers(t *testing.T) {
	file := write(t, "glimpsed.yaml", "cameras:\n  - name: front\n    fps: 1\n")
	opts := testOptions(t, "")
	check := func(fps float64, origin string) {
		t.Helper()
		l := mustLoad(t, opts)
		if got := l.Config.Cameras[0].FPS; got != fps {
			t.Errorf("fps is %v, want %v of %s", got, fps, origin)
		}
		if got := l.Origin("cameras[0].fps").String(); got != origin {
			t.Errorf("fps comes from %s, want %s", got, origin)
		}
	}
	check(5, "default")
	opts.File = file
	check(1, "glimpsed.yaml:3")

	state := t.TempDir()
	opts.Env = append(opts.Env, "GLIMPSED_STATE_DIR="+state)
	overrides := filepath.Join(state, OverridesFile)
	if err := os.WriteFile(overrides, []byte("cameras:\n  - {name: front, fps: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(2, "overrides.yaml:2")
	opts.Env = append(opts.Env, "GLIMPSED_CAMERAS_0_FPS=3")
	check(3, "GLIMPSED_CAMERAS_0_FPS")
	opts.Flags = map[string]string{"cameras[0].fps": "4"}
	check(4, "command line")
}

func TestOverrides(t *testing.T) {
	file := write(t, "glimpsed.yaml", "cameras:\n  - {name: back, fps: 7}\n  - {name: front, fps: 8, rotate: 90}\n")
	load := func(overrides string) (*Loaded, error) {
		opts := testOptions(t, file)
		dir := strings.TrimPrefix(opts.Env[0], "STATE_DIRECTORY=")
		if err := os.WriteFile(filepath.Join(dir, OverridesFile), []byte(overrides), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Load(opts)
		if err != nil {
			err = Findings{{Text: strings.ReplaceAll(err.Error(), dir+"/", "")}}
		}
		return l, err
	}
	l, err := load("cameras:\n  - {name: front, fps: 1}\n  - {name: gone, fps: 2}\nlog: {level: debug}\n")
	if err != nil {
		t.Fatal(err)
	}
	cams := l.Config.Cameras
	if len(cams) != 2 || cams[0].FPS != 7 || cams[1].FPS != 1 || cams[1].Rotate != 90 || l.Config.Log.Level != "debug" {
		t.Errorf("the camera is not found by its name: %+v", l.Config)
	}
	if len(l.Notices) != 1 || !strings.HasSuffix(l.Notices[0].String(), `overrides.yaml:3: cameras[1]: no camera is called "gone": ignored`) {
		t.Errorf("a camera that is gone: notices are %v", l.Notices)
	}
	for _, tt := range []struct{ overrides, want string }{
		{"cameras:\n  - fps: 1\n", "overrides.yaml:2: cameras[0].name: must say which camera this is for"},
		{"state_dir: /tmp\n", "overrides.yaml:1: state_dir: can't be changed by overrides.yaml"},
		{"cameras:\n  - {name: back, fps: -1}\n", "overrides.yaml:2: cameras[0].fps: must be 0 or above, got -1"},
	} {
		if _, err := load(tt.overrides); err == nil || err.Error() != tt.want {
			t.Errorf("%q: got %v, want %s", tt.overrides, err, tt.want)
		}
	}
}

func TestEnvironmentReachesEverything(t *testing.T) {
	l := mustLoad(t, testOptions(t, "",
		"GLIMPSED_DEVICE=shed",
		"GLIMPSED_CAMERAS_0_NAME=12", // text, whatever it looks like
		"GLIMPSED_CAMERAS_0_LOOP=false",
		"GLIMPSED_CAMERAS_0_MAX_AGE=1500ms",
		"GLIMPSED_CAMERAS_0_FROZEN_AFTER=0",
		"GLIMPSED_CAMERAS_0_MASKS=[[[0, 0], [1, 0], [0, 0.5]]]",
		"GLIMPSED_CAMERAS_0_MASKS_0_3=[0.25, 0.25]",
		"GLIMPSED_CAMERAS_0_ROI={x: 0.5, width: 0.5}",
		"GLIMPSED_CAMERAS_10_NAME=k", "GLIMPSED_CAMERAS_9_NAME=j", "GLIMPSED_CAMERAS_8_NAME=i",
		"GLIMPSED_CAMERAS_7_NAME=h", "GLIMPSED_CAMERAS_6_NAME=g", "GLIMPSED_CAMERAS_5_NAME=f",
		"GLIMPSED_CAMERAS_4_NAME=e", "GLIMPSED_CAMERAS_3_NAME=d", "GLIMPSED_CAMERAS_2_NAME=c",
		"GLIMPSED_CAMERAS_1_NAME=b",
		"GLIMPSED_MQTT_BROKER_0=tcp://a", "GLIMPSED_MQTT_BROKER_1=tcp://b",
		"GLIMPSED_MQTT_TOPICS_RESULT_RETAIN=true",
		"GLIMPSED_LITERT=/x", "GLIMPSED_SHARED=/y", "GLIMPSED_TEST_X=1", // no keys
	))
	c := l.Config
	cam := c.Cameras[0]
	if c.Device != "shed" || cam.Name != "12" || cam.Loop || cam.MaxAge != 1500*time.Millisecond || cam.FrozenAfter != 0 {
		t.Errorf("scalars: %+v", c)
	}
	if want := [][]capture.Point{{{X: 0, Y: 0}, {X: 1, Y: 0}, {X: 0, Y: 0.5}, {X: 0.25, Y: 0.25}}}; !reflect.DeepEqual(cam.Masks, want) {
		t.Errorf("masks are %v, want %v", cam.Masks, want)
	}
	if want := (capture.ROI{X: 0.5, Width: 0.5, Height: 1}); cam.ROI != want {
		t.Errorf("roi is %v, want %v", cam.ROI, want)
	}
	if len(c.Cameras) != 11 || c.Cameras[10].Name != "k" || c.Cameras[10].FPS != 5 {
		t.Errorf("cameras past the ninth: %+v", c.Cameras)
	}
	if want := []string{"tcp://a", "tcp://b"}; !slices.Equal(c.MQTT.Brokers, want) {
		t.Errorf("brokers are %v, want %v", c.MQTT.Brokers, want)
	}
	if r := c.MQTT.Topics["result"]; r.Retain == nil || !*r.Retain || r.QoS != nil {
		t.Errorf("topics.result is %+v", r)
	}
	if one := mustLoad(t, testOptions(t, "", "GLIMPSED_MQTT_BROKER=tcp://a,b")).Config; one.EmbeddedBroker() || one.MQTT.Brokers[0] != "tcp://a,b" {
		t.Errorf("one broker: %v", one.MQTT.Brokers)
	}
}

// TestEnvNamesAreUnambiguous looks that every key is found under its own name.
func TestEnvNamesAreUnambiguous(t *testing.T) {
	root := newSpec(nil)
	seen := map[string]string{}
	n := 0
	for _, key := range everyKey(root, "") {
		name := EnvName(key)
		if other, taken := seen[name]; taken {
			t.Errorf("%s stands for %s and %s", name, other, key)
		}
		seen[name] = key
		steps, found := resolveEnv(root, strings.ToLower(strings.TrimPrefix(name, envPrefix)))
		if found == nil || pathOf(steps) != key {
			t.Errorf("%s is read as %s, want %s", name, pathOf(steps), key)
		}
		n++
	}
	if n < 80 {
		t.Errorf("only %d keys were looked at", n)
	}
}

// everyKey lists the paths of all leaves and lists, with 0 for an element's number.
func everyKey(n *node, path string) []string {
	var out []string
	if n.isLeaf() || n.kind == list {
		out = append(out, path)
	}
	if n.kind == list {
		out = append(out, everyKey(n.elem, path+"[0]")...)
	}
	for _, c := range n.children {
		out = append(out, everyKey(c, join(path, c.name))...)
	}
	return out
}

func TestFileForms(t *testing.T) {
	for name, tt := range map[string]struct {
		content string
		want    func(c Config) bool
	}{
		"empty":            {"", func(c Config) bool { return c.Cameras[0].Name == "camera" && c.Model == "auto" }},
		"comments":         {"# nothing\n\n", func(c Config) bool { return c.Model == "auto" }},
		"byte order mark":  {"\xef\xbb\xbfmodel: x\n", func(c Config) bool { return c.Model == "x" }},
		"CRLF":             {"model: x\r\nlog:\r\n  level: warn\r\n", func(c Config) bool { return c.Log.Level == "warn" }},
		"empty section":    {"mqtt:\nmodel: x\n", func(c Config) bool { return c.MQTT.QoS == 1 }},
		"end of document":  {"---\nmodel: x\n...\n", func(c Config) bool { return c.Model == "x" }},
		"one broker":       {"mqtt: {broker: tcp://a}\n", func(c Config) bool { return len(c.MQTT.Brokers) == 1 }},
		"no broker":        {"mqtt: {broker: \"\"}\n", func(c Config) bool { return c.EmbeddedBroker() }},
		"brokers":          {"mqtt: {broker: [tcp://a, ssl://b]}\n", func(c Config) bool { return len(c.MQTT.Brokers) == 2 }},
		"off is a word":    {"mqtt: {commands: off, outbox: {mode: off}}\n", func(c Config) bool { return c.MQTT.Commands == "off" && c.MQTT.Outbox.Mode == "off" }},
		"duration of zero": {"cameras: [{name: a, frozen_after: 0}]\n", func(c Config) bool { return c.Cameras[0].FrozenAfter == 0 }},
		"whole number":     {"cameras: [{name: a, fps: 2}]\n", func(c Config) bool { return c.Cameras[0].FPS == 2 }},
		"JSON":             {`{"cameras": [{"name": "a", "fps": 0.5}]}`, func(c Config) bool { return c.Cameras[0].FPS == 0.5 }},
		"aliases and merges": {"cameras:\n  - &base {name: a, fps: 1, roi: &r {x: 0.5, width: 0.5}}\n  - {<<: *base, name: b, rotate: 90}\n  - {name: c, roi: *r}\n",
			func(c Config) bool {
				b, cc := c.Cameras[1], c.Cameras[2]
				return b.Name == "b" && b.FPS == 1 && b.Rotate == 90 && b.ROI.X == 0.5 && cc.ROI.Width == 0.5 && cc.FPS == 5
			}},
	} {
		t.Run(name, func(t *testing.T) {
			if c := mustLoad(t, testOptions(t, write(t, "c.yaml", tt.content))).Config; !tt.want(c) {
				t.Errorf("read as %+v", c)
			}
		})
	}
}

func TestModelOf(t *testing.T) {
	c := mustLoad(t, testOptions(t, write(t, "c.yaml", `
model: top.tflite
labels: top.txt
cameras:
  - name: plain
  - {name: named, model: resnet18}
  - {name: file, model: own.tflite, labels: own.txt}
  - {name: relabelled, labels: other.txt}
`))).Config
	for i, want := range [][2]string{{"top.tflite", "top.txt"}, {"resnet18", ""}, {"own.tflite", "own.txt"}, {"top.tflite", "other.txt"}} {
		if model, labels := c.ModelOf(i); model != want[0] || labels != want[1] {
			t.Errorf("%s: model %q, labels %q, want %q", c.Cameras[i].Name, model, labels, want)
		}
	}
	if names := c.CaptureConfigs(); len(names) != 4 || names[3].Name != "relabelled" {
		t.Errorf("CaptureConfigs: %v", names)
	}
}

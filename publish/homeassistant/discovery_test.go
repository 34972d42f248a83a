package homeassistant

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files")

func full() Device {
	health := []string{"clear", "dark", "overexposed", "blurred", "covered", "noisy", "low_contrast", "color_cast", "scrambled"}
	return Device{
		Base: "glimpsed", Name: "porch", Version: "1.2.3", Board: "Raspberry Pi 5", URL: "http://192.0.2.3:8080/",
		Cameras:     []Camera{{Name: "front", Health: health, Image: true}, {Name: "a-b_1", Health: health, Image: true}},
		Temperature: true, Throttled: true,
		Commands: []string{"ping", "pause", "resume", "set", "model", "snapshot", "restart"},
		Models:   []string{"resnet18", "mobilenet_v2"},
	}
}

func minimal() Device {
	return Device{Base: "glimpsed", Name: "porch", Cameras: []Camera{{Name: "front"}}}
}

// devices are the golden files, and what else the schema must accept.
func devices() map[string]Device {
	odd := full()
	odd.Base, odd.Name, odd.URL = "site/hall", "A-b_1", "not a URL"
	odd.Cameras = []Camera{{Name: "-"}, {Name: "_"}, {Name: "a_b"}, {Name: "a-b"}, {Name: "problems"}, {Name: "A-b_1"}}
	none := minimal()
	none.Cameras = nil
	models := minimal()
	models.Commands = []string{"model"}
	return map[string]Device{"full": full(), "minimal": minimal(), "odd": odd, "none": none, "models": models}
}

func TestGolden(t *testing.T) {
	steps, err := Announce(Discovery(full()), Discovery(minimal()))
	if err != nil || len(steps) != 3 {
		t.Fatal(len(steps), err)
	}
	for name, message := range map[string][]byte{"full": Discovery(full()), "revived": steps[0], "removed": steps[1], "minimal": steps[2]} {
		var got bytes.Buffer
		if err := json.Indent(&got, message, "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

func TestSchemaAccepts(t *testing.T) {
	schema := compileSchema(t)
	for name, d := range devices() {
		if err := schema.Validate(decode(t, Discovery(d))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	steps, err := Announce(Discovery(full()), Discovery(minimal()))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range steps {
		if err := schema.Validate(decode(t, m)); err != nil {
			t.Error(err)
		}
	}
}

// What Home Assistant refuses or would silently drop, the schema refuses.
func TestSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	type object = map[string]any
	component := func(key string, change func(object)) func(object) {
		return func(m object) { change(m["cmps"].(object)[key].(object)) }
	}
	put := func(key string, v any) func(object) { return func(m object) { m[key] = v } }
	drop := func(key string) func(object) { return func(m object) { delete(m, key) } }
	for name, change := range map[string]func(object){
		"no device":                      drop("dev"),
		"no origin":                      drop("o"),
		"no components":                  drop("cmps"),
		"unknown key":                    put("device_name", "x"),
		"device without identifiers":     func(m object) { delete(m["dev"].(object), "ids") },
		"unknown key of the device":      func(m object) { m["dev"].(object)["vendor"] = "x" },
		"URL without a scheme":           func(m object) { m["dev"].(object)["cu"] = "192.0.2.3" },
		"origin without a name":          func(m object) { delete(m["o"].(object), "name") },
		"component without a platform":   component("front.label", drop("p")),
		"unknown platform":               component("front.label", put("p", "label")),
		"another platform's key":         component("front.label", put("pl_on", "x")),
		"no unique id":                   component("front.label", drop("uniq_id")),
		"no state topic":                 component("front.label", drop("stat_t")),
		"misspelt key":                   component("front.label", put("value_tpl", "{{ value }}")),
		"no template":                    component("front.label", put("val_tpl", "value")),
		"entity id without a platform":   component("front.label", put("def_ent_id", "porch_front_label")),
		"unknown category":               component("front.label", put("ent_cat", "main")),
		"options without enum":           component("front.label", put("ops", []any{"a"})),
		"enum without options":           component("front.status", drop("ops")),
		"enum with a unit":               component("front.status", put("unit_of_meas", "x")),
		"duration in another unit":       component("front.invoke", put("unit_of_meas", "fps")),
		"sensor in the configuration":    component("front.status", put("ent_cat", "config")),
		"attributes without a topic":     component("front.label", drop("json_attr_t")),
		"unknown mode of availability":   component("front.label", put("avty_mode", "both")),
		"availability without a topic":   component("front.label", put("avty", []any{object{"val_tpl": "{{ value }}"}})),
		"event without types":            component("front.event", drop("evt_typ")),
		"image without a topic":          component("front.image", drop("img_t")),
		"switch without a command topic": component("front.enabled", drop("cmd_t")),
		"command topic with a wildcard":  component("front.enabled", put("cmd_t", "glimpsed/+/cmd/set")),
		"step of 0":                      component("front.threshold", put("step", json.Number("0"))),
		"select without options":         component("front.model", drop("ops")),
		"button with a state":            component("front.snapshot", put("stat_t", "x")),
	} {
		t.Run(name, func(t *testing.T) {
			m := decode(t, Discovery(full())).(object)
			change(m)
			if schema.Validate(m) == nil {
				t.Error("accepted")
			}
		})
	}
}

// read is the message as a program sees it that doesn't know this package's types.
func read(t *testing.T, message []byte) (m struct {
	Dev  map[string]any
	Cmps map[string]map[string]any
}) {
	t.Helper()
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIdentitiesAreUnique(t *testing.T) {
	for name, d := range devices() {
		seen := map[any]string{}
		for key, c := range read(t, Discovery(d)).Cmps {
			id := c["uniq_id"]
			if other, twice := seen[id]; twice {
				t.Errorf("%s: %s and %s are %s", name, key, other, id)
			}
			seen[id] = key
			if !strings.HasPrefix(id.(string), "glimpsed_"+d.Name+".") || !strings.HasPrefix(c["def_ent_id"].(string), c["p"].(string)+".") {
				t.Errorf("%s: %s: %v, %v", name, key, id, c["def_ent_id"])
			}
		}
	}
}

// Whoever has renamed or automated an entity must find it again after every update.
func TestIdentitiesStay(t *testing.T) {
	for key, id := range map[string]string{
		"front.label": "sensor.porch_front_label", "front.score": "sensor.porch_front_score", "front.status": "sensor.porch_front_status",
		"front.fps": "sensor.porch_front_fps", "front.invoke": "sensor.porch_front_invoke", "front.health": "sensor.porch_front_health",
		"front.event": "event.porch_front_event", "front.image": "image.porch_front_image", "front.enabled": "switch.porch_front_enabled",
		"front.threshold": "number.porch_front_threshold", "front.model": "select.porch_front_model", "front.snapshot": "button.porch_front_snapshot",
		"a-b_1.label": "sensor.porch_a_b_1_label", "problems": "binary_sensor.porch_problems", "memory": "sensor.porch_memory",
		"temperature": "sensor.porch_temperature", "throttled": "binary_sensor.porch_throttled", "restart": "button.porch_restart",
	} {
		c := read(t, Discovery(full())).Cmps[key]
		if c["uniq_id"] != "glimpsed_porch."+key || c["def_ent_id"] != id {
			t.Errorf("%s: got %v and %v", key, c["uniq_id"], c["def_ent_id"])
		}
	}
}

// Entities that need a command are there only if it is allowed.
func TestAllowedCommands(t *testing.T) {
	for _, c := range []struct {
		commands []string
		want     string
	}{
		{nil, ""},
		{[]string{"ping", "pause", "resume"}, ""},
		{[]string{"set"}, "front.enabled front.threshold"},
		{[]string{"model"}, "front.model"},
		{[]string{"snapshot", "restart"}, "front.snapshot restart"},
	} {
		d := minimal()
		d.Commands, d.Models = c.commands, []string{"resnet18"}
		var got []string
		for key, component := range read(t, Discovery(d)).Cmps {
			if component["cmd_t"] != nil {
				got = append(got, key)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: got %v, want %s", c.commands, got, c.want)
		}
	}
}

var placeholder = regexp.MustCompile(`\{\{ value( \| to_json)? \}\}`)

// Commands are JSON objects that name their camera, whatever the value.
func TestCommands(t *testing.T) {
	for key, c := range read(t, Discovery(full())).Cmps {
		topic, ok := c["cmd_t"].(string)
		if !ok {
			continue
		}
		if !strings.HasPrefix(topic, "glimpsed/porch/cmd/") || c["qos"] != 1.0 {
			t.Errorf("%s: got %s with QoS %v", key, topic, c["qos"])
		}
		camera, _, ofCamera := strings.Cut(key, ".")
		for _, k := range []string{"pl_on", "pl_off", "pl_prs", "cmd_tpl"} {
			payload, ok := c[k].(string)
			if !ok {
				continue
			}
			if k == "cmd_tpl" {
				payload = placeholder.ReplaceAllString(payload, "0.5")
			}
			var args map[string]any
			if err := json.Unmarshal([]byte(payload), &args); err != nil {
				t.Errorf("%s: %v: %s", key, err, payload)
			}
			if ofCamera && args["camera"] != camera {
				t.Errorf("%s: got %s", key, payload)
			}
		}
	}
}

func TestAvailability(t *testing.T) {
	m := read(t, Discovery(full()))
	for key, c := range m.Cmps {
		_, of, ofCamera := strings.Cut(key, ".")
		both := c["avty_mode"] == "all" && len(c["avty"].([]any)) == 2
		if want := ofCamera && of != "status"; both != want {
			t.Errorf("%s: needs its camera: %v, want %v", key, both, want)
		}
		if !both && c["avty"] != nil {
			t.Errorf("%s: has an availability of its own: %v", key, c["avty"])
		}
	}
}

// A bad URL would cost the whole message.
func TestURL(t *testing.T) {
	for url, want := range map[string]bool{
		"http://192.0.2.3:8080/": true, "https://porch.lan": true,
		"": false, "porch.lan": false, "http://": false, "ftp://porch.lan": false, "http://[::1": false, "unix:/run/x": false,
	} {
		d := minimal()
		d.URL = url
		if _, got := read(t, Discovery(d)).Dev["cu"]; got != want {
			t.Errorf("%q: got %v", url, got)
		}
	}
}

package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// printed is both formats of `config print`.
func printed(t *testing.T, l *Loaded) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestExampleIsTheDefaults keeps the shipped file, the commented defaults and the stages'
// DefaultConfig the same.
func TestExampleIsTheDefaults(t *testing.T) {
	var b bytes.Buffer
	if err := WriteDefaults(&b, []string{"litert"}); err != nil {
		t.Fatal(err)
	}
	example := filepath.Join("..", "examples", "glimpsed.yaml")
	golden(t, example, b.String())

	root := newSpec([]string{"litert"})
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	doc, wrong, _ := parseYAML(data)
	if wrong != "" {
		t.Fatal(wrong)
	}
	var found Findings
	r := &reader{root: root, found: &found}
	v := r.read(doc, root, "")
	if len(found) > 0 {
		t.Fatal(found)
	}
	got, err := decode(v)
	if err != nil {
		t.Fatal(err)
	}
	if want := Defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("the example is\n%+v\nwant the defaults\n%+v", got, want)
	}
	if l := mustLoad(t, testOptions(t, example)); len(l.Notices) > 0 {
		t.Errorf("the example has notices: %v", l.Notices)
	}
}

// TestEveryFieldHasAKey fails when a stage's Config gets a field that nobody can set.
func TestEveryFieldHasAKey(t *testing.T) {
	var check func(n *node, typ reflect.Type, path string)
	check = func(n *node, typ reflect.Type, path string) {
		switch n.kind {
		case list:
			check(n.elem, typ.Elem(), path+"[]")
		case section:
			for _, f := range reflect.VisibleFields(typ) {
				if f.Anonymous || !f.IsExported() {
					continue
				}
				var key *node
				for _, c := range n.children {
					if fits(c.name, f.Name) {
						key = c
					}
				}
				if key == nil {
					t.Errorf("%s: the field %s of %s has no key", path, f.Name, typ)
					continue
				}
				check(key, f.Type, join(path, key.name))
			}
		}
	}
	check(newSpec(nil), reflect.TypeFor[Config](), "")
}

const secretive = `cameras:
  - name: front
    source: rtsp://me:hunter2@host/stream
  - name: back
    source: "gstreamer: rtspsrc location=rtsp://me:hunter2@host user-pw=hunter2 ! videoconvert"
  - name: side
    source: http://host/video?user=me&pwd=hunter2
models: {mirror: "https://me:hunter2@host/models"}
mqtt:
  broker: [tcp://me:hunter2@host, tcp://host]
  username: me
  password: hunter2
  commands: "off"
broker: {username: me, password: "123456"}
web: {listen: ""}
`

func TestPrint(t *testing.T) {
	file := write(t, "glimpsed.yaml", secretive)
	opts := testOptions(t, file, "GLIMPSED_STATE_DIR=/var/lib/state", "GLIMPSED_MQTT_TOPICS_RESULT_QOS=0")
	opts.Flags = map[string]string{"infer.threads": "2"}
	l := mustLoad(t, opts)
	if l.Config.MQTT.Password != "hunter2" || l.Config.Broker.Password != "123456" {
		t.Error("the passwords themselves are lost")
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"yaml": func(b *bytes.Buffer) error { return l.WriteYAML(b) },
		"json": func(b *bytes.Buffer) error { return l.WriteJSON(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		noSecret(t, "print as "+name, b.String())
		golden(t, filepath.Join("testdata", "print."+name), b.String())
		if name == "json" && !json.Valid(b.Bytes()) {
			t.Error("print as JSON is no JSON")
		}
	}
	var notices []string
	for _, n := range l.Notices {
		notices = append(notices, strings.ReplaceAll(n.String(), filepath.Dir(file)+"/", ""))
	}
	golden(t, filepath.Join("testdata", "print.notices"), strings.Join(notices, "\n")+"\n")
	noSecret(t, "the notices", strings.Join(notices, "\n"))
}

// TestPrintReadsBack feeds what print says back in: the same must be in force.
func TestPrintReadsBack(t *testing.T) {
	content := `device: "on"
cameras:
  - name: "12"
    source: "a # b: 'c'\n\"d\" \u0001 é"
    masks: [[[0, 0], [1, 0], [0, 0.125]], [[0, 0], [0.5, 0], [0, 0.5]]]
    frozen_after: 0
    max_age: 1h1.5s
  - {name: b, model: "!tag", fps: 0.0001}
mqtt: {broker: ["tcp://[::1]:1883", ws://a/b], topics: {stats: {qos: 2}, image: {retain: false}}}
`
	want := mustLoad(t, testOptions(t, write(t, "a.yaml", content)))
	var b bytes.Buffer
	if err := want.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	got := mustLoad(t, testOptions(t, write(t, "b\n#.yaml", b.String())))
	if !reflect.DeepEqual(got.Config, want.Config) {
		t.Errorf("reads back as\n%+v\nwant\n%+v\nfrom\n%s", got.Config, want.Config, b.String())
	}
	b.Reset()
	if err := got.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, testOptions(t, write(t, "c.yaml", b.String())))
	if !reflect.DeepEqual(again.Config, want.Config) {
		t.Error("a file with a strange name does not print well")
	}
}

func TestNotices(t *testing.T) {
	c := Defaults()
	if n := Notices(c); len(n) > 0 {
		t.Errorf("the defaults have notices: %v", n)
	}
	c.MQTT.Outbox.Mode, c.MQTT.Commands, c.Web.Listen = "always", "all", "127.0.0.1:9000"
	if n := Notices(c); len(n) != len(later) {
		t.Errorf("notices are %v, want one for each of %v", n, later)
	}
	c.MQTT.Outbox.Mode, c.MQTT.Commands, c.Web.Listen = "off", "off", ""
	if n := Notices(c); len(n) > 0 {
		t.Errorf("what is switched off has notices: %v", n)
	}
	for _, l := range later {
		if root := newSpec(nil); valueOf(root, reflect.ValueOf(c)).find(l.key).node.isLeaf() == false {
			t.Errorf("%s is no key", l.key)
		}
	}
}

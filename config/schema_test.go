package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSchema(&b, []string{"litert"}); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("glimpsed.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("glimpsed.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// beyondSchema are the broken files whose rule concerns several keys, durations, or what
// is inside a text.
var beyondSchema = []string{
	"alias-bomb", "base-topic", "bound-duration", "broker-open", "broker-open-half", "broker-url", "broker-url-list", "labels-of-camera",
	"labels-of-name", "listen-port", "mask-two-points", "model-empty", "name-reserved", "name-twice", "password-alone",
	"password-file-empty", "password-file-lines", "password-file-missing", "password-mask", "password-twice", "retry-order",
	"roi-outside", "source-empty", "source-scheme", "width-alone",
}

func TestSchema(t *testing.T) {
	schema := compileSchema(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		doc, ok := decodeAny(t, file)
		if !ok {
			continue
		}
		refused := schema.Validate(doc) != nil
		if beyond := slices.Contains(beyondSchema, name); refused == beyond {
			t.Errorf("%s: refused by the schema: %v, want %v", name, refused, !beyond)
		}
	}
	good := []string{filepath.Join("..", "examples", "glimpsed.yaml"), write(t, "a.yaml", secretive), write(t, "b.yaml",
		"mqtt:\nbroker: {listen: \"localhost:0\"}\ncameras: [{name: a, max_age: 1m30s, frozen_after: 0, fourcc: MJPG, masks: [[[0, 0], [1, 1], [0, 1]]]}]\n"),
		write(t, "c.yaml", "mqtt: {topics: {result: {qos: 0, retain: true}, stats: }}\n")}
	for _, file := range good {
		doc, ok := decodeAny(t, file)
		if !ok {
			t.Fatalf("%s can't be read", file)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		mustLoad(t, testOptions(t, file))
	}
}

// decodeAny reads a file as a schema's validator gets to see it, if it is what JSON can hold too.
func decodeAny(t *testing.T, file string) (doc any, ok bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n, wrong, _ := parseYAML(data); wrong != "" || n.Decode(&doc) != nil {
		return nil, false
	}
	_, err = json.Marshal(doc)
	return doc, err == nil
}

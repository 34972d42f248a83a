package publish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// example is a payload in the documentation under the name of its golden file.
var example = regexp.MustCompile("(?m)^<!-- golden: (\\S+) -->\\n```json\\n((?s:.*?))^```$")

// The documentation shows every payload as it is sent.
func TestDocsShowTheGoldenPayloads(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "mqtt.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllStringSubmatch(string(doc), -1)
	shown := map[string]bool{}
	for _, m := range examples {
		file, text := m[1], m[2]
		t.Run(file, func(t *testing.T) {
			golden, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("the example is not JSON: %v", err)
			}
			if err := json.Unmarshal(golden, &want); err != nil {
				t.Fatalf("the golden file is not JSON: %v", err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the example is\n%s\nthe golden file\n%s", text, golden)
			}
		})
		shown[file] = true
	}
	// A comment that isn't right in front of its block would be compared with nothing.
	if marks := strings.Count(string(doc), "<!-- golden:"); marks != len(examples) {
		t.Errorf("%d golden comments, but %d examples under one", marks, len(examples))
	}
	if blocks := strings.Count(string(doc), "\n```json\n"); blocks != len(examples) {
		t.Errorf("%d JSON examples, but %d under a golden comment", blocks, len(examples))
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %q, %v", files, err)
	}
	for _, file := range files {
		if name := filepath.Base(file); !shown[name] {
			t.Errorf("docs/mqtt.md does not show %s", name)
		}
	}
}

package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzLoad looks that no file and no variable makes the loader panic, that what it refuses it
// explains, and that what it takes prints as something it takes again.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	files = append(files, filepath.Join("..", "examples", "glimpsed.yaml"))
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && len(data) < 10_000 {
			f.Add(string(data), "CAMERAS_0_FPS", "2")
		}
	}
	f.Add(secretive, "MQTT_BROKER", "[tcp://a, tcp://b]")
	f.Add("", "CAMERAS_0_MASKS_0_1", "[0, 1]")
	f.Add("<<: *a\na: &a\n", "CAMERAS", "[{name: a}, {name: b}]")
	f.Fuzz(func(t *testing.T, file, name, content string) {
		opts := testOptions(t, "fuzz.yaml", "GLIMPSED_"+name+"="+content)
		opts.readFile = func(name string) ([]byte, error) {
			if name == "fuzz.yaml" {
				return []byte(file), nil
			}
			return nil, os.ErrNotExist
		}
		l, err := Load(opts)
		if err != nil {
			var found Findings
			if !errors.As(err, &found) || len(found) == 0 || strings.Contains(err.Error(), "decoding the configuration") {
				t.Fatalf("refused without a finding: %v", err)
			}
			return
		}
		var b bytes.Buffer
		if err := l.WriteYAML(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), mask) || l.Config.Infer.Runtime == "" {
			return // masked secrets don't come back
		}
		opts.Env = opts.Env[:1]
		file = b.String()
		again, err := Load(opts)
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, b.String())
		}
		if !reflect.DeepEqual(again.Config, l.Config) {
			t.Fatalf("what was printed reads as\n%+v\nwant\n%+v", again.Config, l.Config)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	opts := testOptions(b, filepath.Join("..", "examples", "glimpsed.yaml"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(opts); err != nil {
			b.Fatal(err)
		}
	}
}

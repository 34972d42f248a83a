package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSaveOverrides(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	name := filepath.Join(dir, OverridesFile)
	must := func(changes ...Override) {
		t.Helper()
		if err := SaveOverrides(dir, changes); err != nil {
			t.Fatal(err)
		}
	}
	must(Override{"front", "fps", 2.5}, Override{"front", "events.enter", 0.7}, Override{"back", "enabled", false})
	must(Override{"front", "fps", 3.0}, Override{"", "health.every", "30s"})
	file := filepath.Join(t.TempDir(), "glimpsed.yaml")
	if err := os.WriteFile(file, []byte("state_dir: "+dir+"\ncameras: [{name: back}, {name: front, fps: 9, events: {leave: 0.2}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(Options{File: file, Env: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	back, front := loaded.Config.Cameras[0], loaded.Config.Cameras[1]
	if back.Enabled || !front.Enabled || front.FPS != 3 || front.Events.Enter != 0.7 || front.Events.Leave != 0.2 || loaded.Config.Health.Every.Seconds() != 30 {
		t.Errorf("back %+v\nfront %+v", back, front)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	for content, want := range map[string]string{
		"a: [":                                "mend or remove it",
		"cameras: 7":                          "cameras is not a list; mend or remove it",
		"cameras: [{name: front, events: 3}]": "events is not a section; mend or remove it",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := SaveOverrides(dir, []Override{{"front", "events.enter", 0.5}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", content, err)
		}
		if now, _ := os.ReadFile(name); string(now) != content {
			t.Errorf("%s became %s", content, now)
		}
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	must(Override{"front", "fps", 1.0})
}

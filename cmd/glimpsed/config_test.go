package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/config"
)

// glimpsed runs a command line in the process; it returns what was printed and its error.
func glimpsed(t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	cmd := newRootCommand()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func configFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "glimpsed.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigCheck(t *testing.T) {
	good := configFile(t, "mqtt: {broker: tcp://host, username: me, password: hunter2}\n")
	for _, args := range [][]string{{"-c", good}, {good}} {
		out, notes, err := glimpsed(t, append([]string{"config", "check"}, args...)...)
		if want := good + ": ok\n"; err != nil || out != want {
			t.Errorf("%v: got %q, %v, want %q", args, out, err, want)
		}
		if want := "notice: " + good + ":1: mqtt.password: the password is in the file itself"; !strings.HasPrefix(notes, want) {
			t.Errorf("%v: notes are %q, want %q...", args, notes, want)
		}
	}

	bad := configFile(t, "cameras:\n  - name: front\n    fps: -3\n    fsp: 1\n")
	_, _, err := glimpsed(t, "config", "check", "-c", bad)
	want := bad + ":3: cameras[0].fps: must be 0 or above, got -3\n" + bad + ":4: cameras[0].fsp: unknown key, did you mean fps?"
	var found config.Findings
	if !errors.As(err, &found) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if code := exitCode(err); code != exitConfig {
		t.Errorf("the exit code is %d, want %d", code, exitConfig)
	}
}

func TestConfigPrint(t *testing.T) {
	file := configFile(t, "mqtt: {broker: tcp://host, username: me, password: hunter2}\n")
	t.Setenv("GLIMPSED_INFER_THREADS", "2")
	out, _, err := glimpsed(t, "config", "print", "-c", file, "--set", "cameras[0].fps=2")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"    fps: 2  # command line\n",
		"  threads: 2  # GLIMPSED_INFER_THREADS\n",
		"  broker: tcp://host  # glimpsed.yaml:1\n",
		"  password: '***'  # glimpsed.yaml:1\n",
		"model: auto  # default\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("lacks %q:\n%s", line, out)
		}
	}
	out, _, err = glimpsed(t, "config", "print", "-c", file, "--format", "json")
	if err != nil || !json.Valid([]byte(out)) || strings.Contains(out, "hunter2") {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}

// TestConfigDefaultsIsTheExample holds the shipped file against the runtimes that this binary really has.
func TestConfigDefaultsIsTheExample(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "..", "examples", "glimpsed.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := glimpsed(t, "config", "defaults")
	if err != nil || out != string(want) {
		t.Errorf("config defaults differs from examples/glimpsed.yaml (%v); got\n%s", err, out)
	}
	out, _, err = glimpsed(t, "config", "schema")
	if err != nil || !json.Valid([]byte(out)) {
		t.Errorf("config schema: %v\n%s", err, out)
	}
}

func TestConfigUsage(t *testing.T) {
	for _, args := range [][]string{
		{"config", "chekc"}, {"config", "print", "x"}, {"config", "print", "--format", "xml"},
		{"config", "check", "--nope"}, {"config", "check", "-c", "a", "b"}, {"config", "print", "--set", "model"},
	} {
		if _, _, err := glimpsed(t, args...); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%v: got %v, want a usage error", args, err)
		}
	}
}

package config

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testOptions are of a machine called porch whose state is in a folder of the test's own.
func testOptions(t testing.TB, file string, env ...string) Options {
	t.Helper()
	return Options{
		File:     file,
		Env:      append([]string{"STATE_DIRECTORY=" + t.TempDir(), "PATH=/bin"}, env...),
		hostname: func() (string, error) { return "porch.example.net", nil },
		readFile: func(name string) ([]byte, error) {
			if name == DefaultFile {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return readFile(name)
		},
	}
}

// write puts content into a file of a new folder and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t testing.TB, opts Options) *Loaded {
	t.Helper()
	l, err := Load(opts)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return l
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew); got:\n%s\nwant:\n%s", path, got, want)
	}
}

// noSecret fails if text holds one of the secrets that the tests use.
func noSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{"hunter2", "123456"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the secret %q:\n%s", what, secret, text)
		}
	}
}

package infertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Library finds a runtime's shared library for a test: where GLIMPSED_<name> says,
// else in the repository's .cache/<name>, where `make setup` puts it. Without it
// the test is skipped.
func Library(t testing.TB, name, file string) string {
	t.Helper()
	path := os.Getenv("GLIMPSED_" + name)
	if path == "" {
		path = filepath.Join(root(t), ".cache", strings.ToLower(name), file)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s: %v; run `make setup` or set GLIMPSED_%s", file, err, name)
	}
	return path
}

// Shared finds a file or folder of ../shared beside the repository (or under
// GLIMPSED_SHARED) for a test. Without it the test is skipped.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	base := os.Getenv("GLIMPSED_SHARED")
	if base == "" {
		base = filepath.Join(root(t), "..", "shared")
	}
	path := filepath.Join(append([]string{base}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs ../shared: %v", err)
	}
	return path
}

// root is the repository's: the folder with go.mod above the test's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}

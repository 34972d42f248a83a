package evaluate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func isJPEG(name string) bool { return strings.HasSuffix(name, ".jpg") }

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"data/b.jpg", "data/notes.txt", "data/.hidden.jpg", "data/cat/1.jpg", "data/cat/deep/er/2.jpg", "data/.git/3.jpg", "elsewhere/4.jpg"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"data/dog": "../elsewhere", "data/gone.jpg": "nowhere.jpg", "data/cat/again": ".", "link": "data",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	pictures, err := Find(filepath.Join(dir, "link"), isJPEG)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range pictures {
		rel, _ := filepath.Rel(filepath.Join(dir, "link"), p.File)
		if !strings.Contains(rel, "again") { // a circle, which must end
			got[rel] = strings.Join(p.folders, "/")
		}
	}
	want := map[string]string{"b.jpg": "", "gone.jpg": "", "cat/1.jpg": "cat", "cat/deep/er/2.jpg": "cat/deep/er", "dog/4.jpg": "dog"}
	if len(got) != len(want) {
		t.Errorf("found %v, want %v", got, want)
	}
	for file, folders := range want {
		if f, ok := got[file]; !ok || f != folders {
			t.Errorf("%s: found %v in %q, want %q", file, ok, f, folders)
		}
	}
	if !slices.IsSortedFunc(pictures[:1], func(a, b Picture) int { return strings.Compare(a.File, b.File) }) {
		t.Error("not by name")
	}
}

func TestFindNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{
		dir: "there are none in " + dir, file: file + " is not a folder", filepath.Join(dir, "no"): "no such file",
	} {
		if _, err := Find(folder, isJPEG); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", folder, err, want)
		}
	}
}

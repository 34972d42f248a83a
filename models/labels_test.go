package models

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLoadLabels(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
		err  string
	}{
		"plain":                   {"tench\ngoldfish\n", []string{"tench", "goldfish"}, ""},
		"no newline at the end":   {"tench\ngoldfish", []string{"tench", "goldfish"}, ""},
		"BOM, CRLF and blanks":    {"\xef\xbb\xbftench \r\n goldfish\r\n\r\n\r\n", []string{"tench", "goldfish"}, ""},
		"names with commas":       {"tench, Tinca tinca\ngoldfish\n", []string{"tench, Tinca tinca", "goldfish"}, ""},
		"repeated":                {"crane\ncrane\n", []string{"crane", "crane"}, ""},
		"index and blank":         {"0 tench\n1  goldfish\n", []string{"tench", "goldfish"}, ""},
		"index and colon":         {"0: tench\n1:goldfish\n", []string{"tench", "goldfish"}, ""},
		"numbers that are labels": {"4 doors\n2 doors\n", []string{"4 doors", "2 doors"}, ""},
		"only some are numbered":  {"0 tench\ngoldfish\n", []string{"0 tench", "goldfish"}, ""},
		"a number alone":          {"0\n1\n2\n", []string{"0", "1", "2"}, ""},
		"table":                   {"0\tn01440764\ttench, Tinca tinca\n1\tn01443537\tgoldfish\n", []string{"tench", "goldfish"}, ""},
		"table without index":     {"n01440764\ttench\nn01443537\tgoldfish\n", []string{"tench", "goldfish"}, ""},
		"table without ids":       {"0\ttench, Tinca tinca\n1\tgoldfish\n", []string{"tench, Tinca tinca", "goldfish"}, ""},
		"table, repeated":         {"0\tn02012849\tcrane\n1\tn03126707\tcrane\n", []string{"crane (n02012849)", "crane (n03126707)"}, ""},
		"empty line":              {"tench\n\ngoldfish\n", nil, "line 2 is empty"},
		"nothing":                 {"\r\n\n", nil, "it holds no labels"},
		"empty":                   {"", nil, "it holds no labels"},
		"binary":                  {"TFL3\x00\x00", nil, "it is not text"},
		"table with a gap":        {"0\tn01440764\ttench\n2\tn01443537\tgoldfish\n", nil, "line 2 has the index 2, want 1"},
		"table with four columns": {"0\tn01440764\ttench\tTinca tinca\n", nil, "line 1: want index, WordNet id and name"},
		"table without a name":    {"0\tn01440764\ttench\n1\tn01443537\t\n", nil, "line 2: want index, WordNet id and name"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "labels.txt"), []byte(c.text))
			got, err := LoadLabels(path)
			if c.err == "" && (err != nil || !slices.Equal(got, c.want)) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%v; want %q and the path", err, c.err)
			}
		})
	}
	dir := t.TempDir()
	large := write(t, filepath.Join(dir, "large.txt"), bytes.Repeat([]byte("label\n"), 1_000_000))
	for path, want := range map[string]string{
		filepath.Join(dir, "none.txt"): "there is no such file", dir: "it is not a regular file", large: "6000000 bytes are more than",
	} {
		if _, err := LoadLabels(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestLabelFilesOfOthers(t *testing.T) {
	labels, err := LoadLabels(shared(t, "data/coral/imagenet_labels.txt"))
	if err != nil || len(labels) != 1001 || labels[0] != "background" || labels[1] != "tench, Tinca tinca" {
		t.Errorf("%d labels, %v", len(labels), err)
	}
	e, _ := Lookup("resnet18")
	labels, err = LoadLabels(shared(t, "data/imagenet_classes.tsv"))
	if err != nil || !slices.Equal(labels, e.Labels()) {
		t.Errorf("%d labels, %v; want those of the catalogue", len(labels), err)
	}
}

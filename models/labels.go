package models

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/glimpsed/glimpsed/models/imagenet"
)

// ImageNetLabels in place of a label file stands for ImageNet's 1000 names, with
// "background" before them where the model has 1001 outputs.
const ImageNetLabels = "imagenet"

// maxLabelFile bounds a label file in bytes; ImageNet-21k's has 0.7 MB.
const maxLabelFile = 4 << 20

var (
	// wnidForm is a WordNet id.
	wnidForm = regexp.MustCompile(`^n\d{8}$`)
	// indexForm is a number with or without a colon before the label: "7 cock", "7: cock".
	indexForm = regexp.MustCompile(`^(\d+)(?:\s*:\s*|\s+)(\S.*)$`)
)

// LoadLabels reads a label file: one label a line, in the order of the model's
// output. Each line may carry its index in front ("7 cock", "7: cock") or be
// tab-separated as index, WordNet id, name. A byte order mark and CRLF are accepted;
// labels may repeat.
func LoadLabels(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading labels %s: there is no such file", path)
	case err != nil:
		return nil, fmt.Errorf("reading labels %s: %w", path, bare(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading labels %s: it is not a regular file", path)
	case info.Size() > maxLabelFile:
		return nil, fmt.Errorf("reading labels %s: %d bytes are more than a label file may have (%d)", path, info.Size(), maxLabelFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading labels %s: %w", path, bare(err))
	}
	labels, err := parseLabels(data)
	if err != nil {
		return nil, fmt.Errorf("reading labels %s: %w", path, err)
	}
	return labels, nil
}

func parseLabels(data []byte) ([]string, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, errors.New("it is not text")
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		lines = append(lines, strings.Trim(s.Text(), " \r"))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		return nil, errors.New("it holds no labels")
	}
	if i := slices.Index(lines, ""); i >= 0 {
		return nil, fmt.Errorf("line %d is empty: every line names one output of the model", i+1)
	}
	if slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "\t") }) {
		return labelColumns(lines)
	}
	if labels, ok := numbered(lines); ok {
		return labels, nil
	}
	return lines, nil
}

// labelColumns reads tab-separated lines: index, WordNet id, name; both of the first
// may be missing. Of several names with commas the first is taken, as far as it is unique.
func labelColumns(lines []string) ([]string, error) {
	labels := make([]string, len(lines))
	count := map[string]int{}
	ids := make([]string, len(lines))
	for i, line := range lines {
		fields := strings.Split(line, "\t")
		if len(fields) > 1 {
			if index, err := strconv.Atoi(fields[0]); err == nil {
				if index != i {
					return nil, fmt.Errorf("line %d has the index %d, want %d: the labels must be in order, without gaps, from 0", i+1, index, i)
				}
				fields = fields[1:]
			}
		}
		if len(fields) > 1 && wnidForm.MatchString(fields[0]) {
			ids[i], fields = fields[0], fields[1:]
		}
		if len(fields) != 1 || strings.TrimSpace(fields[0]) == "" {
			return nil, fmt.Errorf("line %d: want index, WordNet id and name with tabs between them", i+1)
		}
		labels[i] = strings.TrimSpace(fields[0])
		if ids[i] != "" {
			labels[i], _, _ = strings.Cut(labels[i], ",")
		}
		count[labels[i]]++
	}
	for i := range labels {
		if ids[i] != "" && count[labels[i]] > 1 {
			labels[i] += " (" + ids[i] + ")"
		}
	}
	return labels, nil
}

// numbered strips indices if every line carries its own; otherwise a number is part of a label.
func numbered(lines []string) ([]string, bool) {
	labels := make([]string, len(lines))
	for i, line := range lines {
		m := indexForm.FindStringSubmatch(line)
		if m == nil || m[1] != strconv.Itoa(i) {
			return nil, false
		}
		labels[i] = m[2]
	}
	return labels, true
}

// siblingLabels looks for a label file beside a model: model.labels.txt, model.txt,
// labels.txt, imagenet_labels.txt. The first that is there counts; "" if none is.
func siblingLabels(model string) string {
	dir, stem := filepath.Dir(model), strings.TrimSuffix(filepath.Base(model), modelSuffix)
	for _, name := range []string{stem + ".labels.txt", stem + ".txt", "labels.txt", "imagenet_labels.txt"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// namedLabels are those that a word stands for.
func namedLabels(outputs int) []string {
	if outputs == len(imagenet.Classes())+1 {
		return append([]string{imagenet.Background}, imagenet.Labels()...)
	}
	return imagenet.Labels()
}

func checkLabels(labels []string, outputs int) error {
	if len(labels) == outputs {
		return nil
	}
	hint := ""
	if len(labels)+1 == outputs {
		hint = `; a first line "background" may be missing`
	}
	return fmt.Errorf("%d labels, but the model has %d outputs%s", len(labels), outputs, hint)
}

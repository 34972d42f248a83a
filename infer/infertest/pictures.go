package infertest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/vision"
)

// Sample is a picture with its ImageNet class, 0..999.
type Sample struct {
	Path  string
	Class int
}

// Samples are the 500 pictures of ../shared, each of another class. Without it the
// test is skipped.
func Samples(t testing.TB) []Sample {
	t.Helper()
	classes := make(map[string]int) // by WordNet id
	for _, line := range lines(t, Shared(t, "data", "imagenet_classes.tsv")) {
		fields := strings.Split(line, "\t")
		if index, err := strconv.Atoi(fields[0]); err == nil && len(fields) == 3 {
			classes[fields[1]] = index
		}
	}
	paths, err := filepath.Glob(filepath.Join(Shared(t, "data", "imagenet-samples"), "n*.JPEG"))
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for _, path := range paths {
		wnid, _, _ := strings.Cut(filepath.Base(path), "_")
		class, ok := classes[wnid]
		if !ok {
			t.Fatalf("%s is of no known class", path)
		}
		samples = append(samples, Sample{path, class})
	}
	return samples
}

// CoralLabels are the 1001 labels of the Coral models; the first is "background".
func CoralLabels(t testing.TB) []string {
	t.Helper()
	return lines(t, Shared(t, "data", "coral", "imagenet_labels.txt"))
}

func lines(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		all = append(all, scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Frame decodes a picture at its full size, without OpenCV.
func Frame(path string) (vision.Frame, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return vision.Frame{}, err
	}
	var decoder imaging.GoDecoder
	defer decoder.Close()
	frame, err := decoder.Decode(data, imaging.Options{Limits: imaging.DefaultLimits()})
	if err != nil {
		return vision.Frame{}, fmt.Errorf("decoding %s: %w", path, err)
	}
	frame.Source = path
	return frame, nil
}

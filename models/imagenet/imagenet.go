// Package imagenet knows the 1000 classes of ImageNet-1k (ILSVRC 2012) in the
// order in which networks trained on it put them out.
package imagenet

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Background is the label that TensorFlow's classifiers with 1001 outputs put first.
const Background = "background"

// Class is one of the 1000.
type Class struct {
	// Index is the place in a network's output, 0..999.
	Index int
	// WNID is the WordNet id, such as "n01440764"; unlike the names it is unique.
	WNID string
	// Name holds the synset's words, such as "tench, Tinca tinca".
	Name string
	// Label is the first of them; where two classes share it, the WordNet id stands
	// behind it in brackets, as in "crane (n02012849)".
	Label string
}

// classes.tsv has a line a class: index, WordNet id, name.
//
//go:embed classes.tsv
var table string

var classes = sync.OnceValue(func() []Class {
	list, err := parse(table)
	if err != nil {
		panic("imagenet: " + err.Error()) // the embedded table is wrong; a test reads it
	}
	return list
})

func parse(table string) ([]Class, error) {
	var list []Class
	count := map[string]int{}
	for n, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		field := strings.Split(line, "\t")
		if len(field) != 3 {
			return nil, fmt.Errorf("line %d has %d fields, not 3", n+1, len(field))
		}
		if index, err := strconv.Atoi(field[0]); err != nil || index != n {
			return nil, fmt.Errorf("line %d has index %q", n+1, field[0])
		}
		label, _, _ := strings.Cut(field[2], ",")
		count[label]++
		list = append(list, Class{Index: n, WNID: field[1], Name: field[2], Label: label})
	}
	for i := range list {
		if count[list[i].Label] > 1 {
			list[i].Label += " (" + list[i].WNID + ")"
		}
	}
	return list, nil
}

// Classes returns all 1000 classes, by index. The slice must not be changed.
func Classes() []Class { return classes() }

// Labels returns a new slice of the 1000 labels, by index.
func Labels() []string { return column(func(c Class) string { return c.Label }) }

// WNIDs returns a new slice of the 1000 WordNet ids, by index.
func WNIDs() []string { return column(func(c Class) string { return c.WNID }) }

func column(of func(Class) string) []string {
	out := make([]string, len(classes()))
	for i, c := range classes() {
		out[i] = of(c)
	}
	return out
}

// ByWNID finds a class by its WordNet id.
func ByWNID(wnid string) (Class, bool) {
	for _, c := range classes() {
		if c.WNID == wnid {
			return c, true
		}
	}
	return Class{}, false
}

package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Layer is one of the places that values come from; a later one wins.
type Layer uint8

// The layers, from the weakest to the strongest.
const (
	LayerDefault Layer = iota
	LayerFile
	LayerOverrides
	LayerEnv
	LayerFlags
)

// Origin says where a value comes from.
type Origin struct {
	Layer Layer
	// Name is the file, or the name of the environment variable. For a default it
	// is how the default was worked out, where that depends on the machine.
	Name string
	// Line and Column count from 1, in files only.
	Line, Column int
}

// String is the origin as `config print` shows it: "default", "glimpsed.yaml:12".
func (o Origin) String() string {
	switch o.Layer {
	case LayerFile, LayerOverrides:
		return fmt.Sprintf("%s:%d", filepath.Base(o.Name), o.Line)
	case LayerEnv:
		return o.Name
	case LayerFlags:
		return "command line"
	}
	if o.Name != "" {
		return "default (" + o.Name + ")"
	}
	return "default"
}

// place is the origin as it stands in front of an error: the whole file name, nothing for defaults.
func (o Origin) place() string {
	switch {
	case o.Layer == LayerDefault:
		return ""
	case o.Layer <= LayerOverrides && o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case o.Layer <= LayerOverrides:
		return o.Name
	}
	return o.String()
}

// Finding is one thing that is wrong with a configuration, or worth knowing about it.
type Finding struct {
	Origin Origin
	// Key is the full path, as in "cameras[0].fps"; empty where it is about a whole file.
	Key string
	// Text never holds a secret.
	Text string
}

// String is "FILE:LINE: KEY: TEXT", without the parts that don't apply.
func (f Finding) String() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{f.Origin.place(), f.Key, f.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// MarshalText is String, for loggers and JSON.
func (f Finding) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Findings is every problem of a configuration, ordered by place; Load returns it as its error.
type Findings []Finding

// Error is one line a problem.
func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (f *Findings) add(at Origin, key, format string, args ...any) {
	*f = append(*f, Finding{Origin: at, Key: key, Text: fmt.Sprintf(format, args...)})
}

// has says whether something is known to be wrong with the key already.
func (f Findings) has(key string) bool {
	return slices.ContainsFunc(f, func(one Finding) bool { return one.Key == key })
}

// sort orders by place. Defaults come last: what is wrong there depends on the rest.
func (f Findings) sort() {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Origin.Layer-1, b.Origin.Layer-1),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Column, b.Origin.Column),
			cmp.Compare(a.Origin.Name, b.Origin.Name),
			cmp.Compare(a.Key, b.Key),
		)
	})
}

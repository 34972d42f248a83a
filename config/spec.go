package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

// kind is what a key holds.
type kind uint8

const (
	section  kind = iota // keys of its own
	dict                 // sections by name
	list                 // elements of one kind
	text                 // a string
	integer              // a whole number
	number               // a floating-point number
	boolean              // true or false
	duration             // such as 2s
	point                // [x, y]
)

// node is a key with what the struct it stands for says of it.
type node struct {
	key
	kind kind
	// optional values are pointers: absent unless somebody sets them.
	optional bool
	// field is the place in the parent's struct, for reflect.Value.FieldByIndex.
	field []int
	// children are a section's keys or a dict's entries.
	children []*node
	// elem is what a list holds.
	elem *node
}

// newSpec binds the table to Config.
func newSpec(runtimes []string) *node {
	root := &node{key: key{keys: table(runtimes)}}
	root.bind(reflect.TypeFor[Config]())
	return root
}

// bind works out kind and children from the Go type. A key without a field is a
// mistake in the table, which every test of this package would meet: it panics.
func (n *node) bind(t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		n.optional, t = true, t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		n.kind = duration
	case t == reflect.TypeFor[capture.Point]():
		n.kind = point
	case t.Kind() == reflect.String:
		n.kind = text
	case t.Kind() == reflect.Int:
		n.kind = integer
	case t.Kind() == reflect.Float64:
		n.kind = number
	case t.Kind() == reflect.Bool:
		n.kind = boolean
	case t.Kind() == reflect.Slice:
		n.kind = list
		n.elem = &node{key: n.key}
		n.elem.doc = ""
		n.elem.bind(t.Elem())
	case t.Kind() == reflect.Map:
		n.kind = dict
		for _, name := range n.entries {
			child := &node{key: key{name: name, keys: n.keys}}
			child.bind(t.Elem())
			n.children = append(n.children, child)
		}
	case t.Kind() == reflect.Struct:
		n.kind = section
		for _, k := range n.keys {
			f, ok := t.FieldByNameFunc(func(field string) bool { return fits(k.name, field) })
			if !ok {
				panic(fmt.Sprintf("config: key %q has no field in %s", k.name, t))
			}
			child := &node{key: k, field: f.Index}
			child.bind(f.Type)
			n.children = append(n.children, child)
		}
	default:
		panic(fmt.Sprintf("config: key %q: no kind for %s", n.name, t))
	}
}

// fits says whether key is the name of a struct's field: rtsp_transport is RTSPTransport.
// The one exception is a list that reads as one value: broker is Brokers.
func fits(key, field string) bool {
	key = strings.ReplaceAll(key, "_", "")
	return strings.EqualFold(key, field) || key == "broker" && field == "Brokers"
}

// child is the key of that name, or nil.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *node) isLeaf() bool { return n.kind >= text }

// oneOrMore says that a list may be written as a single value: a list of texts.
func (n *node) oneOrMore() bool { return n.kind == list && n.elem.kind == text }

// unknown says that name isn't a key of n, and which one may be meant.
func (n *node) unknown(root *node, name string) string {
	names := make([]string, len(n.children))
	for i, c := range n.children {
		names[i] = c.name
	}
	if near := nearest(name, names); near != "" {
		return "unknown key, did you mean " + near + "?"
	}
	if places := root.places(strings.ToLower(name), ""); len(places) > 0 {
		return "unknown key, did you mean " + strings.Join(places, " or ") + "?"
	}
	if n.kind == dict {
		return "unknown key, there are " + enumerate(anys(names), "and")
	}
	return "unknown key; `glimpsed config defaults` lists those there are"
}

// places finds the keys of that name anywhere below n.
func (n *node) places(name, path string) []string {
	var out []string
	if n.kind == list {
		return n.elem.places(name, path+"[]")
	}
	if n.kind == dict {
		return nil
	}
	for _, c := range n.children {
		if c.name == name {
			out = append(out, join(path, c.name))
		}
		out = append(out, c.places(name, join(path, c.name))...)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// nearest is the one of names that name is most likely a slip of, or empty.
func nearest(name string, names []string) string {
	best, least := "", max(1, min(len(name)/3, 3))+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: Levenshtein's, with the swap of
// two neighbours as one step.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// enumerate writes values as in "tcp, udp or empty".
func enumerate(values []any, last string) string {
	words := make([]string, 0, len(values))
	empty := false
	for _, v := range values {
		if v == "" {
			empty = true
			continue
		}
		words = append(words, fmt.Sprint(v))
	}
	if empty {
		words = append(words, "empty")
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	end := len(words) - 1
	return strings.Join(words[:end], ", ") + " " + last + " " + words[end]
}

// describe is the key's doc with its placeholder filled in.
func (n *node) describe() string {
	values := slices.DeleteFunc(slices.Clone(n.enum), func(v any) bool { return v == "" })
	return strings.ReplaceAll(n.doc, "{enum}", enumerate(values, "or"))
}

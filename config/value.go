package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/publish/webhook"
)

// value is a piece of configuration with its origin. Which of its parts are used
// depends on the node's kind.
type value struct {
	node   *node
	origin Origin
	// leaf is a string, int, float64, bool, time.Duration or [2]float64.
	leaf any
	// fields are a section's or a dict's; a key that nobody set is missing.
	fields map[string]*value
	items  []*value
}

// valueOf reads a struct into a tree whose every origin is the default.
func valueOf(n *node, v reflect.Value) *value {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	out := &value{node: n}
	switch n.kind {
	case section:
		out.fields = map[string]*value{}
		for _, c := range n.children {
			if f := valueOf(c, v.FieldByIndex(c.field)); f != nil {
				out.fields[c.name] = f
			}
		}
	case dict:
		out.fields = map[string]*value{}
		for _, c := range n.children {
			if f := v.MapIndex(reflect.ValueOf(c.name)); f.IsValid() {
				out.fields[c.name] = valueOf(c, f)
			}
		}
	case list:
		for i := range v.Len() {
			out.items = append(out.items, valueOf(n.elem, v.Index(i)))
		}
	case text:
		out.leaf = v.String()
	case integer:
		out.leaf = int(v.Int())
	case number:
		out.leaf = v.Float()
	case boolean:
		out.leaf = v.Bool()
	case duration:
		out.leaf = time.Duration(v.Int())
	case point:
		out.leaf = [2]float64{v.Field(0).Float(), v.Field(1).Float()}
	}
	return out
}

// blank is what an element that somebody adds to a list, or an entry to a dict, starts from.
func blank(n *node) *value {
	if n.name == "cameras" && n.kind == section {
		return valueOf(n, reflect.ValueOf(defaultCamera()))
	}
	if n.name == "webhooks" && n.kind == section {
		return valueOf(n, reflect.ValueOf(Webhook{Config: webhook.DefaultConfig()}))
	}
	v := &value{node: n}
	if !n.isLeaf() {
		v.fields = map[string]*value{}
	}
	return v
}

// overlay lays upper over v: sections key by key, everything else as a whole.
func (v *value) overlay(upper *value) *value {
	switch v.node.kind {
	case section, dict:
		v.origin = upper.origin
		for name, f := range upper.fields {
			below := v.fields[name]
			if below == nil {
				below = blank(f.node)
			}
			v.fields[name] = below.overlay(f)
		}
		return v
	case list:
		out := &value{node: v.node, origin: upper.origin}
		for _, item := range upper.items {
			out.items = append(out.items, blank(v.node.elem).overlay(item))
		}
		return out
	}
	return upper
}

// step is one part of a key's path: a name, or an index where name is empty.
type step struct {
	name  string
	index int
}

// parsePath reads "cameras[0].fps"; "cameras.0.fps" is the same.
func parsePath(path string) []step {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	var steps []step
	for part := range strings.SplitSeq(path, ".") {
		if i, ok := parseIndex(part); ok {
			steps = append(steps, step{index: i})
		} else {
			steps = append(steps, step{name: part})
		}
	}
	return steps
}

// pathOf is parsePath's inverse.
func pathOf(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i == 0:
			b.WriteString(s.name)
		default:
			b.WriteString("." + s.name)
		}
	}
	return b.String()
}

// put lays upper over the value at steps, adding an element where the index is one
// past a list's end. Its error says which element is missing before it.
func (v *value) put(steps []step, upper *value) (*value, error) {
	if len(steps) == 0 {
		return v.overlay(upper), nil
	}
	s := steps[0]
	if v.node.kind == list {
		if s.index > len(v.items) {
			return v, fmt.Errorf("there is no element %d to come after", s.index-1)
		}
		item := blank(v.node.elem)
		if s.index < len(v.items) {
			item = v.items[s.index]
		}
		item, err := item.put(steps[1:], upper)
		if err != nil {
			return v, err
		}
		if s.index == len(v.items) {
			v.items = append(v.items, item)
		} else {
			v.items[s.index] = item
		}
		return v, nil
	}
	below := v.fields[s.name]
	if below == nil {
		below = blank(v.node.child(s.name))
	}
	f, err := below.put(steps[1:], upper)
	if err != nil {
		return v, err
	}
	v.fields[s.name] = f
	return v, nil
}

// find returns the value at path, or the nearest around it that there is.
func (v *value) find(path string) *value {
	way := v.way(path)
	return way[len(way)-1]
}

// way is v and every value on the way to path, as far as there are any.
func (v *value) way(path string) []*value {
	way := []*value{v}
	for _, s := range parsePath(path) {
		next := v.fields[s.name]
		if s.name == "" && s.index < len(v.items) {
			next = v.items[s.index]
		}
		if next == nil {
			break
		}
		v = next
		way = append(way, v)
	}
	return way
}

// place is where to put right what is wrong at path: where that was set, or where the
// section was that lacks it.
func (v *value) place(path string) Origin {
	way := v.way(path)
	for i := len(way) - 1; i > 0; i-- {
		if o := way[i].source(); o.Layer != LayerDefault {
			return o
		}
	}
	return Origin{}
}

// source is the strongest origin within v.
func (v *value) source() Origin {
	best := v.origin
	for _, c := range v.node.children {
		if f := v.fields[c.name]; f != nil {
			if o := f.source(); o.Layer > best.Layer {
				best = o
			}
		}
	}
	for _, item := range v.items {
		if o := item.source(); o.Layer > best.Layer {
			best = o
		}
	}
	return best
}

// walk visits every leaf and every empty list or dict in the table's order.
func (v *value) walk(path string, visit func(path string, v *value)) {
	switch {
	case v.node.isLeaf() || len(v.fields) == 0 && len(v.items) == 0:
		visit(path, v)
	case v.node.oneOrMore() && len(v.items) == 1:
		v.items[0].walk(path, visit)
	case v.node.kind == list:
		for i, item := range v.items {
			item.walk(fmt.Sprintf("%s[%d]", path, i), visit)
		}
	default:
		for _, c := range v.node.children {
			if f := v.fields[c.name]; f != nil {
				f.walk(join(path, c.name), visit)
			}
		}
	}
}

// plain is v as maps, slices and leaves. Empty lists and dicts are left out, as
// they are nil in the structs.
func (v *value) plain() any {
	switch v.node.kind {
	case section, dict:
		m := map[string]any{}
		for name, f := range v.fields {
			if p := f.plain(); p != nil {
				m[name] = p
			}
		}
		if v.node.kind == dict && len(m) == 0 {
			return nil
		}
		return m
	case list:
		if len(v.items) == 0 {
			return nil
		}
		s := make([]any, len(v.items))
		for i, item := range v.items {
			s[i] = item.plain()
		}
		return s
	}
	return v.leaf
}

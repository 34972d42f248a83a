package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/glimpsed/glimpsed/capture"
)

// maxNodes bounds how much a file may grow through aliases. A configuration of
// fifty cameras with masks has some ten thousand nodes.
const maxNodes = 200_000

// reader turns YAML into values, checking it against the table.
type reader struct {
	root  *node
	at    Origin
	nodes int
	found *Findings
}

// origin is the place of n: its line where it is in a file, else the variable's name.
func (r *reader) origin(n *yaml.Node) Origin {
	o := r.at
	if o.Layer <= LayerOverrides {
		o.Line, o.Column = n.Line, n.Column
	}
	return o
}

func (r *reader) bad(n *yaml.Node, path, format string, args ...any) {
	r.found.add(r.origin(n), path, format, args...)
}

// read checks n against s and returns its value, or nil where it can't be used:
// then it has said why. A section with some bad keys is returned with the others.
func (r *reader) read(n *yaml.Node, s *node, path string) *value {
	if n.Kind == yaml.AliasNode {
		target := *n.Alias
		target.Line, target.Column = n.Line, n.Column
		n = &target
	}
	if r.nodes++; r.nodes > maxNodes {
		if r.nodes == maxNodes+1 {
			r.bad(n, path, "the file grows too large here: are aliases nested?")
		}
		return nil
	}
	switch s.kind {
	case section, dict:
		return r.section(n, s, path)
	case list:
		return r.list(n, s, path)
	case point:
		return r.point(n, s, path)
	}
	leaf, wrong := parseLeaf(n, s)
	if wrong == "" {
		wrong = s.check(leaf)
		if d, ok := leaf.(time.Duration); ok && wrong != "" {
			wrong += ", got " + formatDuration(d)
		} else if wrong != "" {
			wrong += got(n, s)
		}
	}
	if wrong != "" {
		r.bad(n, path, "%s", wrong)
		return nil
	}
	return &value{node: s, origin: r.origin(n), leaf: leaf}
}

func (r *reader) section(n *yaml.Node, s *node, path string) *value {
	v := &value{node: s, origin: r.origin(n), fields: map[string]*value{}}
	if isNull(n) {
		return v
	}
	if n.Kind != yaml.MappingNode {
		what := "must hold keys of its own"
		if len(s.children) > 0 {
			what += " such as " + s.children[0].name
		}
		r.bad(n, path, "%s%s", what, got(n, s))
		return nil
	}
	seen := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, content := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
			merges = append(merges, content)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			r.bad(k, path, "a key must be a word, not %s", describeNode(k))
			continue
		}
		name := k.Value
		child := s.child(name)
		at := join(path, name)
		if child == nil {
			at = join(path, shown(name))
		}
		if line, twice := seen[name]; twice {
			r.bad(k, at, "is here twice, first in line %d", line)
			continue
		}
		seen[name] = k.Line
		if child == nil {
			r.bad(k, at, "%s", s.unknown(r.root, name))
			continue
		}
		if f := r.read(content, child, at); f != nil {
			if !child.isLeaf() {
				f.origin = r.origin(k)
			}
			v.fields[name] = f
		}
	}
	for _, m := range merges {
		r.merge(m, s, path, v, seen)
	}
	return v
}

// merge adds the keys of `<<: *other` that the section doesn't have itself.
func (r *reader) merge(n *yaml.Node, s *node, path string, v *value, own map[string]int) {
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	for _, src := range sources {
		if src.Kind == yaml.AliasNode {
			src = src.Alias
		}
		if src.Kind != yaml.MappingNode {
			r.bad(n, join(path, "<<"), "must be an alias of another section, got %s", describeNode(src))
			continue
		}
		if r.nodes++; r.nodes > maxNodes {
			return
		}
		from := r.section(src, s, path)
		if from == nil {
			continue
		}
		for name, f := range from.fields {
			if _, has := own[name]; !has && v.fields[name] == nil {
				v.fields[name] = f
			}
		}
	}
}

func (r *reader) list(n *yaml.Node, s *node, path string) *value {
	v := &value{node: s, origin: r.origin(n)}
	if s.oneOrMore() && n.Kind == yaml.ScalarNode && !isNull(n) {
		if n.Value == "" && n.Tag == "!!str" {
			return v
		}
		item := r.read(n, s.elem, path)
		if item == nil {
			return nil
		}
		v.items = []*value{item}
		return v
	}
	if n.Kind != yaml.SequenceNode {
		what := "must be a list"
		if s.oneOrMore() {
			what = "must be a text or a list of them"
		}
		r.bad(n, path, "%s%s", what, got(n, s))
		return nil
	}
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		item := r.read(c, s.elem, at)
		switch {
		case item != nil:
			v.items = append(v.items, item)
		case !s.elem.isLeaf():
			// The element keeps its place, so that later ones keep their number.
			v.items = append(v.items, blank(s.elem))
		}
	}
	return v
}

func (r *reader) point(n *yaml.Node, s *node, path string) *value {
	wrong := "must be a point [x, y]"
	if n.Kind != yaml.SequenceNode || len(n.Content) != 2 {
		r.bad(n, path, "%s%s", wrong, got(n, s))
		return nil
	}
	coordinate := &node{key: s.key, kind: number}
	var p [2]float64
	for i, c := range n.Content {
		f := r.read(c, coordinate, fmt.Sprintf("%s[%d]", path, i))
		if f == nil {
			return nil
		}
		p[i] = f.leaf.(float64)
	}
	return &value{node: s, origin: r.origin(n), leaf: p}
}

// parseLeaf reads a scalar as s wants it, or says what it must be.
func parseLeaf(n *yaml.Node, s *node) (leaf any, wrong string) {
	tag := n.Tag
	if n.Kind != yaml.ScalarNode {
		tag = ""
	}
	switch s.kind {
	case text:
		switch {
		case tag == "!!str" || tag == "!!merge":
			return n.Value, ""
		case isNull(n):
			return nil, `must be a text, got nothing: write "" for an empty one`
		case tag == "!!int" || tag == "!!float" || tag == "!!bool" || tag == "!!timestamp":
			return nil, "must be a text" + got(n, s) + ": put it in quotes"
		}
		return nil, "must be a text" + got(n, s)
	case integer:
		var i int
		if tag == "!!int" && n.Decode(&i) == nil {
			return i, ""
		}
		return nil, "must be a whole number" + got(n, s)
	case number:
		var f float64
		if (tag == "!!int" || tag == "!!float") && n.Decode(&f) == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, ""
		}
		return nil, "must be a number" + got(n, s)
	case boolean:
		var b bool
		if tag == "!!bool" && n.Decode(&b) == nil {
			return b, ""
		}
		return nil, "must be true or false" + got(n, s)
	case duration:
		if tag == "!!int" && n.Value == "0" {
			return time.Duration(0), ""
		}
		if tag == "!!str" {
			if d, err := time.ParseDuration(n.Value); err == nil {
				return d, ""
			}
		}
		if tag == "!!int" || tag == "!!float" {
			return nil, "must be a duration such as 2s or 500ms" + got(n, s) + " without a unit"
		}
		return nil, "must be a duration such as 2s or 500ms" + got(n, s)
	}
	return nil, "can't be read"
}

// check says which rule of the table a leaf breaks, or nothing.
func (n *node) check(leaf any) string {
	if len(n.enum) > 0 {
		for _, e := range n.enum {
			if e == leaf {
				return ""
			}
		}
		return "must be " + enumerate(n.enum, "or")
	}
	switch leaf := leaf.(type) {
	case string:
		if n.secret && leaf == mask {
			return "is the mask that `glimpsed config print` puts over a secret, not the secret"
		}
		if n.pattern != nil && (leaf != "" || n.required) && !n.pattern.expr.MatchString(leaf) {
			return "must " + n.pattern.must
		}
	case int:
		return n.bounds.check(float64(leaf), formatNumber)
	case float64:
		return n.bounds.check(leaf, formatNumber)
	case time.Duration:
		return n.bounds.check(leaf.Seconds(), formatSeconds)
	}
	return ""
}

func (b *bounds) check(f float64, format func(float64) string) string {
	if b == nil || f >= b.min && !(b.above && f == b.min) && !(b.limited && f > b.max) {
		return ""
	}
	switch {
	case b.above && b.limited:
		return "must be above " + format(b.min) + " and at most " + format(b.max)
	case b.limited && b.max >= year, !b.limited && !b.above:
		return "must be " + format(b.min) + " or above"
	case b.above:
		return "must be above " + format(b.min)
	}
	return "must be from " + format(b.min) + " to " + format(b.max)
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func formatSeconds(f float64) string {
	if f == 0 {
		return "0"
	}
	return formatDuration(time.Duration(f * float64(time.Second)))
}

// formatDuration is Duration.String without the units that are zero: 2m, not 2m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// got is ", got ..." with the offending value, unless that is a secret.
func got(n *yaml.Node, s *node) string {
	if s.secret {
		return ""
	}
	return ", got " + describeNode(n)
}

// describeNode shows a value as it is written, briefly and without credentials.
func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a section with keys"
	case yaml.AliasNode:
		return "an alias"
	}
	if isNull(n) {
		return "nothing"
	}
	if n.Tag == "!!str" {
		return strconv.Quote(shorten(capture.Redact(n.Value)))
	}
	return shorten(n.Value)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:57]) + "..."
	}
	return s
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// shown is an unknown key as it stands in an error: quoted where it isn't a plain word.
func shown(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	return strconv.Quote(shorten(capture.Redact(name)))
}

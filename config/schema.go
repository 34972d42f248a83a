package config

import (
	"encoding/json"
	"io"
	"math"
	"reflect"
)

// durationPattern is what time.ParseDuration reads, without a sign: no duration here is negative.
const durationPattern = `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// WriteSchema writes a JSON Schema (2020-12) of the configuration file. Rules about several
// keys at once, and the bounds of durations, are beyond it.
func WriteSchema(w io.Writer, runtimes []string) error {
	root := newSpec(runtimes)
	schema := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "glimpsed's configuration"},
	}
	schema = append(schema, root.schema(valueOf(root, reflect.ValueOf(Defaults())))...)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(schema)
}

// schema describes n; v holds its default, nil where it has none.
func (n *node) schema(v *value) object {
	var out object
	if doc := n.describe(); doc != "" {
		out = append(out, member{"description", doc})
	}
	switch n.kind {
	case section, dict:
		out = append(out, n.sectionSchema(v)...)
	case list:
		elem := blank(n.elem)
		if n.elem.isLeaf() {
			elem = nil
		}
		array := object{{"type", "array"}, {"items", n.elem.schema(elem)}}
		switch {
		case n.oneOrMore():
			out = append(out, member{"anyOf", []any{n.elem.schema(nil), array}})
		case n.name == "cameras": // left out is right for none, empty is not
			out = append(append(out, array...), member{"minItems", 1})
		default:
			out = append(out, array...)
		}
	case point:
		coordinate := object{{"type", "number"}}
		coordinate = append(coordinate, n.bounds.schema()...)
		out = append(out, object{{"type", "array"}, {"items", coordinate}, {"minItems", 2}, {"maxItems", 2}}...)
	default:
		out = append(out, n.leafSchema()...)
	}
	if v != nil && v.node.isLeaf() && v.leaf != nil && !n.required && !n.secret {
		out = append(out, member{"default", v.json()})
	}
	return out
}

func (n *node) sectionSchema(v *value) object {
	var properties object
	var required []string
	for _, c := range n.children {
		var below *value
		if v != nil {
			below = v.fields[c.name]
		}
		properties = append(properties, member{c.name, c.schema(below)})
		if c.required {
			required = append(required, c.name)
		}
	}
	// A section may be left empty, which YAML reads as null.
	out := object{{"type", []string{"object", "null"}}, {"properties", properties}, {"additionalProperties", false}}
	if required != nil {
		out[0].content = "object"
		out = append(out, member{"required", required})
	}
	return out
}

func (n *node) leafSchema() object {
	if len(n.enum) > 0 {
		return object{{"enum", n.enum}}
	}
	switch n.kind {
	case integer:
		return append(object{{"type", "integer"}}, n.bounds.schema()...)
	case number:
		return append(object{{"type", "number"}}, n.bounds.schema()...)
	case boolean:
		return object{{"type", "boolean"}}
	case duration:
		return object{{"anyOf", []any{
			object{{"type", "string"}, {"pattern", durationPattern}},
			object{{"const", 0}},
		}}}
	}
	out := object{{"type", "string"}}
	if n.pattern != nil {
		expr := n.pattern.expr.String()
		if !n.required {
			expr = "^$|" + expr
		}
		out = append(out, member{"pattern", expr})
	}
	return out
}

func (b *bounds) schema() object {
	if b == nil {
		return nil
	}
	lower := "minimum"
	if b.above {
		lower = "exclusiveMinimum"
	}
	out := object{{lower, b.min}}
	if b.limited && !math.IsInf(b.max, 0) {
		out = append(out, member{"maximum", b.max})
	}
	return out
}

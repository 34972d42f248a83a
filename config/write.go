package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// commentColumn is where short comments of the commented defaults begin, and
	// wide is how long a line with one may be; longer comments stand above their key.
	commentColumn = 30
	wide          = 106
)

const defaultsHeader = `# glimpsed's configuration: every key with its default. A file needs only the keys that differ.
# Every key can come from the environment too, elements of lists by number: GLIMPSED_MQTT_BROKER,
# GLIMPSED_CAMERAS_0_FPS. ` + "`glimpsed config check`" + ` says what is wrong with a file, ` + "`glimpsed config print`" + `
# what is in force and where each value comes from.
`

// WriteDefaults writes the commented defaults, as in examples/glimpsed.yaml.
func WriteDefaults(w io.Writer, runtimes []string) error {
	root := newSpec(runtimes)
	e := &emitter{w: bufio.NewWriter(w), documented: true}
	e.write(defaultsHeader)
	e.section(valueOf(root, reflect.ValueOf(Defaults())), "", "")
	return e.w.Flush()
}

// WriteYAML writes the configuration in force, each value with its origin and secrets masked.
func (l *Loaded) WriteYAML(w io.Writer) error {
	e := &emitter{w: bufio.NewWriter(w)}
	e.section(l.tree, "", "")
	return e.w.Flush()
}

// WriteJSON writes the same as {"config": ..., "sources": {KEY: ORIGIN}}.
func (l *Loaded) WriteJSON(w io.Writer) error {
	var sources object
	l.tree.walk("", func(path string, v *value) {
		sources = append(sources, member{path, v.origin.String()})
	})
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(object{{"config", l.tree.json()}, {"sources", sources}})
}

// emitter writes a tree as YAML.
type emitter struct {
	w *bufio.Writer
	// documented puts the keys' docs in the comments; else they hold the origins.
	documented bool
	// clear leaves out comments, masks nothing, and leaves out secrets that a file holds.
	clear bool
}

// write keeps its error for Flush, as bufio.Writer does.
func (e *emitter) write(s string) { _, _ = e.w.WriteString(s) }

// section writes the keys of v. first is what the first line begins with instead of indent.
func (e *emitter) section(v *value, indent, first string) {
	lead := indent
	if first != "" {
		lead = first
	}
	for _, c := range v.node.children {
		f := v.fields[c.name]
		if f == nil || e.clear && v.secretElsewhere(c) {
			continue
		}
		if e.documented && v.node.name == "" {
			e.write("\n")
		}
		e.entry(f, lead, indent)
		lead = indent
	}
}

func (e *emitter) entry(f *value, lead, indent string) {
	name := lead + f.node.name + ":"
	switch {
	case f.node.isLeaf():
		e.line(name+" "+e.scalar(f), f, indent)
	case f.node.oneOrMore() && len(f.items) < 2:
		one := `""`
		if len(f.items) == 1 {
			one = e.scalar(f.items[0])
		}
		e.line(name+" "+one, f, indent)
	case f.node.kind == list && len(f.items) == 0:
		e.line(name+" []", f, indent)
	case f.node.kind == list && f.node.elem.kind != section:
		e.line(name, f, indent)
		for _, item := range f.items {
			e.line(indent+"  - "+e.flow(item), item, indent)
		}
	case f.node.kind == list:
		e.heading(name, f, indent)
		for _, item := range f.items {
			e.section(item, indent+"    ", indent+"  - ")
		}
	case len(f.fields) == 0:
		e.line(name+" {}", f, indent)
	default:
		e.heading(name, f, indent)
		e.section(f, indent+"  ", "")
	}
}

// heading is a line that only opens a section: it has no origin of its own.
func (e *emitter) heading(line string, v *value, indent string) {
	if e.documented {
		e.line(line, v, indent)
		return
	}
	e.write(line + "\n")
}

// line writes one line with its comment, beside it where there is room.
func (e *emitter) line(line string, v *value, indent string) {
	if e.clear {
		e.write(line + "\n")
		return
	}
	if !e.documented {
		origin := v.source()
		fmt.Fprintf(e.w, "%s  # %s\n", line, printable(origin.String()))
		return
	}
	doc := v.node.describe()
	pad := max(commentColumn-utf8.RuneCountInString(line), 2)
	beside := line + strings.Repeat(" ", pad) + "# " + doc
	switch {
	case doc == "":
		e.write(line + "\n")
	case utf8.RuneCountInString(beside) <= wide:
		e.write(beside + "\n")
	default:
		for _, part := range wrap(doc, wide-len(indent)-4) {
			e.write(indent + "# " + part + "\n")
		}
		e.write(line + "\n")
	}
}

func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// printable keeps a file's or a host's strange name from breaking out of its comment.
func printable(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// secretElsewhere says that v's secret c is in the file that v names.
func (v *value) secretElsewhere(c *node) bool {
	file := v.fields[c.name+"_file"]
	return c.secret && file != nil && file.leaf != ""
}

// flow writes a list in one line.
func (e *emitter) flow(v *value) string {
	if v.node.kind != list {
		return e.scalar(v)
	}
	parts := make([]string, len(v.items))
	for i, item := range v.items {
		parts[i] = e.flow(item)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// scalar writes a leaf so that YAML reads the same again.
func (e *emitter) scalar(v *value) string {
	shown := v.masked()
	if e.clear {
		shown = v.leaf
	}
	switch leaf := shown.(type) {
	case string:
		out, err := yaml.Marshal(leaf)
		if s := strings.TrimSuffix(string(out), "\n"); err == nil && !strings.ContainsAny(s, "\n#") {
			return s
		}
		// JSON's strings are YAML's double-quoted ones.
		quoted, _ := json.Marshal(leaf)
		return string(quoted)
	case time.Duration:
		return formatDuration(leaf)
	case float64:
		return formatNumber(leaf)
	case [2]float64:
		return "[" + formatNumber(leaf[0]) + ", " + formatNumber(leaf[1]) + "]"
	default:
		return fmt.Sprint(leaf)
	}
}

// json is v for encoding/json, in the table's order and masked.
func (v *value) json() any {
	switch v.node.kind {
	case section, dict:
		out := object{}
		for _, c := range v.node.children {
			if f := v.fields[c.name]; f != nil {
				out = append(out, member{c.name, f.json()})
			}
		}
		return out
	case list:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = item.json()
		}
		return out
	}
	if d, ok := v.leaf.(time.Duration); ok {
		return formatDuration(d)
	}
	return v.masked()
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name    string
	content any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		content, err := json.Marshal(m.content)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(content)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

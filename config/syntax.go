package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the one document in data, an empty one as null. Where that isn't
// YAML, it says why and in which line.
func parseYAML(data []byte) (root *yaml.Node, wrong string, line int) {
	null := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return null, "", 0
	case err != nil:
		line = errorLine(data)
		return nil, explain(err, lineOf(data, line)), line
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, "there is a second document after ---: a configuration is one", max(more.Line, 1)
	case !errors.Is(err, io.EOF):
		line = errorLine(data)
		return nil, explain(err, lineOf(data, line)), line
	}
	if len(doc.Content) == 0 {
		return null, "", 0
	}
	return doc.Content[0], "", 0
}

// errorLine finds the line that breaks data: the parser's own numbers are those of where
// it began the surrounding block, or missing. The line is the last one without
// which what is before it can be read.
func errorLine(data []byte) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	readable := func(n int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(bytes.Join(lines[:n], nil)))
		for {
			switch err := dec.Decode(new(yaml.Node)); {
			case errors.Is(err, io.EOF):
				return true
			case err != nil:
				return false
			}
		}
	}
	// Halving alone may end at a text that goes over several lines; it serves to
	// come near in long files.
	low, high := 0, len(lines)
	for high-low > 60 {
		if mid := (low + high) / 2; readable(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	for high > low+1 && !readable(high-1) {
		high--
	}
	return high
}

func lineOf(data []byte, n int) string {
	lines := strings.Split(string(data), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

var parserPlace = regexp.MustCompile(`^yaml: (line \d+: )?`)

// explain words the parser's error so that it says what to do. The line itself is
// never shown: it may hold a password.
func explain(err error, line string) string {
	msg := parserPlace.ReplaceAllString(err.Error(), "")
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "is indented with a tab: YAML wants spaces"
	case strings.HasPrefix(msg, "unknown anchor"):
		// The parser names the anchor, which may be a password that begins with *.
		return "a text that begins with * must be in quotes"
	case strings.Contains(msg, "alphabetic or numeric character"):
		return "a text that begins with * or & must be in quotes"
	case strings.Contains(msg, "cannot start any token"):
		return "a text that begins with %, @ or ` must be in quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		return "a key is not expected here: check the indentation, and put a text with \": \" in it in quotes"
	case strings.Contains(msg, "unknown escape character"):
		return "a backslash in double quotes must be doubled; single quotes take it as it is"
	case strings.Contains(msg, "unexpected end of stream"):
		return "a quote is opened and never closed"
	case strings.Contains(msg, "octet"), strings.Contains(msg, "UTF"), strings.Contains(msg, "control characters"):
		return "holds bytes that are not text: save it as UTF-8"
	case strings.Contains(msg, "did not find expected"):
		return "is not YAML: " + msg + "; check the indentation and the brackets"
	}
	return "is not YAML: " + msg
}

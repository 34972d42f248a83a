package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins the name of every variable that is a key.
const envPrefix = "GLIMPSED_"

// envOthers have the prefix, but are no keys: they tell tests where the runtime's library and
// the shared data are and how long to run. So do those that begin with envTest.
var envOthers = []string{"GLIMPSED_LITERT", "GLIMPSED_SHARED", "GLIMPSED_SOAK"}

const envTest = envPrefix + "TEST_"

// setting is a key that is given by itself, in the environment or on the command line.
type setting struct {
	at    Origin
	steps []step
	node  *node
	text  string
}

// EnvName is the name that a key has in the environment: GLIMPSED_CAMERAS_0_FPS for "cameras[0].fps".
func EnvName(key string) string {
	name := strings.NewReplacer("[", "_", "]", "", ".", "_").Replace(key)
	return envPrefix + strings.ToUpper(name)
}

// environment finds the keys in env, whose elements are "NAME=value".
func environment(root *node, env []string, found *Findings) []setting {
	var out []setting
	for _, pair := range env {
		name, content, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(envOthers, name) || strings.HasPrefix(name, envTest) {
			continue
		}
		at := Origin{Layer: LayerEnv, Name: name}
		rest := strings.ToLower(strings.TrimPrefix(name, envPrefix))
		steps, n := resolveEnv(root, rest)
		if n == nil || name != strings.ToUpper(name) {
			found.add(at, "", "%s", unknownEnv(root, rest))
			continue
		}
		out = append(out, setting{at: at, steps: steps, node: n, text: content})
	}
	return out
}

// resolveEnv reads the rest of a variable's name against the table; nil where it is no key.
// Names of keys may hold underscores themselves, so every way to read it is tried.
func resolveEnv(n *node, rest string) ([]step, *node) {
	if rest == "" {
		return nil, n
	}
	head, tail, _ := strings.Cut(rest, "_")
	if n.kind == list {
		i, ok := parseIndex(head)
		if !ok {
			return nil, nil
		}
		steps, found := resolveEnv(n.elem, tail)
		return append([]step{{index: i}}, steps...), found
	}
	for _, c := range n.children {
		after, ok := strings.CutPrefix(rest, c.name)
		if !ok || after == "_" || after != "" && after[0] != '_' {
			continue
		}
		if steps, found := resolveEnv(c, strings.TrimPrefix(after, "_")); found != nil {
			return append([]step{{name: c.name}}, steps...), found
		}
	}
	return nil, nil
}

// unknownEnv says that no key has this name, and which one may be meant.
func unknownEnv(root *node, rest string) string {
	parts := strings.Split(rest, "_")
	var names []string
	var collect func(n *node, path string)
	collect = func(n *node, path string) {
		for _, c := range n.children {
			collect(c, strings.TrimPrefix(path+"_"+c.name, "_"))
		}
		if len(n.children) == 0 {
			names = append(names, path)
		}
		// The number is taken from the name, so that only the rest counts as a slip.
		i := slices.IndexFunc(parts, func(p string) bool { _, ok := parseIndex(p); return ok })
		if n.kind == list && i >= 0 {
			collect(n.elem, path+"_"+parts[i])
		}
	}
	collect(root, "")
	if near := nearest(rest, names); near != "" {
		return "no key has this name in the environment, did you mean " + envPrefix + strings.ToUpper(near) + "?"
	}
	return "no key has this name in the environment; `glimpsed config defaults` lists the keys"
}

// parseIndex reads an element's number, which is written in one way only: 0, not 00.
func parseIndex(s string) (int, bool) {
	i, err := strconv.ParseUint(s, 10, 16)
	return int(i), err == nil && strconv.FormatUint(i, 10) == s
}

// flags turns keys given on the command line into settings.
func flags(root *node, given map[string]string, found *Findings) []setting {
	var out []setting
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := Origin{Layer: LayerFlags}
		steps, n := parsePath(name), root
		for _, s := range steps {
			switch {
			case n.kind == list && s.name == "":
				n = n.elem
			case n.kind == list || n.isLeaf() || n.child(s.name) == nil:
				found.add(at, shown(name), "%s", n.unknown(root, s.name))
				n = nil
			default:
				n = n.child(s.name)
			}
			if n == nil {
				break
			}
		}
		if n != nil {
			out = append(out, setting{at: at, steps: steps, node: n, text: given[name]})
		}
	}
	return out
}

// apply lays settings over v. Lists are filled from their first element on, whatever
// the order the settings come in.
func apply(root *node, v *value, settings []setting, found *Findings) *value {
	slices.SortStableFunc(settings, func(a, b setting) int { return slices.CompareFunc(a.steps, b.steps, compareSteps) })
	for _, s := range settings {
		path := pathOf(s.steps)
		r := &reader{root: root, at: s.at, found: found}
		n, wrong := s.yaml()
		if wrong != "" {
			found.add(s.at, path, "%s", wrong)
			continue
		}
		upper := r.read(n, s.node, path)
		if upper == nil {
			continue
		}
		var err error
		if v, err = v.put(s.steps, upper); err != nil {
			found.add(s.at, path, "%s", err)
		}
	}
	return v
}

func compareSteps(a, b step) int {
	if a.index != b.index {
		return a.index - b.index
	}
	return strings.Compare(a.name, b.name)
}

// yaml is the setting's text as a YAML value. Text is taken as it is, all else is
// read as YAML, so that a list or a section can be given too: [[0, 0], [1, 0], [0, 1]].
func (s setting) yaml() (n *yaml.Node, wrong string) {
	asText := s.node.kind == text || s.node.kind == duration && s.text != "0" ||
		s.node.oneOrMore() && !strings.HasPrefix(strings.TrimSpace(s.text), "[")
	if asText {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.text}, ""
	}
	doc, wrong, _ := parseYAML([]byte(s.text))
	return doc, wrong
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/capture"
)

// DefaultFile is read where no file is named; it may be missing.
const DefaultFile = "/etc/glimpsed/glimpsed.yaml"

// OverridesFile holds, in the state directory, what was changed while running.
const OverridesFile = "overrides.yaml"

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Options say where Load takes the configuration from.
type Options struct {
	// File must exist where it is given; empty: DefaultFile, if there is one.
	File string
	// Env is the environment as "NAME=value"; nil: the process's own.
	Env []string
	// Flags are keys, such as "cameras[0].source", with their values.
	Flags map[string]string
	// Runtimes are the names that infer.runtime may have besides "auto"; nil: litert.
	Runtimes []string

	// alone leaves out environment, flags and overrides.
	alone bool

	// hostname and readFile stand for the machine in tests.
	hostname func() (string, error)
	readFile func(name string) ([]byte, error)
}

// Loaded is a configuration that can be run, and where it comes from.
type Loaded struct {
	Config Config
	// File is the configuration file that was read; empty where there is none.
	File string
	// Files are all that were read, overrides included.
	Files []string
	// Notices are worth telling the user, but no errors.
	Notices []Finding

	// watch is the file to be watched, where it isn't File.
	watch string
	tree  *value
}

// Load reads every layer and checks the result. Its error is Findings: every
// problem there is, ordered by place.
func Load(opts Options) (*Loaded, error) {
	opts = opts.withDefaults()
	l := &loader{opts: opts, root: newSpec(opts.Runtimes), env: lookup(opts.Env)}
	l.tree = valueOf(l.root, reflect.ValueOf(Defaults()))
	l.file()
	if !opts.alone {
		settings := environment(l.root, opts.Env, &l.found)
		given := flags(l.root, opts.Flags, &l.found)
		l.overrides(settings, given)
		l.tree = apply(l.root, l.tree, settings, &l.found)
		l.tree = apply(l.root, l.tree, given, &l.found)
	}
	if l.unread {
		// What the rules would say of the rest could be right with the file.
		l.found.sort()
		return nil, l.found
	}
	l.machine()

	cfg, err := decode(l.tree)
	if err != nil {
		l.found.add(Origin{}, "", "%s", err)
		return nil, l.found
	}
	l.secrets(&cfg)
	l.validate(cfg)
	if len(l.found) > 0 {
		l.found.sort()
		return nil, l.found
	}
	notices := slices.Concat(l.notices, l.inlineSecrets(), unbuilt(l.tree))
	notices.sort()
	return &Loaded{Config: cfg, File: l.mainFile, Files: l.files, Notices: notices, tree: l.tree}, nil
}

// Watched are the files whose change may change the configuration, those included that may come to be.
func (l *Loaded) Watched() []string {
	main := cmp.Or(l.watch, l.File, DefaultFile)
	return []string{main, filepath.Join(l.Config.StateDir, OverridesFile)}
}

// Problem is what is wrong with a configuration, in one line: that of Findings is the first of them and how many
// more there are.
func Problem(err error) string {
	var f Findings
	if !errors.As(err, &f) || len(f) < 2 {
		return err.Error()
	}
	return fmt.Sprintf("%s (and %d more: `glimpsed config check`)", f[0], len(f)-1)
}

// Origin says where the value at key comes from; for a section, the strongest of its keys.
func (l *Loaded) Origin(key string) Origin { return l.tree.find(key).source() }

func (o Options) withDefaults() Options {
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Runtimes == nil {
		o.Runtimes = []string{"litert"}
	}
	if o.hostname == nil {
		o.hostname = os.Hostname
	}
	if o.readFile == nil {
		o.readFile = readFile
	}
	return o
}

// readFile reads a file of at most maxFile bytes, and ends at devices that never do.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("is larger than %d bytes", maxFile)
	}
	return data, err
}

// cause is an error without the "open NAME" in front: the name is said already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// loader is one Load under way.
type loader struct {
	opts  Options
	root  *node
	env   map[string]string
	tree  *value
	files []string
	// mainFile is the one of files that isn't overrides.
	mainFile string
	notices  Findings
	found    Findings
	// unread says that a file could not be read at all.
	unread bool
}

// file lays the configuration file over the defaults.
func (l *loader) file() {
	name := l.opts.File
	if name == "" {
		name = DefaultFile
	}
	v := l.read(name, Origin{Layer: LayerFile, Name: name}, l.opts.File != "")
	if v != nil {
		l.tree = l.tree.overlay(v)
	}
}

// overrides lays what was changed while running over that. Where it is follows from the
// state directory, which the file, the environment and the command line may set.
func (l *loader) overrides(settings ...[]setting) {
	dir := l.tree.fields["state_dir"].leaf.(string)
	for _, layer := range settings {
		for _, s := range layer {
			if s.node.name == "state_dir" {
				dir = s.text
			}
		}
	}
	if dir == "" {
		dir, _ = stateDir(l.env)
	}
	name := filepath.Join(dir, OverridesFile)
	at := Origin{Layer: LayerOverrides, Name: name}
	v := l.read(name, at, false)
	if v == nil {
		return
	}
	for _, key := range []string{"state_dir", "device"} {
		if f := v.fields[key]; f != nil {
			l.found.add(f.origin, key, "can't be changed by %s", OverridesFile)
			delete(v.fields, key)
		}
	}
	cameras := v.fields["cameras"]
	delete(v.fields, "cameras")
	l.tree = l.tree.overlay(v)
	if cameras != nil {
		l.overrideCameras(cameras)
	}
}

// overrideCameras finds each camera by its name: their order in the file may have changed.
// One that is gone is no error, since its removal is what the user wanted.
func (l *loader) overrideCameras(cameras *value) {
	for i, upper := range cameras.items {
		path := fmt.Sprintf("cameras[%d]", i)
		name := upper.fields["name"]
		if name == nil {
			if !l.found.has(path) && !l.found.has(path+".name") {
				l.found.add(upper.origin, path+".name", "must say which camera this is for")
			}
			continue
		}
		matched := false
		for j, lower := range l.tree.fields["cameras"].items {
			if lower.fields["name"].leaf == name.leaf {
				delete(upper.fields, "name")
				l.tree.fields["cameras"].items[j] = lower.overlay(upper)
				matched = true
				break
			}
		}
		if !matched {
			l.notices.add(upper.origin, path, "no camera is called %q: ignored", name.leaf)
		}
	}
}

// read returns what a file holds, or nil where there is nothing.
func (l *loader) read(name string, at Origin, must bool) *value {
	data, err := l.opts.readFile(name)
	switch {
	case err != nil && !must && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		l.unread = true
		l.found.add(at, "", "reading the configuration: %s", cause(err))
		return nil
	}
	l.files = append(l.files, name)
	if at.Layer == LayerFile {
		l.mainFile = name
	}
	doc, wrong, line := parseYAML(data)
	if wrong != "" {
		l.unread = true
		at.Line = line
		l.found.add(at, "", "%s", wrong)
		return nil
	}
	r := &reader{root: l.root, at: at, found: &l.found}
	v := r.read(doc, l.root, "")
	l.unread = l.unread || r.nodes > maxNodes
	return v
}

// keyed is a stage's error as DESIGN.md wants it: the key's path, then what is wrong.
var keyed = regexp.MustCompile(`(?s)^([a-z][a-z0-9_]*(?:\[\d+\]|\.[A-Za-z0-9_-]+)*): (.*)$`)

// validate adds what the stages say, except of keys that are known to be wrong:
// those have their default now.
func (l *loader) validate(cfg Config) {
	for _, err := range flatten(cfg.Validate()) {
		path, wrong := "", err.Error()
		if m := keyed.FindStringSubmatch(wrong); m != nil {
			path, wrong = m[1], m[2]
		}
		if path != "" && l.knownBad(path) {
			continue
		}
		l.found.add(l.tree.place(path), path, "%s", capture.Redact(wrong))
	}
}

// knownBad says whether path, something around it or something in it is wrong already.
func (l *loader) knownBad(path string) bool {
	for _, f := range l.found {
		if strings.HasPrefix(f.Key, path+"[") || strings.HasPrefix(f.Key, path+".") {
			return true
		}
	}
	for p := path; p != ""; {
		if l.found.has(p) {
			return true
		}
		p = p[:max(strings.LastIndexAny(p, ".["), 0)]
	}
	return false
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

func lookup(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, pair := range env {
		name, content, _ := strings.Cut(pair, "=")
		m[name] = content
	}
	return m
}

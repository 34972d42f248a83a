package config

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// LastGoodFile holds, in the state directory, the last configuration that worked.
const LastGoodFile = "last-good.yaml"

// lastGoodPath is where that is. The configuration file's own state_dir doesn't count: that file is
// what may be unreadable.
func lastGoodPath(opts Options) string {
	opts = opts.withDefaults()
	env := lookup(opts.Env)
	dir, _ := stateDir(env)
	if set := env[envPrefix+"STATE_DIR"]; set != "" {
		dir = set
	}
	if set := opts.Flags["state_dir"]; set != "" {
		dir = set
	}
	return filepath.Join(dir, LastGoodFile)
}

// SaveLastGood keeps the configuration for LoadLastGood with the same Options. Passwords that came from
// files stay there.
func (l *Loaded) SaveLastGood(opts Options) error {
	name := lastGoodPath(opts)
	var b bytes.Buffer
	b.WriteString("# The last configuration that worked, for `glimpsed run --last-good`. glimpsed writes it.\n")
	e := &emitter{w: bufio.NewWriter(&b), clear: true}
	e.section(l.tree, "", "")
	_ = e.w.Flush() // a buffer takes everything
	if old, err := readFile(name); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	if err := WriteWhole(name, b.Bytes()); err != nil {
		return fmt.Errorf("writing %s: %w", name, cause(err))
	}
	return nil
}

// LoadLastGood is Load of what SaveLastGood kept, of nothing else. saved is when that was.
func LoadLastGood(opts Options) (l *Loaded, saved time.Time, err error) {
	name := lastGoodPath(opts)
	saved, err = modified(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("there is none yet")
		}
		return nil, saved, fmt.Errorf("reading the last configuration that worked, %s: %w", name, cause(err))
	}
	whole := Options{File: name, Env: opts.withDefaults().Env, Runtimes: opts.Runtimes, alone: true}
	l, err = Load(whole)
	if err != nil {
		return nil, saved, fmt.Errorf("the last configuration that worked does not any more: %w", err)
	}
	l.watch = cmp.Or(opts.File, DefaultFile) // which is to be mended
	return l, saved, nil
}

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Override is a key that was changed while running.
type Override struct {
	// Camera is the camera whose key it is; empty: Key is of the whole daemon.
	Camera string
	// Key is a path such as "fps" or "events.enter", without lists.
	Key   string
	Value any
}

const overridesHeader = `# What was changed while glimpsed ran. It lies over the configuration; remove the file to go back to that.
`

// SaveOverrides adds to what outlives a restart: the keys of the file in the state directory that changes name are
// replaced, all others stay. The file is as it was after an error, and after a power cut it is the old or the new one.
func SaveOverrides(stateDir string, changes []Override) error {
	name := filepath.Join(stateDir, OverridesFile)
	kept := map[string]any{}
	data, err := readFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("reading %s: %w", name, cause(err))
	default:
		if err := yaml.Unmarshal(data, &kept); err != nil {
			return fmt.Errorf("reading %s: %w; mend or remove it", name, err)
		}
	}
	if kept == nil { // an empty file
		kept = map[string]any{}
	}
	for _, c := range changes {
		if err := c.lay(kept); err != nil {
			return fmt.Errorf("%s: %w; mend or remove it", name, err)
		}
	}
	out, err := yaml.Marshal(kept)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := WriteWhole(name, append([]byte(overridesHeader), out...)); err != nil {
		return fmt.Errorf("writing %s: %w", name, cause(err))
	}
	return nil
}

// lay puts c into the content of a file.
func (c Override) lay(content map[string]any) error {
	at := content
	if c.Camera != "" {
		cameras, isList := content["cameras"].([]any)
		if !isList && content["cameras"] != nil {
			return errors.New("cameras is not a list")
		}
		at = nil
		for _, one := range cameras {
			if m, isMap := one.(map[string]any); isMap && m["name"] == c.Camera {
				at = m
			}
		}
		if at == nil {
			at = map[string]any{"name": c.Camera}
			content["cameras"] = append(cameras, at)
		}
	}
	parts := strings.Split(c.Key, ".")
	for _, part := range parts[:len(parts)-1] {
		inner, isMap := at[part].(map[string]any)
		if !isMap && at[part] != nil {
			return fmt.Errorf("%s is not a section", part)
		}
		if inner == nil {
			inner = map[string]any{}
			at[part] = inner
		}
		at = inner
	}
	at[parts[len(parts)-1]] = c.Value
	return nil
}

// WriteWhole writes a file that only its owner may read, whole or not at all.
func WriteWhole(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	part := name + ".new"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

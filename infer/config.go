package infer

import (
	"errors"
	"fmt"
)

// DefaultConfig is what holds where the configuration says nothing.
func DefaultConfig() Config {
	return Config{Runtime: "auto", Threads: 0, Top: 3}
}

// Limits of the configuration.
const (
	maxThreads = 256
	maxTop     = 1000
)

// Validate names every key that is out of range, by its full path below path.
// Which runtimes there are is known to whoever lists them, not here.
func (c Config) Validate(path string) error {
	var errs []error
	if c.Runtime == "" {
		errs = append(errs, fmt.Errorf("%s.runtime: must name a runtime or be auto, got nothing", path))
	}
	if c.Threads < 0 || c.Threads > maxThreads {
		errs = append(errs, fmt.Errorf("%s.threads: must be 0 (one a core) to %d, got %d", path, maxThreads, c.Threads))
	}
	if c.Top < 1 || c.Top > maxTop {
		errs = append(errs, fmt.Errorf("%s.top: must be 1 to %d, got %d", path, maxTop, c.Top))
	}
	return errors.Join(errs...)
}

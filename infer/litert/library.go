//go:build cgo && linux

package litert

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/glimpsed/glimpsed/infer"
)

// Built says whether this binary can open LiteRT.
const Built = true

// FileName is the name of LiteRT's shared library.
const FileName = "libLiteRt.so"

// packageDir is where glimpsed's packages put the library.
const packageDir = "/usr/lib/glimpsed"

const remedy = "run `make setup`, or install the glimpsed package, or set infer.library to the path of " + FileName + " 2.3"

// FindLibrary returns the path of the shared library: the configured one, or else
// the first found beside the binary or where packages put it. Its errors are
// infer.ErrUnavailable and say what to do.
func FindLibrary(configured string) (string, error) {
	if configured != "" {
		if _, err := os.Stat(configured); err != nil {
			return "", fmt.Errorf("opening the LiteRT library infer.library: %w (%w): %s", err, infer.ErrUnavailable, remedy)
		}
		return filepath.Abs(configured)
	}
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe))
	}
	dirs = append(dirs, packageDir)
	for _, dir := range dirs {
		path := filepath.Join(dir, FileName)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("opening the LiteRT library: no %s in %s: %w (%w): %s",
		FileName, strings.Join(dirs, " or "), fs.ErrNotExist, infer.ErrUnavailable, remedy)
}

// checkELF says in a user's words what dlopen would say in the linker's.
func checkELF(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		var bad *elf.FormatError
		if errors.As(err, &bad) {
			return fmt.Errorf("not a shared library (%w)", err)
		}
		return err
	}
	defer f.Close()
	if f.Type != elf.ET_DYN {
		return fmt.Errorf("not a shared library (ELF type %v)", f.Type)
	}
	want, known := map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "386": elf.EM_386,
		"riscv64": elf.EM_RISCV,
	}[runtime.GOARCH]
	if known && f.Machine != want {
		return fmt.Errorf("built for another processor (%v; this binary is for %v)", f.Machine, want)
	}
	return nil
}

var libraries struct {
	sync.Mutex
	byPath map[string]*library
}

// load opens the library at path, once a process.
func load(path string) (*library, error) {
	libraries.Lock()
	defer libraries.Unlock()
	if lib := libraries.byPath[path]; lib != nil {
		return lib, nil
	}
	if err := checkELF(path); err != nil {
		return nil, fmt.Errorf("opening the LiteRT library %s: %w (%w): %s", path, err, infer.ErrUnavailable, remedy)
	}
	lib, err := dlopen(path)
	if err != nil {
		return nil, fmt.Errorf("opening the LiteRT library %s: %w (%w): %s", path, err, infer.ErrUnavailable, remedy)
	}
	if libraries.byPath == nil {
		libraries.byPath = make(map[string]*library)
	}
	libraries.byPath[path] = lib
	return lib, nil
}

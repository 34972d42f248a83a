package evaluate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Picture is a file whose class its place or name tells.
type Picture struct {
	File string
	// folders are the sub-folders that it is in, the outermost first; without any the file's name tells the class.
	folders []string
}

// maxDepth bounds how deep folders are looked through, since links may lead in circles.
const maxDepth = 16

// Find lists the pictures of a folder and its sub-folders by name. isPicture tells them by
// their name; what begins with a dot is left out, links are followed.
func Find(folder string, isPicture func(name string) bool) ([]Picture, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, fmt.Errorf("looking for pictures: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("looking for pictures: %s is not a folder", folder)
	}
	pictures, err := find(nil, folder, nil, isPicture)
	if err != nil {
		return nil, fmt.Errorf("looking for pictures: %w", err)
	}
	if len(pictures) == 0 {
		return nil, fmt.Errorf("looking for pictures: there are none in %s or its sub-folders", folder)
	}
	return pictures, nil
}

func find(list []Picture, folder string, above []string, isPicture func(string) bool) ([]Picture, error) {
	if len(above) > maxDepth {
		return list, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return list, err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		isDir := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			info, err := os.Stat(path)
			isDir = err == nil && info.IsDir() // a dangling link fails when it is read, and is named then
		}
		switch {
		case isDir:
			below := append(append([]string{}, above...), e.Name())
			if list, err = find(list, path, below, isPicture); err != nil {
				return list, err
			}
		case isPicture(e.Name()):
			list = append(list, Picture{File: path, folders: above})
		}
	}
	return list, nil
}

// stem is the file's name without its ending.
func (p Picture) stem() string {
	name := filepath.Base(p.File)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// counter is what tells the pictures of a class apart in their names.
var counter = regexp.MustCompile(`[\s_.()-]*\d[\d\s_.()-]*$`)

// ClassName is what the picture's place or name calls its class, as a person would read it.
func (p Picture) ClassName() string {
	if n := len(p.folders); n > 0 {
		return p.folders[n-1]
	}
	stem := p.stem()
	if id, rest := cutID(stem); id != "" && counter.ReplaceAllString(rest, "") == "" {
		return id
	}
	if name := counter.ReplaceAllString(stem, ""); name != "" {
		return name
	}
	return stem
}

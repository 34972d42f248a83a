package download

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// partFile is the unfinished file, held by one process, and a small file beside
// it with what the server said of the version that it is a part of.
type partFile struct {
	path string
	f    *os.File
}

const metaSuffix = ".json"

// version identifies a file on a server, for If-Range (RFC 9110, 13.1.5).
type version struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

func openPart(path string) (*partFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, diskError(err)
		}
		if !lock(f) {
			f.Close()
			return nil, fmt.Errorf("%w by another process, which holds %s", ErrBusy, path)
		}
		// The other process may have renamed the file between our opening and locking it.
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if named, err := os.Stat(path); err == nil && os.SameFile(held, named) {
			return &partFile{path: path, f: f}, nil
		}
		f.Close()
	}
}

// remember keeps the version's identity for a later resumption. It's a help
// only: without it the hash still tells whether the pieces fit.
func (p *partFile) remember(h http.Header) {
	v := version{ETag: h.Get("ETag"), LastModified: h.Get("Last-Modified")}
	data, err := json.Marshal(v)
	if err != nil {
		return
	}
	_ = os.WriteFile(p.path+metaSuffix, data, 0o644)
}

// validator is what If-Range may carry: a strong ETag, else the date, else nothing.
func (p *partFile) validator() string {
	data, err := os.ReadFile(p.path + metaSuffix)
	if err != nil {
		return ""
	}
	var v version
	if json.Unmarshal(data, &v) != nil {
		return ""
	}
	if v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") {
		return v.ETag
	}
	if v.ETag != "" {
		return "" // weak: may not be used with If-Range
	}
	return v.LastModified
}

func (p *partFile) reset() error {
	if err := p.f.Truncate(0); err != nil {
		return err
	}
	_, err := p.f.Seek(0, io.SeekStart)
	return err
}

// finish gives the file its name, on disk before anybody can see it.
func (p *partFile) finish(path string) error {
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(p.path, path); err != nil {
		return err
	}
	_ = os.Remove(p.path + metaSuffix)
	return syncDir(filepath.Dir(path))
}

func (p *partFile) remove() {
	_ = os.Remove(p.path)
	_ = os.Remove(p.path + metaSuffix)
}

func (p *partFile) close() { _ = p.f.Close() }

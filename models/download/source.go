package download

import (
	"net/url"
	"path/filepath"
	"strings"
)

// At is where a file of a mirror lies: directly under it, whether the mirror is
// a URL or a folder.
func At(mirror, file string) string {
	if path, ok := localPath(mirror); ok {
		return filepath.Join(path, file)
	}
	u, err := url.Parse(mirror)
	if err != nil {
		return strings.TrimRight(mirror, "/") + "/" + file
	}
	return u.JoinPath(file).String()
}

// localPath says whether a source is a file or folder, and which.
func localPath(source string) (string, bool) {
	if rest, ok := strings.CutPrefix(source, "file://"); ok {
		if path, err := url.PathUnescape(rest); err == nil {
			return path, true
		}
		return rest, true
	}
	return source, !strings.Contains(source, "://")
}

// Redact hides what may be secret in an address: the password and the query.
func Redact(source string) string {
	if _, ok := localPath(source); ok {
		return source
	}
	u, err := url.Parse(source)
	if err != nil {
		return "(unreadable address)"
	}
	if u.RawQuery != "" {
		u.RawQuery = "redacted"
	}
	return u.Redacted()
}

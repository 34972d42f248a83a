package netcam

import (
	"net"
	"net/url"
	"strings"
)

var defaultPorts = map[string]string{"rtsp": "554", "rtsps": "322", "http": "80", "https": "443"}

// target is a URL taken apart as FFmpeg does, not as net/url: passwords with characters that
// should have been escaped are common.
type target struct {
	scheme         string
	hostPort       string
	path           string // with the query
	user, password string
	login          bool // user and password were given
}

func parse(source string) target {
	scheme, rest, _ := strings.Cut(source, "://")
	t := target{scheme: strings.ToLower(scheme), path: "/"}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, t.path = rest[:i], rest[i:]
		if t.path[0] != '/' {
			t.path = "/" + t.path
		}
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, password, _ := strings.Cut(host[:i], ":")
		t.user, t.password, t.login = unescape(user), unescape(password), true
		host = host[i+1:]
	}
	t.hostPort = host
	if _, _, err := net.SplitHostPort(host); err != nil {
		t.hostPort = net.JoinHostPort(strings.Trim(host, "[]"), defaultPorts[t.scheme])
	}
	return t
}

func unescape(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

func (t target) host() string {
	host, _, _ := net.SplitHostPort(t.hostPort)
	return host
}

// url is the target without credentials.
func (t target) url() string { return t.scheme + "://" + t.hostPort + t.path }

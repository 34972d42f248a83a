package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Config is the embedded broker's part of the configuration.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// Username and Password are wanted of every client where they are set. They
	// must be set where Listen can be reached from other machines.
	Username, Password string
}

// DefaultConfig listens for this machine only.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:1883"} }

// Validate returns one error for each key that can't be used, under path.
func (c Config) Validate(path string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %w", path, key, fmt.Errorf(format, args...)))
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		bad("listen", "must be HOST:PORT such as 127.0.0.1:1883, got %q", c.Listen)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		bad("listen", "port must be from 0 to 65535, got %q", port)
	}
	open := err == nil && !loopback(host)
	switch {
	case c.Username != "" && c.Password == "":
		bad("password", "must be set where username is")
	case c.Username == "" && c.Password != "":
		bad("username", "must be set where password is")
	case c.Username == "" && open:
		bad("listen", "%s can be reached from other machines: set %s.username and %s.password, or listen on 127.0.0.1", c.Listen, path, path)
	}
	return errors.Join(errs...)
}

// loopback says whether host is this machine only. A name other than localhost
// is not trusted to be, since what it resolves to can change; empty means every address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

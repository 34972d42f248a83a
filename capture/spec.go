package capture

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// Pattern is what follows "pattern:", as in "1280x720@30".
type Pattern struct {
	// Width and Height are in pixels.
	Width, Height int
	// FPS is frames a second; 0: as fast as they are read.
	FPS float64
}

// ParsePattern reads "[WxH][@FPS]".
func ParsePattern(text string) (Pattern, error) {
	const most = 8192 // pixels a side
	p := Pattern{Width: 640, Height: 480, FPS: 25}
	size, fps, hasFPS := strings.Cut(text, "@")
	bad := func(what string) (Pattern, error) {
		return p, fmt.Errorf("pattern:%s: %s, such as pattern:1280x720@30", text, what)
	}
	if size != "" {
		w, h, ok := strings.Cut(size, "x")
		var err1, err2 error
		p.Width, err1 = strconv.Atoi(w)
		p.Height, err2 = strconv.Atoi(h)
		if !ok || err1 != nil || err2 != nil || p.Width < 1 || p.Height < 1 || p.Width > most || p.Height > most {
			return bad(fmt.Sprintf("the size must be WIDTHxHEIGHT of 1 to %d pixels", most))
		}
	}
	if hasFPS {
		var err error
		if p.FPS, err = strconv.ParseFloat(fps, 64); err != nil || !(p.FPS >= 0 && p.FPS <= 1000) {
			return bad("the rate must be 0 (as fast as possible) to 1000 frames a second")
		}
	}
	return p, nil
}

// checkURL judges a network camera's URL, of which rest is what follows the scheme, by what no
// player would accept. The errors continue a sentence that begins with the URL, and don't quote it.
func checkURL(url, rest string) error {
	if strings.ContainsFunc(url, unicode.IsControl) {
		return errors.New("has a control character in it")
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	} else if strings.Contains(rest, "@") && strings.Contains(host, ":") {
		// user:pass/word@host, or a path with an @ in it: what follows the colon may be a password.
		_, port, _ := strings.Cut(host, ":")
		if !isNumber(port) {
			return errors.New("has no valid port: if what follows the user is a password, percent-encode its /, ? and #")
		}
	}
	if name, number, err := net.SplitHostPort(host); err == nil {
		host = name
		if n, err := strconv.Atoi(number); err != nil || n < 1 || n > 65535 {
			return errors.New("has no valid port: it must be 1 to 65535")
		}
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || net.ParseIP(strings.SplitN(inner, "%", 2)[0]) == nil {
			return errors.New("has no valid IPv6 address in [ ]")
		}
		host = inner
	} else if strings.Contains(host, ":") {
		return errors.New("has no valid host: an IPv6 address must be in [ ]")
	}
	if host == "" {
		return errors.New("has no host")
	}
	if strings.ContainsFunc(host, unicode.IsSpace) {
		return errors.New("has white space in its host")
	}
	return nil
}

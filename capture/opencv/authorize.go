//go:build gocv

package opencv

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// userinfo is what stands before the host in a URL, decoded.
func userinfo(target string) (user, password string, ok bool) {
	_, rest, _ := strings.Cut(target, "://")
	authority, _, _ := strings.Cut(rest, "/")
	i := strings.LastIndexByte(authority, '@')
	if i < 0 {
		return "", "", false
	}
	user, password, _ = strings.Cut(authority[:i], ":")
	decode := func(s string) string {
		if d, err := url.PathUnescape(s); err == nil {
			return d
		}
		return s
	}
	return decode(user), decode(password), true
}

// authorize answers a server's challenges: digest as of RFC 2069, which RTSP cameras use, or basic.
func authorize(challenges []string, method, uri, user, password string) string {
	for _, c := range challenges {
		scheme, params, _ := strings.Cut(c, " ")
		if !strings.EqualFold(scheme, "digest") {
			continue
		}
		realm, nonce := param(params, "realm"), param(params, "nonce")
		response := md5Hex(md5Hex(user+":"+realm+":"+password) + ":" + nonce + ":" + md5Hex(method+":"+uri))
		return `Digest username="` + user + `", realm="` + realm + `", nonce="` + nonce + `", uri="` + uri + `", response="` + response + `"`
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func param(params, key string) string {
	_, after, _ := strings.Cut(params, key+`="`)
	value, _, _ := strings.Cut(after, `"`)
	return value
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

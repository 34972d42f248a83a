package netcam

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// authorize answers a server's challenges with what FFmpeg can do, too: digest with MD5 as of
// RFC 2617, without qop as of RFC 2069 (RTSP cameras), or basic. ok says whether there was one of these.
func (t target) authorize(challenges []string, method, uri string) (header string, ok bool) {
	basic := false
	for _, c := range challenges {
		scheme, params, _ := strings.Cut(strings.TrimSpace(c), " ")
		switch strings.ToLower(scheme) {
		case "basic":
			basic = true
		case "digest":
			if algorithm := param(params, "algorithm"); algorithm == "" || strings.EqualFold(algorithm, "MD5") {
				return t.digest(params, method, uri), true
			}
		}
	}
	if !basic {
		return "", false
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(t.user+":"+t.password)), true
}

func (t target) digest(params, method, uri string) string {
	realm, nonce := param(params, "realm"), param(params, "nonce")
	secret, request := md5Hex(t.user+":"+realm+":"+t.password), md5Hex(method+":"+uri)
	header := `Digest username="` + t.user + `", realm="` + realm + `", nonce="` + nonce + `", uri="` + uri + `"`
	if hasToken(param(params, "qop"), "auth") {
		const count = "00000001" // every answer has a client nonce of its own
		client := strings.ToLower(rand.Text())
		response := md5Hex(secret + ":" + nonce + ":" + count + ":" + client + ":auth:" + request)
		header += `, response="` + response + `", qop=auth, nc=` + count + `, cnonce="` + client + `"`
	} else {
		header += `, response="` + md5Hex(secret+":"+nonce+":"+request) + `"`
	}
	if opaque := param(params, "opaque"); opaque != "" {
		header += `, opaque="` + opaque + `"`
	}
	return header
}

// param is the value of key in `key="value", other=value`.
func param(params, key string) string {
	for params != "" {
		var name, value string
		name, params, _ = strings.Cut(params, "=")
		params = strings.TrimLeft(params, " ")
		if rest, quoted := strings.CutPrefix(params, `"`); quoted {
			value, params, _ = strings.Cut(rest, `"`)
			_, params, _ = strings.Cut(params, ",")
		} else {
			value, params, _ = strings.Cut(params, ",")
		}
		if strings.EqualFold(strings.TrimSpace(name), key) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

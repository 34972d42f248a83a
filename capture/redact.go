package capture

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// hidden stands where a secret was.
const hidden = "***"

var (
	// A URL up to white space or a quote; what is before its last @ is taken for credentials,
	// since passwords hold unescaped slashes and @ more often than paths hold @.
	urlCredentials = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s"'<>]*@`)
	// key=value as in query strings, in paths of some network cameras and in GStreamer pipelines.
	secretValue = regexp.MustCompile(`(?i)\b((?:[a-z0-9]+[-_])*(?:password|passwd|pwd|pass|pw|token|secret|apikey|key|auth|signature|sig|user-id))=("[^"]*"|'[^']*'|[^&\s"'#;]*)`)
)

// Redact removes credentials from a text: user and password of every URL in it, and the
// values of keys such as password= and token=. It rather hides too much than too little.
func Redact(text string) string {
	text = urlCredentials.ReplaceAllString(text, "${1}"+hidden+"@")
	return secretValue.ReplaceAllString(text, "${1}="+hidden)
}

// redactedError is an error whose text was rid of credentials; what it wraps can be asked for, not read.
type redactedError struct {
	text string
	err  error
}

func (e redactedError) Error() string        { return e.text }
func (e redactedError) Is(target error) bool { return errors.Is(e.err, target) }

// RedactError is err with a text from which source's credentials were removed.
func RedactError(source string, err error) error {
	return redactedError{RedactFor(source, err.Error()), err}
}

// RedactFor removes source's credentials from a text that may quote them in any form,
// such as a native library's message.
func RedactFor(source, text string) string {
	for _, s := range secretsOf(source) {
		text = strings.ReplaceAll(text, s, hidden)
	}
	return Redact(text)
}

// secretsOf are source's passwords, as written and decoded. Short ones are left
// out: replacing them everywhere would only garble the text.
func secretsOf(source string) []string {
	var secrets []string
	add := func(s string) {
		s = strings.Trim(s, `"'`)
		for _, form := range []string{s, unescape(s)} {
			if len(form) >= 4 {
				secrets = append(secrets, form)
			}
		}
	}
	for _, m := range urlCredentials.FindAllString(source, -1) {
		_, userinfo, _ := strings.Cut(strings.TrimSuffix(m, "@"), "://")
		if _, password, ok := strings.Cut(userinfo, ":"); ok {
			add(password)
		}
	}
	for _, m := range secretValue.FindAllStringSubmatch(source, -1) {
		add(m[2])
	}
	return secrets
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

package config

import "github.com/glimpsed/glimpsed/capture"

// mask stands where a secret would.
const mask = "***"

// masked is a leaf as it may be shown.
func (v *value) masked() any {
	s, isText := v.leaf.(string)
	switch {
	case !isText || s == "":
		return v.leaf
	case v.node.secret:
		return mask
	case v.node.url:
		return capture.Redact(s)
	}
	return v.leaf
}

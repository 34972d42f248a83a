package config

import (
	"reflect"

	"github.com/glimpsed/glimpsed/capture"
)

// later lists keys that are accepted although this build does nothing with them yet.
// A line goes away with the change that brings its feature.
var later = []struct{ key, text string }{
	{"web.listen", "this build has no web page yet"},
}

// Notices says which keys of cfg are set, but have no effect in this build.
func Notices(cfg Config) []Finding {
	return unbuilt(valueOf(newSpec(nil), reflect.ValueOf(cfg)))
}

func unbuilt(tree *value) Findings {
	defaults := valueOf(tree.node, reflect.ValueOf(Defaults()))
	var out Findings
	for _, l := range later {
		v := tree.find(l.key)
		off := v.leaf == "" || v.leaf == "off"
		if !off && v.leaf != defaults.find(l.key).leaf {
			out.add(v.origin, l.key, "%s", l.text)
		}
	}
	return out
}

// inlineSecrets warns of secrets in files that are easily shared or backed up.
func (l *loader) inlineSecrets() Findings {
	var out Findings
	l.tree.walk("", func(path string, v *value) {
		s, isText := v.leaf.(string)
		if !isText || s == "" || v.origin.Layer != LayerFile && v.origin.Layer != LayerOverrides {
			return
		}
		switch {
		case v.node.secret && v.origin != l.tree.find(path+"_file").origin:
			out.add(v.origin, path, "the password is in the file itself; %s_file or a systemd credential keeps it apart", path)
		case v.node.url && v.node.name == "broker" && capture.Redact(s) != s:
			out.add(v.origin, path, "holds a password; mqtt.username and mqtt.password_file keep it apart")
		}
	})
	return out
}

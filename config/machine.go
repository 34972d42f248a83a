package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// systemStateDir is where the system's daemon keeps its state.
const systemStateDir = "/var/lib/glimpsed"

// machine fills in the defaults that depend on the machine.
func (l *loader) machine() {
	l.fillIn("device", func() (string, string) {
		host, err := l.opts.hostname()
		if name := levelOf(host); err == nil && name != "" {
			return name, "the host's name"
		}
		return "glimpsed", "the host has no name"
	})
	l.fillIn("state_dir", func() (string, string) { return stateDir(l.env) })
	state := l.tree.fields["state_dir"].leaf.(string)
	models := l.tree.fields["models"]
	if dir := models.fields["dir"]; dir.leaf == "" {
		models.fields["dir"] = &value{node: dir.node, leaf: filepath.Join(state, "models"), origin: Origin{Name: "in state_dir"}}
	}
}

func (l *loader) fillIn(key string, find func() (leaf, how string)) {
	if v := l.tree.fields[key]; v.leaf == "" {
		leaf, how := find()
		l.tree.fields[key] = &value{node: v.node, leaf: leaf, origin: Origin{Name: how}}
	}
}

// levelOf makes a topic level of a host name: its first label, with - for what isn't allowed.
func levelOf(host string) string {
	host, _, _ = strings.Cut(host, ".")
	level := strings.Map(func(r rune) rune {
		if r < 128 && topicLevel.expr.MatchString(string(r)) {
			return r
		}
		return '-'
	}, host)
	return strings.Trim(level, "-")
}

// stateDir is the state directory where none is configured, and where that comes from.
func stateDir(env map[string]string) (dir, how string) {
	if dir := env["STATE_DIRECTORY"]; dir != "" {
		// systemd gives several directories separated by colons.
		dir, _, _ = strings.Cut(dir, ":")
		return dir, "systemd's STATE_DIRECTORY"
	}
	if os.Geteuid() == 0 {
		return systemStateDir, "for root"
	}
	if unix.Access(systemStateDir, unix.W_OK) == nil {
		return systemStateDir, "it can be written"
	}
	return userStateDir(env), "the user's own"
}

// modified is when a file was written.
func modified(name string) (time.Time, error) {
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// userStateDir is where the XDG base directory specification puts state.
func userStateDir(env map[string]string) string {
	if dir := env["XDG_STATE_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "glimpsed")
	}
	if home := env["HOME"]; home != "" {
		return filepath.Join(home, ".local", "state", "glimpsed")
	}
	return systemStateDir
}

// secrets reads the password files, and finds the files of TLS.
func (l *loader) secrets(cfg *Config) {
	if tls := l.tree.fields["mqtt"].fields["tls"]; tls != nil {
		for key, file := range map[string]*string{"ca_file": &cfg.MQTT.TLS.CAFile, "cert_file": &cfg.MQTT.TLS.CertFile, "key_file": &cfg.MQTT.TLS.KeyFile} {
			if f := tls.fields[key]; *file != "" {
				*file = l.secretPath(*file, f.origin)
				tls.fields[key] = &value{node: f.node, leaf: *file, origin: f.origin}
			}
		}
	}
	l.secret("mqtt", l.tree.fields["mqtt"], "password", &cfg.MQTT.Password, cfg.MQTT.PasswordFile)
	l.secret("broker", l.tree.fields["broker"], "password", &cfg.Broker.Password, cfg.Broker.PasswordFile)
	for i := range cfg.Webhooks {
		w := &cfg.Webhooks[i]
		l.secret(fmt.Sprintf("webhooks[%d]", i), l.tree.fields["webhooks"].items[i], "secret", &w.Secret, w.SecretFile)
	}
}

// secret reads the secret called name of a section from its file.
func (l *loader) secret(path string, section *value, name string, password *string, file string) {
	if file == "" {
		return
	}
	fields := section.fields
	at, key := fields[name+"_file"].origin, path+"."+name+"_file"
	if *password != "" {
		l.found.add(at, key, "%s.%s is set too: keep one of them", path, name)
		return
	}
	content, err := l.readSecret(file, at)
	if err != nil {
		l.found.add(at, key, "%s", err)
		// The rules about passwords have nothing to say while it is unknown.
		content = mask
	}
	*password = content
	fields[name] = &value{node: fields[name].node, leaf: content, origin: at}
	fields[name+"_file"] = &value{node: fields[name+"_file"].node, leaf: l.secretPath(file, at), origin: at}
}

// secretPath is where a file with a secret is. A relative name is a systemd credential, or
// where there are none, relative to the file that names it.
func (l *loader) secretPath(name string, at Origin) string {
	switch dir := l.env["CREDENTIALS_DIRECTORY"]; {
	case filepath.IsAbs(name):
	case dir != "":
		return filepath.Join(dir, name)
	case at.Layer == LayerFile:
		return filepath.Join(filepath.Dir(at.Name), name)
	}
	return name
}

// readSecret reads a password file without the line end that editors leave behind.
func (l *loader) readSecret(name string, at Origin) (string, error) {
	path := l.secretPath(name, at)
	data, err := l.opts.readFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the password from %s: %w", path, cause(err))
	}
	content := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case content == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsAny(content, "\r\n\x00"):
		return "", fmt.Errorf("%s must hold one line, the password", path)
	}
	return content, nil
}

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMachineDefaults(t *testing.T) {
	l := mustLoad(t, testOptions(t, ""))
	c := l.Config
	if c.Device != "porch" || !filepath.IsAbs(c.StateDir) || c.Models.Dir != filepath.Join(c.StateDir, "models") {
		t.Errorf("device %q, state_dir %q, models.dir %q", c.Device, c.StateDir, c.Models.Dir)
	}
	for key, want := range map[string]string{
		"device":     "default (the host's name)",
		"state_dir":  "default (systemd's STATE_DIRECTORY)",
		"models.dir": "default (in state_dir)",
	} {
		if got := l.Origin(key).String(); got != want {
			t.Errorf("%s comes from %q, want %q", key, got, want)
		}
	}
}

func TestLevelOf(t *testing.T) {
	for host, want := range map[string]string{
		"porch": "porch", "porch.local": "porch", "Pi_4-b": "Pi_4-b", "küche": "k-che", "a/b+#": "a-b", "": "", "...": "", "é": "",
	} {
		if got := levelOf(host); got != want {
			t.Errorf("levelOf(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestStateDir(t *testing.T) {
	if dir, _ := stateDir(map[string]string{"STATE_DIRECTORY": "/a:/b", "XDG_STATE_HOME": "/x"}); dir != "/a" {
		t.Errorf("under systemd: %s, want /a", dir)
	}
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/home/me"}, "/x/glimpsed"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/glimpsed"},
		{map[string]string{}, systemStateDir},
	} {
		// Whether the system's own folder is taken depends on who runs the test.
		if got, want := userStateDir(tt.env), tt.want; got != want {
			t.Errorf("with %v: %s, want %s", tt.env, got, want)
		}
	}
}

func TestPasswordFile(t *testing.T) {
	secret := write(t, "secret", "hunter2\r\n")
	dir, name := filepath.Split(secret)
	file := filepath.Join(dir, "glimpsed.yaml")
	if err := os.WriteFile(file, []byte("mqtt: {username: me, password_file: secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, tt := range []struct {
		name string
		file string
		env  []string
	}{
		{"absolute", "", []string{"GLIMPSED_MQTT_USERNAME=me", "GLIMPSED_MQTT_PASSWORD_FILE=" + secret}},
		{"beside the file", file, nil},
		{"systemd credential", "", []string{"GLIMPSED_MQTT_USERNAME=me", "GLIMPSED_MQTT_PASSWORD_FILE=" + name, "CREDENTIALS_DIRECTORY=" + dir}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := mustLoad(t, testOptions(t, tt.file, tt.env...))
			if got := l.Config.MQTT.Password; got != "hunter2" {
				t.Errorf("the password is %q", got)
			}
			if len(l.Notices) > 0 {
				t.Errorf("notices: %v", l.Notices)
			}
			noSecret(t, "print", printed(t, l))
		})
	}
	_, err := Load(testOptions(t, file, "CREDENTIALS_DIRECTORY="+empty))
	if want := "reading the password from " + filepath.Join(empty, "secret") + ": no such file or directory"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("a missing credential: got %v, want %s", err, want)
	}
}

package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFiles has one broken file a rule, each with all that Load says of it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(testOptions(t, file))
			var found Findings
			if !errors.As(err, &found) {
				t.Fatalf("Load gave %v, want Findings", err)
			}
			text := strings.ReplaceAll(err.Error(), "testdata/bad/", "") + "\n"
			noSecret(t, "the error", text)
			golden(t, strings.TrimSuffix(file, ".yaml")+".error", text)
		})
	}
}

func TestBadEnvironmentAndFlags(t *testing.T) {
	for _, tt := range []struct {
		name  string
		env   []string
		flags map[string]string
		want  string
	}{
		{"unknown", []string{"GLIMPSED_MQTT_BROKR=x"}, nil,
			"GLIMPSED_MQTT_BROKR: no key has this name in the environment, did you mean GLIMPSED_MQTT_BROKER?"},
		{"unknown in a list", []string{"GLIMPSED_CAMERAS_12_FSP=5"}, nil,
			"GLIMPSED_CAMERAS_12_FSP: no key has this name in the environment, did you mean GLIMPSED_CAMERAS_12_FPS?"},
		{"unknown and far", []string{"GLIMPSED_TELEMETRY=1"}, nil,
			"GLIMPSED_TELEMETRY: no key has this name in the environment; `glimpsed config defaults` lists the keys"},
		{"lower case", []string{"GLIMPSED_mqtt_QOS=1"}, nil,
			"GLIMPSED_mqtt_QOS: no key has this name in the environment, did you mean GLIMPSED_MQTT_QOS?"},
		{"number with zeros", []string{"GLIMPSED_CAMERAS_00_FPS=1"}, nil,
			"GLIMPSED_CAMERAS_00_FPS: no key has this name in the environment; `glimpsed config defaults` lists the keys"},
		{"wrong type", []string{"GLIMPSED_CAMERAS_0_FPS=fast"}, nil,
			`GLIMPSED_CAMERAS_0_FPS: cameras[0].fps: must be a number, got "fast"`},
		{"empty number", []string{"GLIMPSED_CAMERAS_0_FPS="}, nil,
			"GLIMPSED_CAMERAS_0_FPS: cameras[0].fps: must be a number, got nothing"},
		{"out of bounds", []string{"GLIMPSED_MQTT_QOS=3"}, nil,
			"GLIMPSED_MQTT_QOS: mqtt.qos: must be from 0 to 2, got 3"},
		{"not YAML", []string{"GLIMPSED_CAMERAS_0_MASKS=[[["}, nil,
			"GLIMPSED_CAMERAS_0_MASKS: cameras[0].masks: is not YAML: did not find expected node content; check the indentation and the brackets"},
		{"gap in a list", []string{"GLIMPSED_CAMERAS_2_NAME=back"}, nil,
			"GLIMPSED_CAMERAS_2_NAME: cameras[2].name: there is no element 1 to come after"},
		{"new camera without a name", []string{"GLIMPSED_CAMERAS_1_FPS=1"}, nil,
			"GLIMPSED_CAMERAS_1_FPS: cameras[1].name: must be given: it is the camera's topic level"},
		{"secret", []string{"GLIMPSED_MQTT_PASSWORD=***", "GLIMPSED_MQTT_USERNAME=me"}, nil,
			"GLIMPSED_MQTT_PASSWORD: mqtt.password: is the mask that `glimpsed config print` puts over a secret, not the secret"},
		{"rule of a stage", []string{"GLIMPSED_MQTT_BROKER=http://me:hunter2@host"}, nil,
			"GLIMPSED_MQTT_BROKER: mqtt.broker: must begin with tcp://, ssl://, ws:// or wss://, got http://"},
		{"unknown flag", nil, map[string]string{"cameras[0].fsp": "5"},
			`command line: "cameras[0].fsp": unknown key, did you mean fps?`},
		{"flag below a leaf", nil, map[string]string{"device.name": "x"},
			`command line: "device.name": unknown key, did you mean cameras[].name or cameras[].events.groups[].name?`},
		{"flag's type", nil, map[string]string{"cameras.0.fps": "fast"},
			`command line: cameras[0].fps: must be a number, got "fast"`},
		{"all at once, by layer", []string{"GLIMPSED_B=1", "GLIMPSED_A=1"}, map[string]string{"mqtt.qos": "9"},
			"GLIMPSED_A: no key has this name in the environment; `glimpsed config defaults` lists the keys\n" +
				"GLIMPSED_B: no key has this name in the environment; `glimpsed config defaults` lists the keys\n" +
				"command line: mqtt.qos: must be from 0 to 2, got 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := testOptions(t, "", tt.env...)
			opts.Flags = tt.flags
			_, err := Load(opts)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(testOptions(t, "testdata/none.yaml"))
	if want := "testdata/none.yaml: reading the configuration: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("a file that is named: got %v, want %s", err, want)
	}
	_, err = Load(testOptions(t, "testdata"))
	if want := "testdata: reading the configuration: is a directory"; err == nil || err.Error() != want {
		t.Errorf("a folder: got %v, want %s", err, want)
	}
	if l := mustLoad(t, testOptions(t, "")); l.File != "" {
		t.Errorf("the default file, which is missing: File is %q", l.File)
	}
	_, err = Load(testOptions(t, "/dev/zero"))
	if err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a file without an end: got %v", err)
	}
}

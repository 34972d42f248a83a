package board

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake makes a machine of files.
func fake(t *testing.T, files map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return machine(root)
}

const thermal = "class/thermal/"

func TestTemperature(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
		known bool
	}{
		{"none", nil, 0, false},
		{"a Pi", map[string]string{thermal + "thermal_zone0/type": "cpu-thermal\n", thermal + "thermal_zone0/temp": "48312\n"}, 48.312, true},
		{"a PC", map[string]string{
			thermal + "thermal_zone0/type": "acpitz", thermal + "thermal_zone0/temp": "27800",
			thermal + "thermal_zone1/type": "iwlwifi_1", thermal + "thermal_zone1/temp": "60000",
			thermal + "thermal_zone2/type": "x86_pkg_temp", thermal + "thermal_zone2/temp": "71000",
		}, 71, true},
		{"another board", map[string]string{thermal + "thermal_zone0/type": "top", thermal + "thermal_zone0/temp": "-3000"}, -3, true},
		{"nonsense", map[string]string{thermal + "thermal_zone0/type": "top", thermal + "thermal_zone0/temp": "999999999"}, 0, false},
		{"no reading", map[string]string{thermal + "thermal_zone0/type": "top"}, 0, false},
	} {
		if got, known := fake(t, c.files).temperature(); got != c.want || known != c.known {
			t.Errorf("%s: %v, %v", c.name, got, known)
		}
	}
}

func TestThrottled(t *testing.T) {
	const firmware = "devices/platform/soc/soc:firmware/get_throttled"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string // a word of each reason
		known bool
	}{
		{"none", nil, nil, false},
		{"a Pi, well", map[string]string{firmware: "0\n"}, nil, true},
		{"a Pi that was weak once", map[string]string{firmware: "50000\n"}, nil, true},
		{"a weak Pi", map[string]string{firmware: "50005\n"}, []string{"voltage", "lowered"}, true},
		{"a hot Pi", map[string]string{firmware: "0x80008"}, []string{"temperature"}, true},
		{"Debian's kernel on a Pi", map[string]string{
			"class/hwmon/hwmon1/name": "rpi_volt\n", "class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
			"class/hwmon/hwmon0/name": "other", "class/hwmon/hwmon0/in0_lcrit_alarm": "1",
		}, []string{"voltage"}, true},
		{"a cool board", map[string]string{thermal + "cooling_device0/type": "cpufreq-cpu0", thermal + "cooling_device0/cur_state": "0"}, nil, true},
		{"a hot board", map[string]string{
			thermal + "cooling_device0/type": "pwm-fan", thermal + "cooling_device0/cur_state": "3",
			thermal + "cooling_device1/type": "cpufreq-cpu0", thermal + "cooling_device1/cur_state": "2",
			thermal + "cooling_device2/type": "cpufreq-cpu4", thermal + "cooling_device2/cur_state": "1",
		}, []string{"hot"}, true},
	} {
		got, known := fake(t, c.files).throttled()
		if known != c.known || len(got) != len(c.want) {
			t.Errorf("%s: %q, %v", c.name, got, known)
			continue
		}
		for _, word := range c.want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, word) }) {
				t.Errorf("%s: no %s in %q", c.name, word, got)
			}
		}
	}
}

func TestReadingsOfThisMachine(t *testing.T) {
	if c, known := Temperature(); known && (c < -60 || c > 150) {
		t.Errorf("the processor has %v °C", c)
	}
	Throttled() // whatever it says, it comes back
}

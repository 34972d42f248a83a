package board

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// machine is where the kernel shows the machine: "/sys".
type machine string

const sysfs machine = "/sys"

// Temperature is the processor's in degrees Celsius; known is false where the kernel doesn't tell.
func Temperature() (celsius float64, known bool) { return sysfs.temperature() }

// Throttled says why the processor is held back now, a sentence for each reason; known is false on machines
// that can't tell.
func Throttled() (reasons []string, known bool) { return sysfs.throttled() }

// processorZones are thermal zones that are the processor's, the best first.
var processorZones = []string{"cpu-thermal", "cpu_thermal", "x86_pkg_temp", "soc-thermal", "soc_thermal", "cpu0-thermal", "bigcore0-thermal", "acpitz"}

func (m machine) temperature() (float64, bool) {
	best, rank := "", len(processorZones)
	zones, _ := filepath.Glob(string(m) + "/class/thermal/thermal_zone*") // the pattern is a good one
	for _, zone := range zones {
		if r := slices.Index(processorZones, read(zone+"/type")); r >= 0 && r < rank {
			best, rank = zone, r
		}
	}
	if best == "" {
		if len(zones) == 0 {
			return 0, false
		}
		best = zones[0] // the only one on many boards, whatever its name
	}
	milli, err := strconv.Atoi(read(best + "/temp"))
	if err != nil || milli < -100_000 || milli > 200_000 {
		return 0, false
	}
	return float64(milli) / 1000, true
}

// The bits of a Raspberry Pi's firmware that are about now; the same ones 16 bits higher are about the past.
// https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
var piReasons = []string{
	"the voltage is too low: use a stronger power supply, or a shorter cable",
	"its clock is limited by the firmware",
	"its clock is lowered by the firmware",
	"it is near its limit of temperature: cool it",
}

func (m machine) throttled() (reasons []string, known bool) {
	if bits, err := strconv.ParseUint(strings.TrimPrefix(read(string(m)+"/devices/platform/soc/soc:firmware/get_throttled"), "0x"), 16, 64); err == nil {
		for i, reason := range piReasons {
			if bits>>i&1 == 1 {
				reasons = append(reasons, reason)
			}
		}
		return reasons, true
	}
	alarms, _ := filepath.Glob(string(m) + "/class/hwmon/hwmon*/in0_lcrit_alarm")
	for _, alarm := range alarms {
		if read(filepath.Dir(alarm)+"/name") == "rpi_volt" {
			if known = true; read(alarm) == "1" {
				reasons = append(reasons, piReasons[0])
			}
		}
	}
	coolers, _ := filepath.Glob(string(m) + "/class/thermal/cooling_device*")
	for _, cooler := range coolers {
		// Slowing the processor down is one of the kernel's ways to cool it.
		kind := read(cooler + "/type")
		if !strings.Contains(kind, "cpufreq") && kind != "Processor" {
			continue
		}
		known = true
		if state, err := strconv.Atoi(read(cooler + "/cur_state")); err == nil && state > 0 {
			reasons = append(reasons, "it is slowed down since it is hot: cool it")
			break
		}
	}
	return reasons, known
}

// read is a file's content without the white space around it, "" where there is none.
func read(name string) string {
	content, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.Trim(string(content), " \t\r\n\x00")
}

// Package board reads the machine the daemon runs on: its boot, its clock, its
// memory. Everything comes from the kernel; nothing is run and nothing is written.
package board

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BootID is the kernel's random id of this boot, or "" where there is none.
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// ClockSynced says whether the kernel holds the wall clock for synchronised,
// as time daemons tell it (adjtimex(2), STA_UNSYNC). Boards without a clock chip start
// with a time that is wrong by hours or years until then.
func ClockSynced() bool {
	var t unix.Timex // Modes 0: only read
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// Resident is the process's resident memory in bytes.
func Resident() (int64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("reading resident memory: /proc/self/statm holds %q", statm)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// CPUModel is the processor's name as the kernel knows it; on ARM boards that is the board's.
func CPUModel() string {
	if model, err := os.ReadFile("/proc/device-tree/model"); err == nil {
		return strings.TrimRight(string(model), "\x00")
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// SinceExec is how long ago the process was started, which is before any of its
// own code ran. The kernel keeps it in ticks of 10 ms.
func SinceExec() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, fmt.Errorf("reading the process's start: %w", err)
	}
	// The second field is the program's name in brackets and may hold anything;
	// starttime is the 22nd field, the 20th behind it (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("reading the process's start: /proc/self/stat holds %q", stat)
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the process's start: %w", err)
	}
	const userHz = 100 // fixed by the kernel's ABI on every architecture that Go runs on
	return SinceBoot() - time.Duration(ticks)*time.Second/userHz, nil
}

// SinceBoot is the time since the machine was started, its sleep included. Setting the clock
// doesn't change it.
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // the clock exists on every Linux since 2.6.39
	}
	return time.Duration(t.Nano())
}

// CPUTime is the processor time that the whole process has used.
func CPUTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0 // the clock exists on every Linux
	}
	return time.Duration(t.Nano())
}

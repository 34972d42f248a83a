package infertest

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// testNoLeak opens, runs and closes models by the hundred, whether that succeeds or
// fails, and looks for memory and files left behind.
func testNoLeak(t *testing.T, open infer.Opener, opts infer.Options, c Case) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skipf("needs Linux's /proc: %v", err)
	}
	opts.Threads = 2
	data := modelBytes(t, c.Model)
	bad := vision.Model{Name: "cut", Data: data[:len(data)/2]}
	output := make([]byte, c.Out.Bytes())
	cycle := func() {
		it, err := open(c.Model, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := it.Invoke(c.Input, output); err != nil {
			t.Fatal(err)
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := open(bad, opts); err == nil {
			t.Fatal("half a model was opened")
		}
	}
	// Until then the C library's heaps, one a thread, have grown to their size.
	for range 100 {
		cycle()
	}
	before, files := residentKB(t), openFiles(t)
	const cycles = 200
	for range cycles {
		cycle()
	}
	grown := residentKB(t) - before
	t.Logf("resident memory grew by %d kB in %d cycles", grown, cycles)
	// A model's weights, kept each time, would come to hundreds of megabytes.
	if grown > 8<<10 {
		t.Errorf("resident memory grew by %d kB in %d cycles", grown, cycles)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d open files, were %d", now, files)
	}
}

func residentKB(t *testing.T) int {
	t.Helper()
	runtime.GC()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	kb, err := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+)`).FindStringSubmatch(string(status))[1])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

package board

import (
	"testing"
	"time"
)

func TestReadings(t *testing.T) {
	if id := BootID(); len(id) != 36 {
		t.Errorf("BootID() = %q, want a UUID", id)
	}
	rss, err := Resident()
	if err != nil || rss < 1<<20 || rss > 1<<33 {
		t.Errorf("Resident() = %d, %v", rss, err)
	}
	age, err := SinceExec()
	if err != nil || age < 0 || age > time.Hour {
		t.Errorf("SinceExec() = %v, %v", age, err)
	}
	before := CPUTime()
	for x, end := 0, time.Now().Add(20*time.Millisecond); time.Now().Before(end); x++ {
		_ = x * x
	}
	if used := CPUTime() - before; used <= 0 {
		t.Errorf("CPUTime() went from %v by %v over a busy loop", before, used)
	}
}

package outbox

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glimpsed/glimpsed/publish"
)

// smallDisk is a folder on a disk of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getuid() != 0 {
			t.Skipf("needs root to mount a small disk: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	disk := smallDisk(t)
	b, err := Open(Options{Dir: filepath.Join(disk, "outbox"), Sync: 0})
	if err != nil {
		t.Fatal(err)
	}
	m := publish.Message{Topic: "front/result", Payload: bytes.Repeat([]byte("x"), 2000)}
	for range 1500 {
		if _, err := b.Append(m, false); err != nil {
			t.Fatal(err)
		}
	}
	s := b.State()
	if s.Lost+s.Pending != 1500 || s.Pending < 200 {
		t.Errorf("of 1500 messages on a full disk: %+v", s)
	}
	// The newest are those that are kept.
	var last uint64
	n := uint64(0)
	for {
		id, got, ok := b.Next()
		if !ok {
			break
		}
		if !bytes.Equal(got.Payload, m.Payload) {
			t.Fatalf("message %d is another", id)
		}
		last = id
		n++
		b.Done(id)
	}
	if last != 1500 || n != s.Pending {
		t.Errorf("%d messages up to %d, want %d up to 1500", n, last, s.Pending)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A disk that somebody else fills costs what can't be written, and nothing more.
func TestDiskFilledByOthers(t *testing.T) {
	disk := smallDisk(t)
	b, err := Open(Options{Dir: filepath.Join(disk, "outbox"), Sync: 0})
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, 1, 10)
	hog := filepath.Join(disk, "hog")
	fill(t, hog)
	big := publish.Message{Topic: "front/result", Payload: bytes.Repeat([]byte("x"), 200_000)}
	if _, err := b.Append(big, false); err != nil {
		t.Fatal(err)
	}
	if s := b.State(); s.Fault == "" || s.Lost == 0 || s.Since.IsZero() {
		t.Errorf("on a full disk: %+v", s)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	add(t, b, 11, 12)
	if s := b.State(); s.Fault != "" {
		t.Errorf("with room again: %+v", s)
	}
	got := rest(t, b)
	if len(got) < 2 || got[len(got)-2] != 11 || got[len(got)-1] != 12 {
		t.Errorf("got %v", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// fill takes all that is left of a disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

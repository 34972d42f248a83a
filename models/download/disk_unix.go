//go:build linux || darwin

package download

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock takes the file for this process, or says at once that another has it. On
// a file system without locks everybody gets it.
func lock(f *os.File) (free bool) {
	return !errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// freeSpace is what an ordinary user may still write to the disk of path, in bytes.
func freeSpace(path string) (uint64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &s) != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// syncDir makes a rename last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err // EINVAL: a file system that can't sync folders
	}
	return nil
}

//go:build linux || darwin

package models

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFolder waits until no other process changes the folder (shared, for reading) or
// uses it at all. Closing it gives it back.
func lockFolder(root *os.Root, shared bool) (*os.File, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	// A file system without locks is used without.
	_ = unix.Flock(int(d.Fd()), how)
	return d, nil
}

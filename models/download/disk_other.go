//go:build !linux && !darwin

package download

import "os"

func lock(*os.File) bool              { return true }
func freeSpace(string) (uint64, bool) { return 0, false }
func isNoSpace(error) bool            { return false }
func syncDir(string) error            { return nil }

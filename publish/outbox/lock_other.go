//go:build !unix

package outbox

import "os"

func lockFile(*os.File) error { return nil }

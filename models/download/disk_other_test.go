//go:build !linux

package download

import "errors"

func limitFileSize(uint64) error { return errors.ErrUnsupported }

//go:build !linux && !darwin

package models

import "os"

func lockFolder(root *os.Root, _ bool) (*os.File, error) { return root.Open(".") }

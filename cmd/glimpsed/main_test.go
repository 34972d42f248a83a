package main

import (
	"context"
	"os"
	"testing"
)

// TestMain makes the test's own binary stand for glimpsed where a test needs a real
// process: with this variable set it is the program.
func TestMain(m *testing.M) {
	if os.Getenv("GLIMPSED_TEST_PROGRAM") != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, ownStderr()))
	}
	os.Exit(m.Run())
}

// Command glimpsed looks through a camera and says on MQTT what it sees.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glimpsed/glimpsed/config"
	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/publish/broker"
)

// Exit codes, which systemd/glimpsed.service knows: restarting doesn't help after 64 and 78.
const (
	exitDone   = 0
	exitFailed = 1  // failed while running
	exitUsage  = 64 // wrong usage, EX_USAGE of sysexits(3)
	exitConfig = 78 // bad configuration, EX_CONFIG
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, ownStderr()))
}

// ownStderr is standard error under a descriptor of our own: native libraries that write what
// they like to descriptor 2 can then be kept quiet without losing lines of the log.
func ownStderr() *os.File {
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	return os.NewFile(uintptr(fd), "/dev/stderr")
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var findings config.Findings
	var said loggedError
	switch {
	case errors.As(err, &said):
	case errors.As(err, &findings):
		fmt.Fprintln(stderr, err) // each line begins with a place
	default:
		fmt.Fprintf(stderr, "glimpsed: %v\n", err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var findings config.Findings
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &findings), errors.Is(err, daemon.ErrModel), errors.Is(err, broker.ErrPortTaken):
		return exitConfig
	}
	return exitFailed
}

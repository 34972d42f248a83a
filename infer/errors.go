package infer

import "errors"

var (
	// ErrUnavailable is wrapped by an Opener whose runtime cannot be used here at
	// all: not built in, its library missing or of another machine. Whoever chooses a
	// runtime by itself may try the next one.
	ErrUnavailable = errors.New("runtime not available")
	// ErrClosed is wrapped by an Interpreter that is used after its Close.
	ErrClosed = errors.New("interpreter is closed")
)

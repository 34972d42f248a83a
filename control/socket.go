package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// socketName is the socket in the state directory by which a daemon is commanded on its own machine.
const socketName = "control.sock"

// maxConnections bounds those that are served at once.
const maxConnections = 8

// ErrNotRunning says that no daemon listens.
var ErrNotRunning = errors.New("no glimpsed is running")

// Socket is where the owner of a machine commands the daemon that runs on it. A connection carries one command: a line
// with the name and the request, answered by a line.
type Socket struct {
	listener *net.UnixListener
	log      *slog.Logger
}

// Listen makes the socket in a state directory; only its owner may use it. It fails if another daemon has it.
func Listen(stateDir string, log *slog.Logger) (*Socket, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, err
	}
	name, done, err := reach(stateDir)
	if err != nil {
		return nil, err
	}
	defer done()
	if c, err := net.Dial("unix", name); err == nil {
		c.Close()
		return nil, fmt.Errorf("another glimpsed uses the state directory %s already", stateDir)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // of a daemon that was killed
	}
	before := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	unix.Umask(before)
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by a name that is not valid then; Serve removes it
	return &Socket{listener: l, log: log}, nil
}

// reach returns a name of the socket that is short enough for the operating system, whatever the
// directory's is. It is valid until done is called.
func reach(stateDir string) (name string, done func(), err error) {
	dir, err := os.Open(stateDir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName), func() { dir.Close() }, nil
}

// Serve carries out commands until ctx ends. do is as Controller.Do.
func (s *Socket) Serve(ctx context.Context, do func(ctx context.Context, name string, request []byte) []byte) {
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	var serving sync.WaitGroup
	defer serving.Wait()
	slots := make(chan struct{}, maxConnections)
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("taking local commands ended", "error", err)
			}
			return
		}
		select {
		case slots <- struct{}{}:
			serving.Go(func() {
				defer func() { c.Close(); <-slots }()
				s.answer(ctx, c, do)
			})
		default:
			c.Close()
		}
	}
}

// order is one line of a connection.
type order struct {
	Command string          `json:"command"`
	Request json.RawMessage `json:"request,omitempty"`
}

func (s *Socket) answer(ctx context.Context, c net.Conn, do func(context.Context, string, []byte) []byte) {
	_ = c.SetDeadline(time.Now().Add(2 * Timeout))
	line, err := bufio.NewReader(io.LimitReader(c, 2*MaxRequest)).ReadBytes('\n')
	if err != nil {
		return // whoever it was has gone, or says too much
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		fmt.Fprintln(c, `{"id":null,"ok":false,"error":"the command is not a line of JSON"}`)
		return
	}
	if _, err := c.Write(append(do(ctx, o.Command, o.Request), '\n')); err != nil {
		s.log.Debug("answering a local command", "command", o.Command, "error", err)
	}
}

// Ask has the daemon whose state directory it is carry out a command, and decodes what it answers into
// result, which may be nil. An error is ErrNotRunning or what the daemon says.
func Ask(ctx context.Context, stateDir, command string, result any) error {
	c, err := dial(ctx, stateDir)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	line, err := json.Marshal(order{Command: command})
	if err != nil {
		return err
	}
	if _, err := c.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("asking the daemon: %w", err)
	}
	var answer struct {
		OK     bool
		Error  string
		Result json.RawMessage
	}
	if err := json.NewDecoder(c).Decode(&answer); err != nil {
		return fmt.Errorf("the daemon did not answer: %w", err)
	}
	switch {
	case !answer.OK:
		return errors.New(answer.Error)
	case result == nil || answer.Result == nil:
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}

func dial(ctx context.Context, stateDir string) (net.Conn, error) {
	where := filepath.Join(stateDir, socketName)
	name, done, err := reach(stateDir)
	if err == nil {
		defer done()
		var c net.Conn
		if c, err = new(net.Dialer).DialContext(ctx, "unix", name); err == nil {
			return c, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: not allowed; try again with sudo", where)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%w with the state directory %s", ErrNotRunning, stateDir)
	}
	return nil, fmt.Errorf("%s: %w", where, err)
}

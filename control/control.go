// Package control takes commands to a running daemon and answers them, whoever asks. What a command does
// is the daemon's business; which ones are allowed, and that none is malformed, is decided here.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// MaxRequest bounds a command, in bytes; maxID its id.
const (
	MaxRequest = 16 << 10
	maxID      = 256
)

// Timeout is how long a command may take.
const Timeout = 10 * time.Second

// Level says which commands are allowed.
type Level string

// The levels, from none to all. Safe ones leave the daemon running, with the model and the configuration that it has.
const (
	Off  Level = "off"
	Safe Level = "safe"
	All  Level = "all"
)

// Command is something that can be asked for.
type Command struct {
	// Safe commands are allowed at level Safe.
	Safe bool
	// Run does it. args are the request's keys besides id; Decode reads them. What it returns is
	// the answer's result, to be encoded as JSON.
	Run func(ctx context.Context, args json.RawMessage) (any, error)
}

// Controller carries out commands, one at a time.
type Controller struct {
	level    atomic.Value // a Level
	commands map[string]Command
	busy     chan struct{} // has room for the one that runs
}

// New makes a controller.
func New(level Level, commands map[string]Command) *Controller {
	c := &Controller{commands: commands, busy: make(chan struct{}, 1)}
	c.SetLevel(level)
	return c
}

// Level says which commands are allowed now.
func (c *Controller) Level() Level { return c.level.Load().(Level) }

// SetLevel changes that.
func (c *Controller) SetLevel(level Level) { c.level.Store(level) }

// Allowed are the names of the commands that are allowed, sorted.
func (c *Controller) Allowed() []string {
	var out []string
	level := c.Level()
	for _, name := range slices.Sorted(maps.Keys(c.commands)) {
		if level == All || level == Safe && c.commands[name].Safe {
			out = append(out, name)
		}
	}
	return out
}

// Allows says whether a command is allowed.
func (c *Controller) Allows(name string) bool { return slices.Contains(c.Allowed(), name) }

// reply is the answer to a request.
type reply struct {
	ID     json.RawMessage `json:"id"`
	OK     bool            `json:"ok"`
	Error  string          `json:"error,omitempty"`
	Result any             `json:"result,omitempty"`
}

// Do carries out the command of that name and returns the answer, as JSON. A request is empty or a JSON
// object; its id, a string or a number, is part of the answer.
func (c *Controller) Do(ctx context.Context, name string, request []byte) []byte {
	r := reply{ID: json.RawMessage("null")}
	args, err := r.open(request)
	if err == nil {
		r.Result, err = c.run(ctx, name, args)
	}
	if r.OK = err == nil; err != nil {
		r.Result, r.Error = nil, err.Error()
	}
	answer, err := json.Marshal(r)
	if err != nil { // a result that JSON can't hold
		answer, _ = json.Marshal(reply{ID: r.ID, Error: fmt.Sprintf("encoding the answer: %v", err)})
	}
	return answer
}

// open takes a request apart.
func (r *reply) open(request []byte) (args json.RawMessage, err error) {
	if len(request) > MaxRequest {
		return nil, fmt.Errorf("the request has %d bytes, more than %d", len(request), MaxRequest)
	}
	if len(bytes.TrimSpace(request)) == 0 {
		return json.RawMessage("{}"), nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(request, &keys); err != nil || keys == nil {
		return nil, errors.New("the request is not a JSON object")
	}
	if id, given := keys["id"]; given {
		if len(id) > maxID || id[0] == '{' || id[0] == '[' {
			return nil, fmt.Errorf("id must be a string or a number of at most %d bytes", maxID)
		}
		r.ID = id
		delete(keys, "id")
	}
	return json.Marshal(keys)
}

func (c *Controller) run(ctx context.Context, name string, args json.RawMessage) (any, error) {
	command, known := c.commands[name]
	switch {
	case !known:
		return nil, fmt.Errorf("there is no command %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(c.commands)), ", "))
	case !c.Allows(name):
		return nil, fmt.Errorf("%s is not allowed: mqtt.commands is %s", name, c.Level())
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	case <-ctx.Done():
		return nil, errors.New("another command is still being carried out")
	}
	result, err := command.Run(ctx, args)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s was not done within %s", name, Timeout)
	}
	return result, err
}

// word is what JSON calls a type.
func word(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Float64:
		return "number"
	}
	return t.Kind().String()
}

// Decode reads a command's arguments into v, a pointer to a struct. A key that v doesn't have is an error.
func Decode(args json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(args))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("%s must be a %s, got a %s", kind.Field, word(kind.Type), kind.Value)
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the request")
	}
	return nil
}

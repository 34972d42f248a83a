//go:build cgo && linux

package litert

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// Runner runs a float32 model of one input and any number of outputs: a network
// whose inner tensors are looked at, as in calibrating. It is not safe for
// concurrent use but for Close.
type Runner struct {
	*compiled
	values [][]float32
}

// OpenRunner compiles the .tflite file in data, which must not change until
// Close, for the CPU.
func OpenRunner(data []byte, opts infer.Options) (*Runner, error) {
	const what = "model for calibrating"
	if data == nil {
		data = []byte{} // nil would be taken for a path
	}
	c, err := compile(what, vision.Model{Data: data}, opts, func(inputs, outputs int) error {
		if inputs != 1 || outputs == 0 {
			return fmt.Errorf("it has %d inputs and %d outputs, want one input and some outputs", inputs, outputs)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &Runner{compiled: c}
	for _, t := range append([]infer.TensorSpec{c.input}, c.outputs...) {
		if t.DType != infer.Float32 {
			err = errors.Join(err, fmt.Errorf("opening %s: its tensor %q is %v, want float32", what, t.Name, t.DType))
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	for _, t := range c.outputs {
		r.values = append(r.values, make([]float32, t.Bytes()/t.DType.Size()))
	}
	return r, nil
}

// Run takes the input and returns the outputs in the order in which the file's
// subgraph lists them, whatever its signatures say. They are valid until the next Run.
func (r *Runner) Run(input []float32) ([][]float32, error) {
	if want := r.input.Bytes() / r.input.DType.Size(); len(input) != want {
		return nil, fmt.Errorf("running %s: input of %d values, want %d", r.what, len(input), want)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.model == nil {
		return nil, fmt.Errorf("running %s: %w", r.what, infer.ErrClosed)
	}
	if C.gl_run(r.model, unsafe.Pointer(unsafe.SliceData(input)), C.size_t(r.input.Bytes()), &r.failure) != 0 {
		return nil, fmt.Errorf("running %s: %w", r.what, r.failed())
	}
	for i, v := range r.values {
		size := C.size_t(r.outputs[i].Bytes())
		if C.gl_read(r.model, C.size_t(i), unsafe.Pointer(unsafe.SliceData(v)), size, &r.failure) != 0 {
			return nil, fmt.Errorf("running %s: reading output %q: %w", r.what, r.outputs[i].Name, r.failed())
		}
	}
	return r.values, nil
}

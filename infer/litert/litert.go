//go:build cgo && linux

package litert

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Werror=incompatible-pointer-types
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/vision"
)

// library is a loaded libLiteRt.so with its environment.
type library struct {
	c *C.gl_library
	// mu serialises everything that goes through the environment: opening and
	// closing models, not running them.
	mu sync.Mutex
}

func dlopen(path string) (*library, error) {
	C.gl_tame_heap()
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var why [1024]C.char
	c := C.gl_load(cpath, &why[0], C.size_t(len(why)))
	if c == nil {
		return nil, errors.New(C.GoString(&why[0]))
	}
	return &library{c: c}, nil
}

// compiled is one compiled model with its buffers.
type compiled struct {
	lib     *library
	what    string
	input   infer.TensorSpec
	outputs []infer.TensorSpec

	mu    sync.Mutex // guards all below; Close waits for a running model
	model *C.gl_model
	data  modelData
	// failure is where native code reports to, here so that Invoke doesn't allocate.
	failure C.gl_failure
}

// interpreter is a compiled classifier.
type interpreter struct{ *compiled }

// Open compiles a model for the CPU. It must have exactly one input and one
// output, each float32, int8 or uint8. Errors name the model and what to do.
func Open(model vision.Model, opts infer.Options) (infer.Interpreter, error) {
	what := "model " + model.Path
	if model.Path == "" {
		what = "embedded model " + model.Name
	}
	c, err := compile(what, model, opts, func(inputs, outputs int) error {
		if inputs != 1 || outputs != 1 {
			return fmt.Errorf("not a classifier: it has %d inputs and %d outputs instead of one each; use a model that takes one picture and gives one score a label", inputs, outputs)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return interpreter{c}, nil
}

// compile opens a model whose numbers of inputs and outputs are accepted.
func compile(what string, model vision.Model, opts infer.Options, accept func(inputs, outputs int) error) (*compiled, error) {
	path, err := FindLibrary(opts.Library)
	if err != nil {
		return nil, err
	}
	lib, err := load(path)
	if err != nil {
		return nil, err
	}
	data, err := loadModel(model)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	c := &compiled{lib: lib, what: what, data: data}
	threads := opts.Threads
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	if err := c.open(threads, accept); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	return c, nil
}

func (m *compiled) open(threads int, accept func(inputs, outputs int) error) error {
	m.lib.mu.Lock()
	defer m.lib.mu.Unlock()
	m.model = C.gl_open(m.lib.c, unsafe.Pointer(&m.data.bytes[0]), C.size_t(len(m.data.bytes)), &m.failure)
	if m.model == nil {
		return fmt.Errorf("%w: it is cut short or damaged; get the .tflite file again", m.failed())
	}
	var signatures, inputs, outputs C.size_t
	C.gl_counts(m.model, &signatures, &inputs, &outputs)
	if err := accept(int(inputs), int(outputs)); err != nil {
		return err
	}
	var in C.gl_spec
	outs := make([]C.gl_spec, outputs)
	if C.gl_describe(m.model, &in, unsafe.SliceData(outs), &m.failure) != 0 {
		return m.failed()
	}
	// What can't be run is refused by its name before the runtime sees it.
	if err := m.specify(&in, outs); err != nil {
		return err
	}
	if C.gl_compile(m.model, C.int(threads), &in, unsafe.SliceData(outs), &m.failure) != 0 {
		return fmt.Errorf("%w: LiteRT cannot run this model; use one made of TensorFlow Lite's built-in operations", m.failed())
	}
	if err := m.specify(&in, outs); err != nil {
		return err
	}
	if size := int(C.gl_input_size(m.model)); size != m.input.Bytes() {
		return fmt.Errorf("the buffer of its input has %d bytes, the tensor %d", size, m.input.Bytes())
	}
	for i, o := range m.outputs {
		if size := int(C.gl_output_size(m.model, C.size_t(i))); size != o.Bytes() {
			return fmt.Errorf("the buffer of its output %q has %d bytes, the tensor %d", o.Name, size, o.Bytes())
		}
	}
	return nil
}

// specify takes over what native code says of the tensors.
func (m *compiled) specify(in *C.gl_spec, outs []C.gl_spec) (err error) {
	if m.input, err = spec("input", in); err != nil {
		return err
	}
	m.outputs = make([]infer.TensorSpec, len(outs))
	for i := range outs {
		if m.outputs[i], err = spec("output", &outs[i]); err != nil {
			return err
		}
	}
	return nil
}

// elementTypes are LiteRtElementType's values with their names; those with a DType
// can be run.
var elementTypes = map[C.int32_t]struct {
	name     string
	dtype    infer.DType
	runnable bool
}{
	1: {"float32", infer.Float32, true}, 3: {"uint8", infer.Uint8, true}, 9: {"int8", infer.Int8, true},
	0: {name: "no type"}, 2: {name: "int32"}, 4: {name: "int64"}, 5: {name: "string"}, 6: {name: "bool"},
	7: {name: "int16"}, 8: {name: "complex64"}, 10: {name: "float16"}, 11: {name: "float64"}, 12: {name: "complex128"},
	13: {name: "uint64"}, 16: {name: "uint32"}, 17: {name: "uint16"}, 18: {name: "int4"}, 19: {name: "bfloat16"},
}

// quantizations are the values of LiteRtQuantizationTypeId.
var quantizations = [...]string{"none", "for the tensor", "by channel", "by block"}

func spec(role string, c *C.gl_spec) (infer.TensorSpec, error) {
	s := infer.TensorSpec{Name: C.GoString(&c.name[0])}
	element, known := elementTypes[c._type.element_type]
	if !known {
		element.name = fmt.Sprintf("of element type %d", c._type.element_type)
	}
	if !element.runnable {
		return s, fmt.Errorf("its %s %q is %s; glimpsed runs float32, int8 and uint8: convert the model with such an %[1]s", role, s.Name, element.name)
	}
	s.DType = element.dtype
	for i := range int(C.gl_rank(&c._type.layout)) {
		s.Shape = append(s.Shape, int(c._type.layout.dimensions[i]))
	}
	if s.DType == infer.Float32 || c.quantization == 0 {
		return s, nil
	}
	if c.quantization != 1 {
		name := "of an unknown kind"
		if int(c.quantization) < len(quantizations) && c.quantization > 0 {
			name = quantizations[c.quantization]
		}
		return s, fmt.Errorf("its %s %q is quantised %s; glimpsed needs one scale for the whole tensor", role, s.Name, name)
	}
	s.Scale = float32(c.per_tensor.scale)
	s.ZeroPoint = int(c.per_tensor.zero_point)
	if !(s.Scale > 0) || math.IsInf(float64(s.Scale), 0) || s.ZeroPoint < -128 || s.ZeroPoint > 255 {
		return s, fmt.Errorf("its %s %q has an impossible quantisation (scale %g, zero point %d)", role, s.Name, s.Scale, s.ZeroPoint)
	}
	return s, nil
}

// statuses are the values of LiteRtStatus that opening and running can come to.
var statuses = map[int]string{
	1: "invalid argument", 2: "out of memory", 3: "runtime failure", 4: "missing input tensor", 5: "unsupported",
	6: "not found", 8: "wrong version", 9: "unknown error", 500: "file error", 501: "invalid flatbuffer",
	502: "dynamic loading failed", 504: "compilation failed", 1000: "index out of bounds", 1001: "invalid type",
	1002: "invalid graph", 4000: "unsupported runtime version",
}

// failed puts what native code reported into words.
func (m *compiled) failed() error {
	name := statuses[int(m.failure.status)]
	if name == "" {
		name = "failed"
	}
	text := fmt.Sprintf("%s: %s (status %d)", C.GoString(m.failure.call), name, int(m.failure.status))
	if detail := strings.Join(strings.FieldsFunc(C.GoString(&m.failure.detail[0]), func(r rune) bool { return r == '\n' }), " / "); detail != "" {
		text += ": " + detail
	}
	return errors.New(text)
}

func (it interpreter) Input() infer.TensorSpec  { return it.input }
func (it interpreter) Output() infer.TensorSpec { return it.outputs[0] }

// Invoke runs the model.
func (it interpreter) Invoke(input, output []byte) error {
	if len(input) != it.input.Bytes() || len(output) != it.outputs[0].Bytes() {
		return fmt.Errorf("running %s: input of %d and output of %d bytes, want %d and %d",
			it.what, len(input), len(output), it.input.Bytes(), it.outputs[0].Bytes())
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.model == nil {
		return fmt.Errorf("running %s: %w", it.what, infer.ErrClosed)
	}
	status := C.gl_invoke(it.model, unsafe.Pointer(unsafe.SliceData(input)), C.size_t(len(input)),
		unsafe.Pointer(unsafe.SliceData(output)), C.size_t(len(output)), &it.failure)
	if status != 0 {
		return fmt.Errorf("running %s: %w", it.what, it.failed())
	}
	return nil
}

// Close frees the model. It may be called again.
func (m *compiled) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lib.mu.Lock()
	defer m.lib.mu.Unlock()
	if m.model != nil {
		C.gl_close(m.model)
		C.gl_trim()
		m.model = nil
	}
	if m.data.release != nil {
		m.data.release()
		m.data = modelData{}
	}
	return nil
}

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
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var why [1024]C.char
	c := C.gl_load(cpath, &why[0], C.size_t(len(why)))
	if c == nil {
		return nil, errors.New(C.GoString(&why[0]))
	}
	return &library{c: c}, nil
}

// interpreter is one compiled model with its buffers.
type interpreter struct {
	lib           *library
	what          string
	input, output infer.TensorSpec

	mu    sync.Mutex // guards all below; Close waits for a running Invoke
	model *C.gl_model
	data  modelData
	// failure is where native code reports to, here so that Invoke doesn't allocate.
	failure C.gl_failure
}

// Open compiles a model for the CPU. It must have exactly one input and one
// output, each float32, int8 or uint8. Errors name the model and what to do.
func Open(model vision.Model, opts infer.Options) (infer.Interpreter, error) {
	what := "model " + model.Path
	if model.Path == "" {
		what = "embedded model " + model.Name
	}
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
	it := &interpreter{lib: lib, what: what, data: data}
	threads := opts.Threads
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	if err := it.open(threads); err != nil {
		_ = it.Close()
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	return it, nil
}

func (it *interpreter) open(threads int) error {
	it.lib.mu.Lock()
	defer it.lib.mu.Unlock()
	it.model = C.gl_open(it.lib.c, unsafe.Pointer(&it.data.bytes[0]), C.size_t(len(it.data.bytes)), &it.failure)
	if it.model == nil {
		return fmt.Errorf("%w: it is cut short or damaged; get the .tflite file again", it.failed())
	}
	var signatures, inputs, outputs C.size_t
	C.gl_counts(it.model, &signatures, &inputs, &outputs)
	if inputs != 1 || outputs != 1 {
		return fmt.Errorf("not a classifier: it has %d inputs and %d outputs instead of one each; use a model that takes one picture and gives one score a label", inputs, outputs)
	}
	var in, out C.gl_spec
	if C.gl_describe(it.model, &in, &out, &it.failure) != 0 {
		return it.failed()
	}
	// What can't be run is refused by its name before the runtime sees it.
	if _, err := spec("input", &in); err != nil {
		return err
	}
	if _, err := spec("output", &out); err != nil {
		return err
	}
	if C.gl_compile(it.model, C.int(threads), &in, &out, &it.failure) != 0 {
		return fmt.Errorf("%w: LiteRT cannot run this model; use one made of TensorFlow Lite's built-in operations", it.failed())
	}
	it.input, _ = spec("input", &in)
	it.output, _ = spec("output", &out)
	var inLen, outLen C.size_t
	C.gl_buffer_sizes(it.model, &inLen, &outLen)
	if it.input.Bytes() != int(inLen) || it.output.Bytes() != int(outLen) {
		return fmt.Errorf("its buffers have %d and %d bytes, its tensors %d and %d", inLen, outLen, it.input.Bytes(), it.output.Bytes())
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
func (it *interpreter) failed() error {
	name := statuses[int(it.failure.status)]
	if name == "" {
		name = "failed"
	}
	text := fmt.Sprintf("%s: %s (status %d)", C.GoString(it.failure.call), name, int(it.failure.status))
	if detail := strings.Join(strings.FieldsFunc(C.GoString(&it.failure.detail[0]), func(r rune) bool { return r == '\n' }), " / "); detail != "" {
		text += ": " + detail
	}
	return errors.New(text)
}

func (it *interpreter) Input() infer.TensorSpec  { return it.input }
func (it *interpreter) Output() infer.TensorSpec { return it.output }

// Invoke runs the model.
func (it *interpreter) Invoke(input, output []byte) error {
	if len(input) != it.input.Bytes() || len(output) != it.output.Bytes() {
		return fmt.Errorf("running %s: input of %d and output of %d bytes, want %d and %d",
			it.what, len(input), len(output), it.input.Bytes(), it.output.Bytes())
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
func (it *interpreter) Close() error {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.lib.mu.Lock()
	defer it.lib.mu.Unlock()
	if it.model != nil {
		C.gl_close(it.model)
		it.model = nil
	}
	if it.data.release != nil {
		it.data.release()
		it.data = modelData{}
	}
	return nil
}

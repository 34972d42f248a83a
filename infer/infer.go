// Package infer turns a picture into labels: preprocess, run the model,
// dequantise, take the best. The runtimes are leaves behind Interpreter.
package infer

import (
	"fmt"

	"github.com/glimpsed/glimpsed/vision"
)

// DType is a tensor's element type.
type DType uint8

// The element types that classifiers have.
const (
	Float32 DType = iota
	Int8
	Uint8
)

// Size is an element's length in bytes.
func (d DType) Size() int {
	if d == Float32 {
		return 4
	}
	return 1
}

func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Int8:
		return "int8"
	case Uint8:
		return "uint8"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// TensorSpec describes one tensor. A quantised element q stands for the real
// value Scale * (q - ZeroPoint).
type TensorSpec struct {
	Name  string
	Shape []int
	DType DType
	// Scale is 0 for tensors that aren't quantised.
	Scale     float32
	ZeroPoint int
}

// Bytes is the tensor's length in bytes.
func (t TensorSpec) Bytes() int {
	n := t.DType.Size()
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Interpreter runs one model with one input and one output. It has a single
// owner and isn't safe for concurrent use; Share makes one that is.
type Interpreter interface {
	Input() TensorSpec
	Output() TensorSpec
	// Invoke runs the model on input and fills output; both have exactly the
	// length their spec says, in the machine's byte order.
	Invoke(input, output []byte) error
	Close() error
}

// Options are what a runtime may be told about running a model.
type Options struct {
	// Threads is the number of CPU threads; 0: one a core.
	Threads int
	// Library is the runtime's shared library; empty: looked for beside the
	// binary, then where packages put it.
	Library string
}

// Opener makes an interpreter of one runtime for a model.
type Opener func(model vision.Model, opts Options) (Interpreter, error)

// Config is the stage's part of the configuration.
type Config struct {
	// Runtime is "auto" or a runtime's name.
	Runtime string
	Threads int
	// Top is how many classifications a result holds.
	Top     int
	Library string
}

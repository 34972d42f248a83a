package models

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/glimpsed/glimpsed/models/tflite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tiny describes a classifier of a few kilobytes.
type tiny struct {
	in, out tflite.TensorType
	outputs int
	// outQuant is the output's quantisation; last are the operators behind the scores.
	outQuant tflite.Quantization
	last     []tflite.Op
	meta     tflite.Metadata
	// input is the input's shape, [1 32 40 3] by default.
	input []int
}

// model makes the file of it. Nobody runs it: only its words count here.
func (c tiny) model(t *testing.T) []byte {
	t.Helper()
	if c.outputs == 0 {
		c.outputs = 4
	}
	if c.input == nil {
		c.input = []int{1, 32, 40, 3}
	}
	scores := []int{1, c.outputs}
	m := &tflite.Model{
		Name: "tiny",
		Tensors: []tflite.Tensor{
			{Name: "in", Type: c.in, Shape: c.input},
			{Name: "weights", Type: tflite.Float32, Shape: []int{c.outputs, 3}, Data: make([]byte, c.outputs*3*4)},
			{Name: "scores", Type: c.out, Shape: scores},
		},
		Operators: []tflite.Operator{{Op: tflite.FullyConnected, Inputs: []int{0, 1, -1}, Outputs: []int{2}}},
		Inputs:    []int{0}, Outputs: []int{2},
	}
	for _, op := range c.last {
		m.Tensors = append(m.Tensors, tflite.Tensor{Name: op.String(), Type: c.out, Shape: scores})
		last := len(m.Tensors) - 1
		m.Operators = append(m.Operators, tflite.Operator{Op: op, Inputs: []int{m.Outputs[0]}, Outputs: []int{last}})
		m.Outputs = []int{last}
	}
	m.Tensors[m.Outputs[0]].Quant = c.outQuant
	marshal := m.Marshal
	if len(c.meta.Labels) > 0 || len(c.meta.Mean) > 0 {
		marshal = func() ([]byte, error) { return m.MarshalWith(c.meta) }
	}
	data, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shared finds a file of the data that lies beside the repository.
func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("GLIMPSED_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("needs ../shared: %s is not there", name)
	}
	return path
}

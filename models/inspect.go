package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glimpsed/glimpsed/models/tflite"
)

// Inspection describes a .tflite file.
type Inspection struct {
	// Path is empty for the embedded model.
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
	// Parameters counts the numbers in weights and biases, MACs the multiply-accumulates for a picture.
	Parameters int64 `json:"parameters"`
	MACs       int64 `json:"macs"`
	// Quantisation sums up how weights and activations are stored.
	Quantisation string      `json:"quantisation"`
	Input        TensorInfo  `json:"input"`
	Output       TensorInfo  `json:"output"`
	Layers       []LayerInfo `json:"layers"`
	// Delegated counts the layers that XNNPACK takes over, LiteRT's fast kernels for the CPU; the
	// others run on slower reference kernels. It follows from XNNPACK's rules on operators and types.
	Delegated int  `json:"delegated"`
	Logits    bool `json:"logits"`
	// WhyLogits says how Logits was found out.
	WhyLogits string `json:"logits_because"`
	// Labels, Mean, Std and the texts are from the file's metadata.
	Labels      []string  `json:"labels,omitempty"`
	Mean        []float32 `json:"mean,omitempty"`
	Std         []float32 `json:"std,omitempty"`
	Name        string    `json:"name,omitempty"`
	Description string    `json:"description,omitempty"`
	License     string    `json:"license,omitempty"`
}

// TensorInfo describes a tensor; Scale is 0 where it isn't quantised.
type TensorInfo struct {
	Name      string  `json:"name"`
	Type      string  `json:"type"`
	Shape     []int   `json:"shape"`
	Scale     float32 `json:"scale,omitempty"`
	ZeroPoint int64   `json:"zero_point,omitempty"`
}

// LayerInfo describes an operator.
type LayerInfo struct {
	Op         string `json:"op"`
	Activation string `json:"activation,omitempty"`
	// Shape and Type are the output's; Kernel is the filter's shape where there is one.
	Shape  []int  `json:"shape"`
	Type   string `json:"type"`
	Kernel []int  `json:"kernel,omitempty"`
	// Weights says how the filter is stored: "int8 per channel", "float32", ...
	Weights    string `json:"weights,omitempty"`
	Parameters int64  `json:"parameters,omitempty"`
	MACs       int64  `json:"macs,omitempty"`
	// Undelegated says why XNNPACK leaves the operator to others; empty: it doesn't.
	Undelegated string `json:"undelegated,omitempty"`
}

// Inspect looks into a model: a file by its path, or an installed or embedded model by its name.
func Inspect(ref string, store *Store) (Inspection, error) {
	path, what := ref, "model "+ref
	if !isPath(ref) {
		m, err := resolveName(ref, store)
		if err != nil {
			return Inspection{}, err
		}
		if m.Data != nil {
			return inspect(what, "", m.Data)
		}
		path = m.Path
	}
	data, err := readModel(path)
	if err != nil {
		return Inspection{}, err
	}
	return inspect(what, path, data)
}

func inspect(what, path string, data []byte) (Inspection, error) {
	p, err := probeModel(data)
	if err != nil {
		return Inspection{}, fmt.Errorf("%s: %w", what, err)
	}
	m := p.model
	out := Inspection{
		Path: path, SHA256: hashOf(data), Bytes: len(data),
		Input: tensorInfo(&m.Tensors[m.Inputs[0]]), Output: tensorInfo(&m.Tensors[m.Outputs[0]]),
		Logits: p.logits, WhyLogits: p.why,
		Labels: p.meta.Labels, Mean: p.meta.Mean, Std: p.meta.Std,
		Name: p.meta.Name, Description: p.meta.Description, License: p.meta.License,
	}
	counted := map[int]bool{}
	for _, op := range m.Operators {
		l := layerInfo(m, op, counted)
		out.Parameters += l.Parameters
		out.MACs += l.MACs
		if l.Undelegated == "" {
			out.Delegated++
		}
		out.Layers = append(out.Layers, l)
	}
	out.Quantisation = quantisationOf(m, out.Layers)
	return out, nil
}

func tensorInfo(t *tflite.Tensor) TensorInfo {
	info := TensorInfo{Name: t.Name, Type: t.Type.String(), Shape: t.Shape}
	if len(t.Quant.Scale) == 1 {
		info.Scale, info.ZeroPoint = t.Quant.Scale[0], t.Quant.ZeroPoint[0]
	}
	return info
}

// layerInfo describes op; counted holds the constants that an earlier one has counted.
func layerInfo(m *tflite.Model, op tflite.Operator, counted map[int]bool) LayerInfo {
	l := LayerInfo{Op: op.Op.String(), Activation: activationOf(op.Options)}
	if op.CustomCode != "" {
		l.Op = "CUSTOM " + op.CustomCode
	}
	if len(op.Outputs) > 0 {
		out := &m.Tensors[op.Outputs[0]]
		l.Shape, l.Type = out.Shape, out.Type.String()
	}
	for i, index := range op.Inputs {
		if index < 0 {
			continue
		}
		t := &m.Tensors[index]
		// Shapes, axes and paddings are constants too, but no parameters.
		if t.Data == nil || !hasFilter(op.Op) && t.Type == tflite.Int32 || t.Type == tflite.Int64 {
			continue
		}
		if !counted[index] {
			counted[index] = true
			l.Parameters += int64(t.Elements())
		}
		if i == 1 && hasFilter(op.Op) {
			l.Kernel, l.Weights = t.Shape, storageOf(t)
			l.MACs = macs(op, l.Shape, t.Shape)
		}
	}
	l.Undelegated = undelegated(m, op)
	return l
}

func hasFilter(op tflite.Op) bool {
	return op == tflite.Conv2D || op == tflite.DepthwiseConv2D || op == tflite.FullyConnected
}

func macs(op tflite.Operator, out, filter []int) int64 {
	n := product(out)
	switch {
	case op.Op == tflite.FullyConnected && len(filter) == 2:
		return n * int64(filter[1])
	case op.Op == tflite.Conv2D && len(filter) == 4:
		return n * product(filter[1:])
	case op.Op == tflite.DepthwiseConv2D && len(filter) == 4:
		return n * product(filter[1:3])
	}
	return 0
}

func product(shape []int) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	return n
}

func storageOf(t *tflite.Tensor) string {
	switch len(t.Quant.Scale) {
	case 0:
		return t.Type.String()
	case 1:
		return t.Type.String() + " per tensor"
	}
	return t.Type.String() + " per channel"
}

func activationOf(options any) string {
	var a tflite.Activation
	switch o := options.(type) {
	case tflite.ConvOptions:
		a = o.Activation
	case tflite.PoolOptions:
		a = o.Activation
	case tflite.ActivationOptions:
		a = o.Activation
	case tflite.ConcatOptions:
		a = o.Activation
	}
	return a.String()
}

// quantisationOf sums up a model in a few words.
func quantisationOf(m *tflite.Model, layers []LayerInfo) string {
	var weights, activations []string
	note := func(list *[]string, what string) {
		if what != "" && !slices.Contains(*list, what) {
			*list = append(*list, what)
		}
	}
	for i, l := range layers {
		note(&weights, l.Weights)
		if out := m.Operators[i].Outputs; len(out) > 0 {
			note(&activations, m.Tensors[out[0]].Type.String())
		}
	}
	if len(weights) == 0 {
		weights = []string{"none"}
	}
	return fmt.Sprintf("weights %s; activations %s", strings.Join(weights, ", "), strings.Join(activations, ", "))
}

// What XNNPACK's delegate takes (tflite/delegates/xnnpack in google-ai-edge/LiteRT, at
// the version of the runtime used here): some operators in floating point only.
var (
	delegatedAny = []tflite.Op{
		tflite.Add, tflite.Sub, tflite.Mul, tflite.Concatenation, tflite.Conv2D, tflite.DepthwiseConv2D, tflite.FullyConnected,
		tflite.MaxPool2D, tflite.Mean, tflite.Pad, tflite.Reshape, tflite.Slice, tflite.Transpose, tflite.Logistic,
		tflite.Quantize, tflite.Dequantize,
	}
	delegatedFloat = []tflite.Op{tflite.AveragePool2D, tflite.Softmax, tflite.Relu, tflite.Relu6, tflite.HardSwish}
)

// undelegated says why XNNPACK doesn't take an operator, "" if it does.
func undelegated(m *tflite.Model, op tflite.Operator) string {
	float := slices.Contains(delegatedFloat, op.Op)
	if !float && !slices.Contains(delegatedAny, op.Op) {
		return "XNNPACK has no such operator"
	}
	for _, index := range op.Outputs {
		switch t := &m.Tensors[index]; t.Type {
		case tflite.Float32:
		case tflite.Int8, tflite.Uint8:
			if float {
				return "XNNPACK has it in floating point only"
			}
		default:
			return "XNNPACK doesn't compute in " + t.Type.String()
		}
	}
	if o, ok := op.Options.(tflite.SoftmaxOptions); ok && o.Beta != 1 {
		return "XNNPACK's softmax has a beta of 1 only"
	}
	return ""
}

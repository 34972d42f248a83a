package models

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// parameter is an entry of a state_dict.
type parameter struct {
	name  string
	shape []int
}

// shuffleNet lists what torchvision's ShuffleNet V2 1.0x is made of: the smallest network of the catalogue.
func shuffleNet(classes int) []parameter {
	var list []parameter
	add := func(name string, shape ...int) { list = append(list, parameter{name, shape}) }
	norm := func(name string, channels int) {
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(name+"."+part, channels)
		}
	}
	conv := func(name string, out, in, size int) { add(name+".weight", out, in, size, size) }
	conv("conv1.0", 24, 3, 3)
	norm("conv1.1", 24)
	in := 24
	for stage, out := range []int{116, 232, 464} {
		half := out / 2
		for block := range []int{4, 8, 4}[stage] {
			name := fmt.Sprintf("stage%d.%d", stage+2, block)
			branch := half
			if block == 0 {
				branch = in
				conv(name+".branch1.0", in, 1, 3)
				norm(name+".branch1.1", in)
				conv(name+".branch1.2", half, in, 1)
				norm(name+".branch1.3", half)
			}
			conv(name+".branch2.0", half, branch, 1)
			norm(name+".branch2.1", half)
			conv(name+".branch2.3", half, 1, 3)
			norm(name+".branch2.4", half)
			conv(name+".branch2.5", half, half, 1)
			norm(name+".branch2.6", half)
		}
		in = out
	}
	conv("conv5.0", 1024, in, 1)
	norm("conv5.1", 1024)
	add("fc.weight", classes, 1024)
	add("fc.bias", classes)
	return list
}

// stateDict writes a PyTorch file (a zip archive with a pickle, protocol 2) with random weights.
func stateDict(t *testing.T, list []parameter) []byte {
	t.Helper()
	var file, p bytes.Buffer
	z := zip.NewWriter(&file)
	entry := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	number := func(n int) { p.WriteByte('J'); _ = binary.Write(&p, binary.LittleEndian, int32(n)) }
	text := func(s string) {
		p.WriteByte('X')
		_ = binary.Write(&p, binary.LittleEndian, int32(len(s)))
		p.WriteString(s)
	}
	const ordered = "ccollections\nOrderedDict\n)R"
	rng := rand.New(rand.NewPCG(1, 2))

	p.WriteString("\x80\x02" + ordered + "(")
	for i, param := range list {
		elements := 1
		strides := make([]int, len(param.shape))
		for d := len(param.shape) - 1; d >= 0; d-- {
			strides[d] = elements
			elements *= param.shape[d]
		}
		text(param.name)
		p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text("storage")
		p.WriteString("ctorch\nFloatStorage\n")
		text(fmt.Sprint(i))
		text("cpu")
		number(elements)
		p.WriteString("tQ")
		number(0)
		for _, dims := range [][]int{param.shape, strides} {
			p.WriteByte('(')
			for _, d := range dims {
				number(d)
			}
			p.WriteByte('t')
		}
		p.WriteString("\x89" + ordered + "tR")

		fan := max(1, elements/param.shape[0])
		data := make([]byte, 0, 4*elements)
		for range elements {
			v := rng.NormFloat64() * math.Sqrt(2/float64(fan))
			switch {
			case strings.HasSuffix(param.name, "running_var"), len(param.shape) == 1 && strings.HasSuffix(param.name, "weight"):
				v = 0.5 + rng.Float64()
			case len(param.shape) == 1:
				v = rng.NormFloat64() / 10
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		entry(fmt.Sprintf("data/%d", i), data)
	}
	p.WriteString("u.")
	entry("data.pkl", p.Bytes())
	entry("version", []byte("3\n"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

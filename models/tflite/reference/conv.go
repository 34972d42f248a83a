package reference

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/glimpsed/glimpsed/models/tflite"
)

// window is the geometry of an operator that looks at height×width inputs for
// each output. Inputs outside the picture count as zero, or not at all for a
// maximum.
type window struct {
	inH, inW, outH, outW, channels int
	height, width                  int
	strideH, strideW               int
	top, left                      int
}

// maxWindow bounds a window's sides; the largest of known classifiers is 11.
const maxWindow = 64

func newWindow(in, out []int, height, width, strideH, strideW int, padding tflite.Padding) (window, error) {
	if len(in) != 4 || len(out) != 4 || in[0] != 1 || out[0] != 1 {
		return window{}, fmt.Errorf("shapes %v to %v are not of one picture", in, out)
	}
	if height < 1 || width < 1 || strideH < 1 || strideW < 1 || in[1] < 1 || in[2] < 1 || in[3] < 1 {
		return window{}, errors.New("an empty window or picture")
	}
	if height > maxWindow || width > maxWindow {
		return window{}, fmt.Errorf("a window of %d×%d", height, width)
	}
	w := window{
		inH: in[1], inW: in[2], outH: out[1], outW: out[2], channels: in[3],
		height: height, width: width, strideH: strideH, strideW: strideW,
	}
	size := func(in, kernel, stride int) (out, before int) {
		if padding == tflite.Same {
			out = (in + stride - 1) / stride
			return out, max(0, (out-1)*stride+kernel-in) / 2
		}
		return max(0, (in-kernel+stride)/stride), 0
	}
	var outH, outW int
	outH, w.top = size(w.inH, height, strideH)
	outW, w.left = size(w.inW, width, strideW)
	if outH != w.outH || outW != w.outW {
		return window{}, fmt.Errorf("output %v should be %d×%d", out, outH, outW)
	}
	return w, nil
}

func (w window) maxPool(x, out []float32) {
	parallel(w.outH, func(row int) {
		for col := range w.outW {
			to := out[(row*w.outW+col)*w.channels:][:w.channels]
			first := true
			w.each(row, col, func(_, at int) {
				from := x[at:][:w.channels]
				if first {
					copy(to, from)
					first = false
					return
				}
				for c, v := range from {
					to[c] = max(to[c], v)
				}
			})
		}
	})
}

// each calls f for the places of a window that lie in the picture, with their
// index in the window and where in the input they are.
func (w window) each(row, col int, f func(k, at int)) {
	for i := range w.height {
		y := row*w.strideH - w.top + i
		if y < 0 || y >= w.inH {
			continue
		}
		for j := range w.width {
			x := col*w.strideW - w.left + j
			if x >= 0 && x < w.inW {
				f(i*w.width+j, (y*w.inW+x)*w.channels)
			}
		}
	}
}

func (it *Interpreter) prepareConv(op tflite.Operator, x, out *tflite.Tensor) (step, error) {
	o, ok := op.Options.(tflite.ConvOptions)
	if !ok || o.DilationW != 1 || o.DilationH != 1 {
		return nil, errors.New("options are missing or dilated")
	}
	filter := it.model.Tensors[op.Inputs[1]].Shape
	if len(filter) != 4 || len(x.Shape) != 4 || len(out.Shape) != 4 {
		return nil, shapeError(x, out)
	}
	w, err := newWindow(x.Shape, out.Shape, filter[1], filter[2], o.StrideH, o.StrideW, o.Padding)
	if err != nil {
		return nil, err
	}
	weights, err := it.constant(op.Inputs[1])
	if err != nil {
		return nil, err
	}
	bias, err := it.constant(op.Inputs[2])
	if err != nil {
		return nil, err
	}
	channels := out.Shape[3]
	want := []int{channels, x.Shape[3]}
	if op.Op == tflite.DepthwiseConv2D {
		want = []int{1, x.Shape[3]}
		if channels != x.Shape[3] {
			return nil, shapeError(x, out)
		}
	}
	if filter[0] != want[0] || filter[3] != want[1] || len(bias) != channels {
		return nil, fmt.Errorf("filter %v and %d biases for %d channels", filter, len(bias), channels)
	}
	run := w.convolve
	if op.Op == tflite.DepthwiseConv2D {
		run = w.depthwise
	}
	return func(out []float32) {
		run(it.values[op.Inputs[0]], weights, bias, out)
		activate(out, o.Activation)
	}, nil
}

func (w window) depthwise(x, weights, bias, out []float32) {
	parallel(w.outH, func(row int) {
		for col := range w.outW {
			to := out[(row*w.outW+col)*w.channels:][:w.channels]
			copy(to, bias)
			w.each(row, col, func(k, at int) {
				from, factor := x[at:][:len(to)], weights[k*w.channels:][:len(to)]
				for c, v := range from {
					to[c] += v * factor[c]
				}
			})
		}
	})
}

// convolve gathers the windows of a row of outputs side by side (im2col) and
// multiplies them with the filters.
func (w window) convolve(x, weights, bias, out []float32) {
	depth := w.height * w.width * w.channels
	var patches sync.Pool
	parallel(w.outH, func(row int) {
		patch, _ := patches.Get().([]float32)
		if patch == nil {
			patch = make([]float32, w.outW*depth)
		}
		clear(patch)
		for col := range w.outW {
			to := patch[col*depth:][:depth]
			w.each(row, col, func(k, at int) {
				copy(to[k*w.channels:][:w.channels], x[at:])
			})
		}
		multiply(patch, weights, bias, out[row*w.outW*len(bias):][:w.outW*len(bias)], depth)
		patches.Put(patch) //nolint:staticcheck // a slice header a row costs nothing here
	})
}

// multiply computes out[p][c] = bias[c] + Σ patch[p][k]·weights[c][k], in blocks
// of 4 by 2 whose sums stay in registers.
func multiply(patch, weights, bias, out []float32, depth int) {
	pixels, channels := len(patch)/depth, len(bias)
	p := 0
	for ; p+4 <= pixels; p += 4 {
		a0, a1 := patch[p*depth:][:depth], patch[(p+1)*depth:][:depth]
		a2, a3 := patch[(p+2)*depth:][:depth], patch[(p+3)*depth:][:depth]
		c := 0
		for ; c+2 <= channels; c += 2 {
			b0, b1 := weights[c*depth:][:depth], weights[(c+1)*depth:][:depth]
			var s00, s10, s20, s30, s01, s11, s21, s31 float32
			for k := range depth {
				u, v := b0[k], b1[k]
				s00 += a0[k] * u
				s01 += a0[k] * v
				s10 += a1[k] * u
				s11 += a1[k] * v
				s20 += a2[k] * u
				s21 += a2[k] * v
				s30 += a3[k] * u
				s31 += a3[k] * v
			}
			at := p*channels + c
			out[at], out[at+1] = bias[c]+s00, bias[c+1]+s01
			at += channels
			out[at], out[at+1] = bias[c]+s10, bias[c+1]+s11
			at += channels
			out[at], out[at+1] = bias[c]+s20, bias[c+1]+s21
			at += channels
			out[at], out[at+1] = bias[c]+s30, bias[c+1]+s31
		}
		for ; c < channels; c++ {
			for i, a := range [][]float32{a0, a1, a2, a3} {
				out[(p+i)*channels+c] = bias[c] + dot(a, weights[c*depth:][:depth])
			}
		}
	}
	for ; p < pixels; p++ {
		for c := range channels {
			out[p*channels+c] = bias[c] + dot(patch[p*depth:][:depth], weights[c*depth:][:depth])
		}
	}
}

func dot(a, b []float32) float32 {
	var sum float32
	b = b[:len(a)]
	for k, v := range a {
		sum += v * b[k]
	}
	return sum
}

// parallel calls f for 0 to n−1 on all processors.
func parallel(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

package infer

import (
	"bytes"
	"math"
	"testing"

	"github.com/glimpsed/glimpsed/vision"
)

var (
	imagenet = vision.Preprocessing{Mean: [3]float32{123.675, 116.28, 103.53}, Std: [3]float32{58.395, 57.12, 57.375}}
	// fromTensor leaves everything to the input tensor.
	fromTensor = vision.Preprocessing{}
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		name string
		p    vision.Preprocessing
		in   TensorSpec
		rgb  [3]byte
		want []byte
	}{
		{"uint8 as the tensor says", fromTensor, TensorSpec{DType: Uint8, Scale: 1.0 / 128, ZeroPoint: 128}, [3]byte{0, 128, 255}, []byte{0, 128, 255}},
		{"uint8 of another scale", fromTensor, TensorSpec{DType: Uint8, Scale: 0.0078431, ZeroPoint: 127}, [3]byte{1, 2, 3}, []byte{1, 2, 3}},
		{"int8 as the tensor says", fromTensor, TensorSpec{DType: Int8, Scale: 1.0 / 128}, [3]byte{0, 128, 255}, []byte{0x80, 0, 0x7f}},
		{"float32 without numbers", fromTensor, TensorSpec{}, [3]byte{0, 255, 51}, floats(-1, 1, -0.6)},
		{"float32", imagenet, TensorSpec{}, [3]byte{0, 255, 100}, floats(-123.675/58.395, (255-116.28)/57.12, (100-103.53)/57.375)},
		// 0: -2.1179 / 0.02 - 14 = -119.9; 255: 2.4286 / 0.02 - 14 = 107.4; 100: -0.0615 / 0.02 - 14 = -17.1
		{"int8", imagenet, TensorSpec{DType: Int8, Scale: 0.02, ZeroPoint: -14}, [3]byte{0, 255, 100}, []byte{0x88, 107, 0xef}},
		{"int8 clamps", imagenet, TensorSpec{DType: Int8, Scale: 0.001}, [3]byte{0, 255, 104}, []byte{0x80, 0x7f, 8}},
		{"uint8", imagenet, TensorSpec{DType: Uint8, Scale: 0.02, ZeroPoint: 114}, [3]byte{0, 255, 100}, []byte{8, 235, 111}},
		{"uint8 that isn't quantised", vision.Preprocessing{Std: [3]float32{1, 1, 1}}, TensorSpec{DType: Uint8}, [3]byte{9, 8, 7}, []byte{9, 8, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNormaliser(c.p, c.in)
			got := make([]byte, 3*c.in.DType.Size())
			n.fill(got, []byte{c.rgb[2], c.rgb[1], c.rgb[0]}, 3)
			if c.in.DType == Float32 {
				for i := range 3 {
					if a, b := floatAt(got, i), floatAt(c.want, i); math.Abs(float64(a-b)) > 1e-6 {
						t.Errorf("channel %d: %g, want %g", i, a, b)
					}
				}
			} else if !bytes.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestGrey(t *testing.T) {
	bgr := []byte{0, 0, 255, 0, 255, 0, 255, 0, 0, 200, 200, 200}
	got := make([]byte, 4)
	newNormaliser(fromTensor, TensorSpec{DType: Uint8}).fill(got, bgr, 1)
	if want := []byte{76, 150, 29, 200}; !bytes.Equal(got, want) { // Pillow's convert("L")
		t.Errorf("got %v, want %v", got, want)
	}
	real := make([]byte, 16)
	newNormaliser(fromTensor, TensorSpec{}).fill(real, bgr, 1)
	if v := floatAt(real, 3); math.Abs(float64(v)-(200-127.5)/127.5) > 1e-6 {
		t.Errorf("got %g", v)
	}
}

func TestNeutral(t *testing.T) {
	for _, c := range []struct {
		p    vision.Preprocessing
		in   TensorSpec
		want [3]byte
	}{
		{imagenet, TensorSpec{DType: Int8, Scale: 0.02, ZeroPoint: -14}, [3]byte{124, 116, 104}},
		{fromTensor, TensorSpec{DType: Uint8, Scale: 0.0078431, ZeroPoint: 127}, [3]byte{127, 127, 127}},
		{fromTensor, TensorSpec{DType: Int8, Scale: 0.0078431, ZeroPoint: -1}, [3]byte{127, 127, 127}},
		{fromTensor, TensorSpec{}, [3]byte{128, 128, 128}},
	} {
		if got := neutral(c.p, c.in); got != c.want {
			t.Errorf("%+v: %v, want %v", c.in, got, c.want)
		}
	}
}

func BenchmarkNormalise(b *testing.B) {
	picture := make([]byte, 224*224*3)
	for i := range picture {
		picture[i] = byte(i * 7)
	}
	for _, c := range []struct {
		name string
		p    vision.Preprocessing
		in   TensorSpec
	}{
		{"float32", imagenet, TensorSpec{}},
		{"int8", imagenet, TensorSpec{DType: Int8, Scale: 0.02, ZeroPoint: -14}},
		{"uint8 as it is", fromTensor, TensorSpec{DType: Uint8}},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := newNormaliser(c.p, c.in)
			input := make([]byte, len(picture)*c.in.DType.Size())
			b.ReportAllocs()
			for b.Loop() {
				n.fill(input, picture, 3)
			}
		})
	}
}

package infer

import (
	"encoding/binary"
	"math"

	"github.com/glimpsed/glimpsed/vision"
)

// defaultMean and defaultStd bring 0..255 to -1..1: what float models without a
// manifest are taken to want.
const (
	defaultMean = 127.5
	defaultStd  = 127.5
)

// normaliser turns an 8-bit colour value into an input tensor's element, one table
// of 256 entries a channel (red, green, blue), so that normalising, quantising and
// putting red first are one pass over the resized picture.
//
// With Std set, an element is (v - Mean) / Std, quantised as the tensor says. With
// Std of 0 the tensor's whole range stands for 0..255: v itself for uint8, v - 128
// for int8, (v - 127.5) / 127.5 for float32. That is what models whose first
// tensor was quantised over the picture's range mean, whatever their scale is
// (uint8 with scale 1/128 and zero point 128 is (v - 128) / 128, so q = v).
type normaliser struct {
	dtype DType
	// bytes are the elements of int8 and uint8 tensors, floats those of float32.
	bytes  [3][256]byte
	floats [3][256]float32
}

func newNormaliser(p vision.Preprocessing, in TensorSpec) *normaliser {
	n := &normaliser{dtype: in.DType}
	for c := range 3 {
		for v := range 256 {
			if in.DType == Float32 {
				n.floats[c][v] = float32(normalise(p, c, float64(v), defaultMean, defaultStd))
				continue
			}
			n.bytes[c][v] = quantise(p, c, v, in)
		}
	}
	return n
}

func normalise(p vision.Preprocessing, c int, v, mean, std float64) float64 {
	if p.Std[c] != 0 {
		mean, std = float64(p.Mean[c]), float64(p.Std[c])
	}
	return (v - mean) / std
}

// quantise returns the bits of the int8 or uint8 element for colour value v.
func quantise(p vision.Preprocessing, c, v int, in TensorSpec) byte {
	lowest := 0
	if in.DType == Int8 {
		lowest = -128
	}
	if p.Std[c] == 0 {
		return byte(v + lowest)
	}
	scale, zero := float64(in.Scale), float64(in.ZeroPoint)
	if scale == 0 {
		scale, zero = 1, 0
	}
	q := math.Round(normalise(p, c, float64(v), 0, 1)/scale) + zero
	return byte(int(max(float64(lowest), min(float64(lowest+255), q))))
}

// fill writes the pixels of src, BGR without gaps, as elements of a picture with three
// channels (red, green, blue) or one (grey).
func (n *normaliser) fill(dst, src []byte, channels int) {
	switch {
	case channels == 1:
		n.fillGrey(dst, src)
	case n.dtype == Float32:
		for i, j := 0, 0; i+2 < len(src); i, j = i+3, j+12 {
			s, d := src[i:i+3:i+3], dst[j:j+12:j+12]
			binary.NativeEndian.PutUint32(d[0:4], math.Float32bits(n.floats[0][s[2]]))
			binary.NativeEndian.PutUint32(d[4:8], math.Float32bits(n.floats[1][s[1]]))
			binary.NativeEndian.PutUint32(d[8:12], math.Float32bits(n.floats[2][s[0]]))
		}
	default:
		n.fillBytes(dst[:len(src)], src)
	}
}

// fillBytes goes four pixels at a time through arrays, which spares the bounds checks.
func (n *normaliser) fillBytes(dst, src []byte) {
	red, green, blue := &n.bytes[0], &n.bytes[1], &n.bytes[2]
	for len(src) >= 12 && len(dst) >= 12 {
		s, d := (*[12]byte)(src), (*[12]byte)(dst)
		d[0], d[1], d[2] = red[s[2]], green[s[1]], blue[s[0]]
		d[3], d[4], d[5] = red[s[5]], green[s[4]], blue[s[3]]
		d[6], d[7], d[8] = red[s[8]], green[s[7]], blue[s[6]]
		d[9], d[10], d[11] = red[s[11]], green[s[10]], blue[s[9]]
		src, dst = src[12:], dst[12:]
	}
	for ; len(src) >= 3 && len(dst) >= 3; src, dst = src[3:], dst[3:] {
		dst[0], dst[1], dst[2] = red[src[2]], green[src[1]], blue[src[0]]
	}
}

// fillGrey takes luma by ITU-R BT.601 in 16-bit fixed point, as Pillow's "L", and
// normalises it as the first channel.
func (n *normaliser) fillGrey(dst, src []byte) {
	for i, j := 0, 0; i+2 < len(src); i, j = i+3, j+1 {
		luma := byte((19595*uint32(src[i+2]) + 38470*uint32(src[i+1]) + 7471*uint32(src[i]) + 0x8000) >> 16)
		if n.dtype == Float32 {
			binary.NativeEndian.PutUint32(dst[4*j:4*j+4], math.Float32bits(n.floats[0][luma]))
		} else {
			dst[j] = n.bytes[0][luma]
		}
	}
}

// neutral is the colour (red, green, blue) whose normalised value is zero or
// nearest to it: the mean, in which a letterbox's bars are painted.
func neutral(p vision.Preprocessing, in TensorSpec) [3]byte {
	var colour [3]byte
	for c := range 3 {
		mean := float64(defaultMean)
		switch {
		case p.Std[c] != 0:
			mean = float64(p.Mean[c])
		case in.DType == Uint8 && in.Scale != 0:
			mean = float64(in.ZeroPoint)
		case in.DType == Int8 && in.Scale != 0:
			mean = float64(in.ZeroPoint + 128)
		}
		colour[c] = byte(max(0, min(255, math.Round(mean))))
	}
	return colour
}

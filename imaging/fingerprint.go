package imaging

import (
	"math/bits"

	"github.com/glimpsed/glimpsed/vision"
)

// fingerprintBytes is how much of a picture a fingerprint reads at most, about 20 microseconds' worth.
const fingerprintBytes = 256 << 10

// Fingerprint is a number that two identical frames share and that differs, as good as
// always, where a camera delivered something new: its noise alone changes every row. It reads
// whole rows at even distances, all of them of small pictures. It is meant for telling a frozen
// camera, not for anything that has an adversary. It works on every format.
func Fingerprint(f vision.Frame) uint64 {
	height, stride, row := f.Height, f.Stride, len(f.Data)
	switch {
	case stride <= 0 || height <= 0:
		height = 1
	case f.Format == vision.BGR:
		row = 3 * f.Width
	case f.Format == vision.YUYV:
		row = 2 * f.Width
	}
	step := 1 + (row*height-1)/fingerprintBytes
	if height == 1 {
		step = 1
	}
	sum := uint64(f.Width)<<32 ^ uint64(f.Height)<<8 ^ uint64(f.Format)
	for y := step / 2; y < height; y += step {
		from, to := y*stride, y*stride+row
		if to > len(f.Data) {
			break
		}
		sum = mix(sum, f.Data[from:to])
	}
	return sum
}

// mix folds data into sum, in four independent lanes so that their multiplications overlap. The
// constants are odd with well-spread bits (2^64 over the golden ratio, and FNV's prime).
func mix(sum uint64, data []byte) uint64 {
	const k, prime = 0x9E3779B97F4A7C15, 0x100000001B3
	a, b, c, d := sum, sum+k, sum^k, sum-k
	for len(data) >= 32 {
		a = bits.RotateLeft64((a^le.Uint64(data))*k, 29)
		b = bits.RotateLeft64((b^le.Uint64(data[8:]))*k, 29)
		c = bits.RotateLeft64((c^le.Uint64(data[16:]))*k, 29)
		d = bits.RotateLeft64((d^le.Uint64(data[24:]))*k, 29)
		data = data[32:]
	}
	for _, v := range data {
		a = (a ^ uint64(v)) * prime
	}
	sum = a
	for _, v := range [...]uint64{b, c, d} {
		sum = bits.RotateLeft64((sum^v)*k, 31)
	}
	return sum
}

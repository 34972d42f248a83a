package imaging

import "encoding/binary"

// SIMD within a register: a uint64 holds eight bytes, or four 16-bit lanes with the sum
// of one byte each. x&even are the lanes of the bytes 0, 2, 4, 6; x>>8 are those of 1, 3, 5, 7
// plus 256 times the even ones, one lane on, which odd takes off again after summing:
// that saves masking every word.
const (
	lanes = 0x0001000100010001
	even  = 0x00FF00FF00FF00FF
	// strip is how many output rows are computed at a time, in octets of 8.
	strip  = 32
	octets = strip / 8
	// block is how many bytes of a row are worked on at a time: in the vertical pass 32 pixels of a row, in the
	// horizontal pass the three channels of one source column, strip rows of each.
	block = 3 * strip
)

var le = binary.LittleEndian

// tile holds sums of one block: e bias + w*(x&even), o bias + w*(x>>8), added up over rows x with weights w.
type tile struct{ e, o [block / 8]uint64 }

// odd returns the sums of the odd bytes of word i. Where there is a bias, bias>>16<<8 has to be added.
func (t *tile) odd(i int) uint64 { return t.o[i] - t.e[i]>>16<<8 }

// pack rounds sums with 8 fraction bits and pairs the bytes: a's is the lower one in each lane.
func pack(a, b uint64) uint64 {
	return (a+0x80*lanes)>>8&even | (b+0x80*lanes)&^even
}

// saturate brings general sums (signBias levels too high, fractionBits, rounded already)
// to 0..255 with 8 fraction bits in each lane.
func saturate(v uint64) uint64 {
	v = v>>fractionBits&(0x1FF*lanes) + (0x8000-signBias)*lanes // 0x8000 + value
	positive := v >> 15 & lanes * 255
	over := v >> 8 & lanes * 255
	return (v&even | over) & positive << 8
}

// turn rounds eight words of sums and turns them over: byte k of result l is lane l of word k.
func turn(a, b, c, d, e, f, g, h uint64) (_, _, _, _ uint64) {
	const (
		low   = 0x00000000FFFFFFFF
		lower = 0x0000FFFF0000FFFF
	)
	a, b, c, d = pack(a, b), pack(c, d), pack(e, f), pack(g, h)
	a, c = a&low|c<<32, a>>32|c&^low
	b, d = b&low|d<<32, b>>32|d&^low
	a, b = a&lower|b&lower<<16, a>>16&lower|b&^lower
	c, d = c&lower|d&lower<<16, c>>16&lower|d&^lower
	return a, b, c, d
}

// setRows3 sets the sums to bias plus three rows times their weights. mask is even: as an
// argument it stays in a register.
func (t *tile) setRows3(a, b, c *[block]byte, wa, wb, wc, bias, mask uint64) {
	_, _, _, _ = *t, *a, *b, *c
	for i := range len(t.e) {
		x := le.Uint64(a[8*i : 8*i+8])
		e, o := bias+x&mask*wa, bias+x>>8*wa
		x = le.Uint64(b[8*i : 8*i+8])
		e, o = e+x&mask*wb, o+x>>8*wb
		x = le.Uint64(c[8*i : 8*i+8])
		t.e[i], t.o[i] = e+x&mask*wc, o+x>>8*wc
	}
}

// addRows3 to addRows1 add rows times weights to the sums.
func (t *tile) addRows3(a, b, c *[block]byte, wa, wb, wc, mask uint64) {
	_, _, _, _ = *t, *a, *b, *c
	for i := range len(t.e) {
		x := le.Uint64(a[8*i : 8*i+8])
		e, o := x&mask*wa, x>>8*wa
		x = le.Uint64(b[8*i : 8*i+8])
		e, o = e+x&mask*wb, o+x>>8*wb
		x = le.Uint64(c[8*i : 8*i+8])
		t.e[i] += e + x&mask*wc
		t.o[i] += o + x>>8*wc
	}
}

func (t *tile) addRows2(a, b *[block]byte, wa, wb, mask uint64) {
	_, _, _ = *t, *a, *b
	for i := range len(t.e) {
		x := le.Uint64(a[8*i : 8*i+8])
		e, o := x&mask*wa, x>>8*wa
		x = le.Uint64(b[8*i : 8*i+8])
		t.e[i] += e + x&mask*wb
		t.o[i] += o + x>>8*wb
	}
}

func (t *tile) addRows1(a *[block]byte, wa, mask uint64) {
	_, _ = *t, *a
	for i := range len(t.e) {
		x := le.Uint64(a[8*i : 8*i+8])
		t.e[i] += x & mask * wa
		t.o[i] += x >> 8 * wa
	}
}

package imaging

import (
	"fmt"

	"github.com/glimpsed/glimpsed/vision"
)

// keptTables is how many geometries a Resizer remembers: pictures of a folder come in a
// few shapes, a camera in one.
const keptTables = 8

// Resizer resizes with antialiasing as Pillow's Image.resize does: the filter spans as many source
// pixels as one output pixel covers. It keeps the weights of the geometries it met and
// its working memory, so a steady stream of frames allocates nothing. It isn't safe
// for concurrent use. The zero value is ready.
type Resizer struct {
	tables map[Geometry]*tables
	tail   []byte   // the frame's last rows, padded: blocks read beyond the needed columns
	cols   []byte   // after the vertical pass
	e, o   []uint64 // after the horizontal pass
}

// tables are what one geometry needs.
type tables struct {
	horizontal, vertical axis
}

// Resize computes g of src into dst, whose pixels are three bytes and whose rows are stride bytes
// apart; dst is the whole output (g.Output), of which only g.Dst is written. The
// result is within one or two levels of Pillow's.
func (r *Resizer) Resize(dst []byte, stride int, src vision.Frame, g Geometry) error {
	if err := Check(src); err != nil {
		return fmt.Errorf("resizing: %w", err)
	}
	if src.Width != g.SourceWidth || src.Height != g.SourceHeight {
		return fmt.Errorf("resizing: the geometry is for %dx%d, the frame has %dx%d", g.SourceWidth, g.SourceHeight, src.Width, src.Height)
	}
	t, err := r.prepare(g)
	if err != nil {
		return fmt.Errorf("resizing: %w", err)
	}
	if stride < 3*g.Output.X || len(dst) < stride*(g.Output.Y-1)+3*g.Output.X {
		return fmt.Errorf("resizing: %d bytes with rows %d apart can't hold an output of %v", len(dst), stride, g.Output)
	}
	rows := r.rows(src, &t.horizontal)
	width, height := g.Dst.Dx(), g.Dst.Dy()
	r.cols = grow(r.cols, rows.blocks*block*strip)
	cols := source{data: r.cols, first: -t.horizontal.from * block, stride: block, tailFrom: src.Width}
	n := (3*width + 7) / 8 * 8 * octets
	r.e, r.o = grow(r.e, n), grow(r.o, n)
	for y := 0; y < height; y += strip {
		n := min(strip, height-y)
		t.vertical.down(r.cols, &rows, y, n)
		t.horizontal.across(r.e, r.o, &cols)
		store(dst[(g.Dst.Min.Y+y)*stride+3*g.Dst.Min.X:], stride, r.e, r.o, n, 3*width)
	}
	return nil
}

func (r *Resizer) prepare(g Geometry) (*tables, error) {
	if t, ok := r.tables[g]; ok {
		return t, nil
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	if r.tables == nil {
		r.tables = make(map[Geometry]*tables)
	} else if len(r.tables) >= keptTables {
		clear(r.tables)
	}
	t := &tables{
		horizontal: newAxis(g.Filter, g.X0, g.X1, g.SourceWidth, g.Width, g.Crop.Min.X, g.Crop.Max.X),
		vertical:   newAxis(g.Filter, g.Y0, g.Y1, g.SourceHeight, g.Height, g.Crop.Min.Y, g.Crop.Max.Y),
	}
	r.tables[g] = t
	return t, nil
}

// source hands out rows of a frame from the first needed column on, in whole blocks.
type source struct {
	data       []byte
	first      int // byte offset of the first needed column in a row
	stride     int
	blocks     int
	tail       []byte // the rows from tailFrom on, tailStride apart
	tailFrom   int
	tailStride int
	touched    byte // keeps touch from being optimised away
}

// rows lays blocks over the columns that h needs. The last block may end beyond the row, which does no
// harm except where it ends beyond the data: those last rows are copied.
func (r *Resizer) rows(src vision.Frame, h *axis) source {
	s := source{data: src.Data, first: 3 * h.from, stride: src.Stride}
	s.blocks = (3*(h.to-h.from) + block - 1) / block
	s.tailStride = s.blocks * block
	s.tailFrom = src.Height
	for s.tailFrom > 0 && (s.tailFrom-1)*s.stride+s.first+s.tailStride > len(src.Data) {
		s.tailFrom--
	}
	r.tail = grow(r.tail, (src.Height-s.tailFrom)*s.tailStride)
	s.tail = r.tail
	for y := s.tailFrom; y < src.Height; y++ {
		copy(s.tail[(y-s.tailFrom)*s.tailStride:][:s.tailStride], Row(src, y)[s.first:])
	}
	return s
}

// at returns block b of row y.
func (s *source) at(y, b int) *[block]byte {
	if y >= s.tailFrom {
		return (*[block]byte)(s.tail[(y-s.tailFrom)*s.tailStride+b*block:])
	}
	return (*[block]byte)(s.data[y*s.stride+s.first+b*block:])
}

// down is the vertical pass: the n output rows from y on, turned over. cols gets strip bytes for every
// byte of a row, one for each output row.
func (a *axis) down(cols []byte, s *source, y, n int) {
	first, last := a.groups[a.outputs[y].from].first, a.groups[a.outputs[y+n-1].from].first
	ahead := max(touchBytes/(max(last-first, 1)*block), 1)
	var t [strip]tile
	for b := range s.blocks {
		if b%ahead == 0 {
			s.touch(first, last, b, min(b+ahead, s.blocks))
		}
		for k := range n {
			a.output(&t[k], s, b, y+k)
		}
		to := (*[block * strip]byte)(cols[b*block*strip:])
		for q := 0; q < octets && 8*q < n; q++ {
			t := (*[8]tile)(t[8*q : 8*q+8])
			for i := range block / 8 {
				to := (*[7*strip + 8]byte)(to[8*i*strip+8*q:])
				a, b, c, d := turn(t[0].e[i], t[1].e[i], t[2].e[i], t[3].e[i], t[4].e[i], t[5].e[i], t[6].e[i], t[7].e[i])
				le.PutUint64(to[0*strip:], a)
				le.PutUint64(to[2*strip:], b)
				le.PutUint64(to[4*strip:], c)
				le.PutUint64(to[6*strip:], d)
				a, b, c, d = turn(t[0].odd(i), t[1].odd(i), t[2].odd(i), t[3].odd(i), t[4].odd(i), t[5].odd(i), t[6].odd(i), t[7].odd(i))
				le.PutUint64(to[1*strip:], a)
				le.PutUint64(to[3*strip:], b)
				le.PutUint64(to[5*strip:], c)
				le.PutUint64(to[7*strip:], d)
			}
		}
	}
}

// across is the horizontal pass over the columns that down has made: e and o get octets words of sums for
// every byte of an output row.
func (a *axis) across(e, o []uint64, cols *source) {
	var t tile
	for i := range a.outputs {
		a.output(&t, cols, 0, i)
		copy(e[i*len(t.e):], t.e[:])
		to := (*[len(t.o)]uint64)(o[i*len(t.o):])
		for k := range to {
			to[k] = t.odd(k)
		}
	}
}

// store turns the sums back into n rows of width bytes.
func store(dst []byte, stride int, e, o []uint64, n, width int) {
	for x := 0; x < width; x += 8 {
		e, o := (*[8 * octets]uint64)(e[x*octets:]), (*[8 * octets]uint64)(o[x*octets:])
		for q := 0; q < octets && 8*q < n; q++ {
			var w [8]uint64
			w[0], w[2], w[4], w[6] = turn(e[q], e[octets+q], e[2*octets+q], e[3*octets+q], e[4*octets+q], e[5*octets+q], e[6*octets+q], e[7*octets+q])
			w[1], w[3], w[5], w[7] = turn(o[q], o[octets+q], o[2*octets+q], o[3*octets+q], o[4*octets+q], o[5*octets+q], o[6*octets+q], o[7*octets+q])
			for y, v := range w[:min(8, n-8*q)] {
				row := dst[(8*q+y)*stride+x:]
				if x+8 <= width {
					le.PutUint64(row, v)
					continue
				}
				for k := range width - x {
					row[k] = byte(v >> (8 * k))
				}
			}
		}
	}
}

// output computes block b of output i; the sums have 8 fraction bits.
func (a *axis) output(sum *tile, s *source, b, i int) {
	out := &a.outputs[i]
	if a.plain {
		a.addGroup(sum, s, b, &a.groups[out.from])
		return
	}
	mask := uint64(0xFFFF) >> a.shift * lanes
	for i := range sum.e {
		sum.e[i], sum.o[i] = out.offset, out.offset
	}
	var t tile
	for k := out.from; k < out.to; k++ {
		a.addGroup(&t, s, b, &a.groups[k])
		bias := a.groups[k].bias >> 16 << 8
		for i := range sum.e {
			sum.e[i] += t.e[i] >> a.shift & mask
			sum.o[i] += (t.odd(i) + bias) >> a.shift & mask
		}
	}
	for i := range sum.e {
		sum.e[i] = saturate(sum.e[i])
		sum.o[i] = saturate(sum.o[i]) + sum.e[i]>>16<<8
	}
}

// addGroup sets the sums to g's bias plus its rows times their weights.
func (a *axis) addGroup(t *tile, s *source, b int, g *group) {
	y, w := g.first, a.weights[g.from:g.to]
	if len(w) >= 3 {
		t.setRows3(s.at(y, b), s.at(y+1, b), s.at(y+2, b), w[0], w[1], w[2], g.bias, even)
		y, w = y+3, w[3:]
	} else {
		for i := range t.e {
			t.e[i], t.o[i] = g.bias, g.bias
		}
	}
	for ; len(w) >= 3; y, w = y+3, w[3:] {
		t.addRows3(s.at(y, b), s.at(y+1, b), s.at(y+2, b), w[0], w[1], w[2], even)
	}
	switch len(w) {
	case 2:
		t.addRows2(s.at(y, b), s.at(y+1, b), w[0], w[1], even)
	case 1:
		t.addRows1(s.at(y, b), w[0], even)
	}
}

// touchBytes is how much touch reads at a time: a part of a small processor's second-level cache.
const touchBytes = 128 << 10

// touch reads the blocks b0..b1 of the rows from..to in order, so that they come from memory at its full speed: the
// vertical pass goes down strips of columns, which processors don't fetch ahead.
func (s *source) touch(from, to, b0, b1 int) {
	const line = 64 // bytes, of a cache
	var sum byte
	for y := from; y < min(to, s.tailFrom); y++ {
		row := s.data[y*s.stride+s.first:][b0*block : b1*block]
		for i := 0; i < len(row); i += line {
			sum += row[i]
		}
	}
	s.touched = sum
}

package tflite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The FlatBuffers runtime trusts its input and panics on a bad offset, so files
// are read with the checked accessors below. The layout is that of
// flatbuffers.dev/internals: a table starts with the distance back to its
// vtable, which holds the table's size and for each field its place in it.

// flat is a FlatBuffer being read. The first error sticks and makes every later
// access return nothing.
type flat struct {
	b   []byte
	err error
	// budget bounds how many values are read in all: a small file may refer to one
	// table many times.
	budget int
}

// maxTables bounds a list of tables: networks have some thousands of tensors.
const maxTables = 1 << 18

var errBeyond = errors.New("offset outside the file: truncated or not a FlatBuffer")

func newFlat(b []byte) *flat { return &flat{b: b, budget: 2*len(b) + 1024} }

func (f *flat) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// bytes returns n bytes at position at, or nil.
func (f *flat) bytes(at, n int) []byte {
	if f.err != nil {
		return nil
	}
	if at < 0 || n < 0 || at > len(f.b) || n > len(f.b)-at {
		f.fail(errBeyond)
		return nil
	}
	return f.b[at : at+n]
}

func (f *flat) uint32(at int) int {
	if b := f.bytes(at, 4); b != nil {
		return int(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// spend counts n values against the budget.
func (f *flat) spend(n int) bool {
	if f.err != nil {
		return false
	}
	if f.budget -= n; f.budget < 0 {
		f.fail(errors.New("tables refer to each other in a way no writer produces"))
		return false
	}
	return true
}

// table is a position and the fields of its vtable; the zero table has none.
type table struct {
	f      *flat
	at     int
	vtable []byte
}

// tableAt reads the table that the offset at position at refers to.
func (f *flat) tableAt(at int) table {
	at += f.uint32(at)
	back := f.bytes(at, 4)
	if back == nil || !f.spend(1) {
		return table{f: f}
	}
	vt := at - int(int32(binary.LittleEndian.Uint32(back)))
	head := f.bytes(vt, 4)
	if head == nil {
		return table{f: f}
	}
	size := int(binary.LittleEndian.Uint16(head))
	if size < 4 {
		f.fail(errBeyond)
		return table{f: f}
	}
	return table{f, at, f.bytes(vt, size)}
}

// field returns where a field is, or false if the table leaves it out.
func (t table) field(i int) (int, bool) {
	slot := 4 + 2*i
	if t.f.err != nil || slot+2 > len(t.vtable) {
		return 0, false
	}
	o := int(binary.LittleEndian.Uint16(t.vtable[slot:]))
	return t.at + o, o != 0
}

func (t table) uint32(i int) int {
	if at, ok := t.field(i); ok {
		return t.f.uint32(at)
	}
	return 0
}

func (t table) int32(i, otherwise int) int {
	if at, ok := t.field(i); ok {
		return int(int32(t.f.uint32(at)))
	}
	return otherwise
}

func (t table) float32(i int) float32 {
	if at, ok := t.field(i); ok {
		return math.Float32frombits(uint32(t.f.uint32(at)))
	}
	return 0
}

func (t table) int8(i int) int8 {
	if at, ok := t.field(i); ok {
		if b := t.f.bytes(at, 1); b != nil {
			return int8(b[0])
		}
	}
	return 0
}

func (t table) table(i int) (table, bool) {
	at, ok := t.field(i)
	if !ok {
		return table{f: t.f}, false
	}
	out := t.f.tableAt(at)
	return out, t.f.err == nil
}

// vector returns where a vector's elements of the given size begin and how many
// there are.
func (t table) vector(i, size int) (at, n int) {
	at, ok := t.field(i)
	if !ok {
		return 0, 0
	}
	at += t.f.uint32(at)
	n = t.f.uint32(at)
	at += 4
	if n > len(t.f.b)/size || t.f.bytes(at, n*size) == nil {
		t.f.fail(errBeyond)
		return 0, 0
	}
	return at, n
}

// data returns a byte vector without copying it.
func (t table) data(i int) []byte {
	at, n := t.vector(i, 1)
	return t.f.bytes(at, n)
}

func (t table) text(i int) string {
	b := t.data(i)
	if !t.f.spend(len(b)) {
		return ""
	}
	return string(b)
}

func (t table) tables(i int) []table {
	at, n := t.vector(i, 4)
	if n > maxTables {
		t.f.fail(fmt.Errorf("a list of %d tables", n))
	}
	if n == 0 || !t.f.spend(n) {
		return nil
	}
	out := make([]table, n)
	for k := range out {
		out[k] = t.f.tableAt(at + 4*k)
	}
	return out
}

func (t table) ints(i int) []int {
	at, n := t.vector(i, 4)
	if n == 0 || !t.f.spend(n) {
		return nil
	}
	out := make([]int, n)
	for k := range out {
		out[k] = int(int32(t.f.uint32(at + 4*k)))
	}
	return out
}

func (t table) longs(i int) []int64 {
	at, n := t.vector(i, 8)
	if n == 0 || !t.f.spend(n) {
		return nil
	}
	out := make([]int64, n)
	for k := range out {
		out[k] = int64(binary.LittleEndian.Uint64(t.f.b[at+8*k:]))
	}
	return out
}

func (t table) floats(i int) []float32 {
	at, n := t.vector(i, 4)
	if n == 0 || !t.f.spend(n) {
		return nil
	}
	out := make([]float32, n)
	for k := range out {
		out[k] = math.Float32frombits(uint32(t.f.uint32(at + 4*k)))
	}
	return out
}

// root returns the root table of a buffer with the given file identifier.
func (f *flat) root(identifier string) table {
	if id := f.bytes(4, 4); id == nil || string(id) != identifier {
		f.fail(fmt.Errorf("file identifier is not %s", identifier))
	}
	return f.tableAt(0)
}

package torchfile

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path"
	"strings"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types of PyTorch that a state_dict of a vision model may hold.
const (
	Float32 DType = iota
	Float16
	BFloat16
	Float64
	Int64
	Int32
	Int16
	Int8
	Uint8
	Bool
)

var dtypes = [...]struct {
	name string
	size int
}{
	Float32: {"float32", 4}, Float16: {"float16", 2}, BFloat16: {"bfloat16", 2}, Float64: {"float64", 8},
	Int64: {"int64", 8}, Int32: {"int32", 4}, Int16: {"int16", 2}, Int8: {"int8", 1}, Uint8: {"uint8", 1}, Bool: {"bool", 1},
}

func (d DType) String() string { return dtypes[d].name }

// Size is the size of one element in bytes.
func (d DType) Size() int { return dtypes[d].size }

// Tensor describes one tensor of a state_dict. Its elements stay in the file.
type Tensor struct {
	// Name is its key, as in "layer1.0.conv1.weight".
	Name  string
	DType DType
	// Shape is in PyTorch's order: output, input, height, width for the weights
	// of a convolution.
	Shape []int

	stride  []int
	offset  int64
	storage *storage
}

// Elements is the number of elements, 1 for a scalar.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is an open state_dict. It is not safe for concurrent use.
type File struct {
	name    string
	r       io.ReaderAt
	close   func() error
	tensors []*Tensor
	byName  map[string]*Tensor
}

// Open reads the directory of the state_dict in the file at path. The caller
// must Close it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: not a file", path)
	}
	out, err := New(f, info.Size(), path)
	if err != nil {
		f.Close()
		return nil, err
	}
	out.close = f.Close
	return out, nil
}

// New reads the directory of the state_dict that r holds in its first size
// bytes. Errors begin with name.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{name: name, r: r, close: func() error { return nil }, byName: map[string]*Tensor{}}
	var magic [4]byte
	n, err := r.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var root any
	switch {
	case n == 4 && string(magic[:]) == "PK\x03\x04":
		root, err = f.readZip(size)
	case n == 4 && magic[0] == opProto:
		root, err = f.readStream(size)
	default:
		err = errors.New("neither of PyTorch's formats (a zip archive or a pickle)")
	}
	if err == nil {
		err = f.collect(root)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Close releases the file.
func (f *File) Close() error { return f.close() }

// Name is the path or name the file was opened under.
func (f *File) Name() string { return f.name }

// Tensors are the tensors in the file's order. The caller must not change them.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Lookup finds a tensor by its key.
func (f *File) Lookup(name string) (*Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// readZip reads the directory of torch.save's present format: a zip archive of
// one folder with data.pkl and data/<key>, all stored uncompressed.
func (f *File) readZip(size int64) (any, error) {
	z, err := zip.NewReader(f.r, size)
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	var folder string
	entries := map[string]*zip.File{}
	for _, e := range z.File {
		entries[e.Name] = e
		if path.Base(e.Name) == "data.pkl" && strings.Count(e.Name, "/") <= 1 {
			folder = path.Dir(e.Name)
		}
	}
	if folder == "" {
		return nil, errors.New("the archive has no data.pkl: not made by torch.save")
	}
	if b, ok := entries[path.Join(folder, "byteorder")]; ok {
		order, err := readSmall(b, 16)
		if err != nil {
			return nil, err
		}
		if string(order) != "little" {
			return nil, fmt.Errorf("byte order is %q; only little-endian files are read", order)
		}
	}
	program, err := readSmall(entries[path.Join(folder, "data.pkl")], maxPickle)
	if err != nil {
		return nil, err
	}
	m := &machine{in: program, storages: map[string]*storage{}}
	root, err := m.run()
	if err != nil {
		return nil, err
	}
	for key, s := range m.storages {
		e, ok := entries[path.Join(folder, "data", key)]
		if !ok {
			return nil, fmt.Errorf("the archive lacks data/%.40s", key)
		}
		if e.Method != zip.Store {
			return nil, fmt.Errorf("data/%.40s is compressed, which torch.save never does", key)
		}
		if s.at, err = e.DataOffset(); err != nil {
			return nil, fmt.Errorf("data/%.40s: %w", key, err)
		}
		if have := min(e.UncompressedSize64, uint64(max(0, size-s.at))); !fits(s, int64(have)) {
			return nil, fmt.Errorf("data/%.40s has %d bytes, %d elements of %v do not fit", key, have, s.count, s.dtype)
		}
		s.bytes, s.checksum, s.unchecked = int64(e.UncompressedSize64), e.CRC32, true
	}
	return root, nil
}

func fits(s *storage, bytes int64) bool { return s.count <= bytes/int64(s.dtype.Size()) }

// readSmall reads a whole entry of at most limit bytes, whatever its header
// says.
func readSmall(e *zip.File, limit int64) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%.80s: %w", e.Name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%.80s: %w", e.Name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%.80s is larger than %d bytes", e.Name, limit)
	}
	return b, nil
}

// streamMagic is the number 0x1950a86a20f9469cfc6c, with which a stream begins.
const streamMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

// readStream reads the directory of the format before PyTorch 1.6: pickles of a
// magic number, a version, the machine, the state_dict and the storages' keys,
// then for each key the element count (int64) and the elements.
func (f *File) readStream(size int64) (any, error) {
	head := make([]byte, min(size, maxPickle))
	if _, err := io.ReadFull(io.NewSectionReader(f.r, 0, size), head); err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	m := &machine{in: head, storages: map[string]*storage{}}
	magic, err := m.run()
	if err != nil {
		return nil, err
	}
	if b, ok := magic.(octets); !ok || string(b) != streamMagic {
		return nil, errors.New("a pickle that torch.save did not make")
	}
	if version, err := m.run(); err != nil || version != any(int64(1001)) {
		return nil, fmt.Errorf("stream version %v, only 1001 is read", version)
	}
	system, err := m.run()
	if err != nil {
		return nil, err
	}
	if d, ok := system.(*dict); ok {
		if little, ok := d.get("little_endian"); ok && little != any(true) {
			return nil, errors.New("byte order is big; only little-endian files are read")
		}
	}
	root, err := m.run()
	if err != nil {
		return nil, err
	}
	v, err := m.run()
	if err != nil {
		return nil, err
	}
	keys, ok := v.(*list)
	if !ok {
		return nil, errors.New("the list of storages is missing")
	}
	at := int64(m.pos)
	for _, k := range keys.items {
		key, _ := k.(string)
		s, ok := m.storages[key]
		if !ok {
			return nil, fmt.Errorf("storage %.40q belongs to no tensor", key)
		}
		var count [8]byte
		if _, err := f.r.ReadAt(count[:], at); err != nil {
			return nil, fmt.Errorf("storage %.40q: %w", key, err)
		}
		if got := int64(binary.LittleEndian.Uint64(count[:])); got != s.count {
			return nil, fmt.Errorf("storage %.40q has %d elements, its tensors expect %d", key, got, s.count)
		}
		s.at = at + 8
		if !fits(s, size-s.at) {
			return nil, fmt.Errorf("storage %.40q: %d elements of %v do not fit in the file", key, s.count, s.dtype)
		}
		at = s.at + s.count*int64(s.dtype.Size())
	}
	for key, s := range m.storages {
		if s.at < 0 {
			return nil, fmt.Errorf("storage %.40q is not in the file", key)
		}
	}
	return root, nil
}

// wrappers are the keys under which training scripts keep the state_dict beside
// an optimiser's state and a counter.
var wrappers = []string{"state_dict", "model_state_dict", "model"}

// collect makes the directory of a dictionary of tensors.
func (f *File) collect(root any) error {
	d, ok := root.(*dict)
	if !ok {
		return errors.New("not a state_dict: the pickle holds no dictionary")
	}
	for _, key := range wrappers {
		if v, ok := d.get(key); ok {
			if inner, ok := v.(*dict); ok {
				d = inner
				break
			}
		}
	}
	for _, e := range d.entries {
		t, ok := e.value.(*Tensor)
		if !ok {
			continue
		}
		name, ok := e.key.(string)
		if !ok || name == "" {
			return errors.New("a tensor's key is not a string")
		}
		if _, dup := f.byName[name]; dup {
			return fmt.Errorf("tensor %.80q occurs twice", name)
		}
		// Two keys may share one tensor (tied weights), so each gets its own.
		own := *t
		own.Name = name
		f.tensors = append(f.tensors, &own)
		f.byName[name] = &own
	}
	if len(f.tensors) == 0 {
		return errors.New("not a state_dict: no tensors in it")
	}
	f.stripPrefix("module.")
	return nil
}

// stripPrefix removes what torch.nn.DataParallel puts before every key.
func (f *File) stripPrefix(prefix string) {
	for _, t := range f.tensors {
		if !strings.HasPrefix(t.Name, prefix) {
			return
		}
	}
	clear(f.byName)
	for _, t := range f.tensors {
		t.Name = strings.TrimPrefix(t.Name, prefix)
		f.byName[t.Name] = t
	}
}

// Floats reads the elements of a floating-point tensor in row-major order,
// whatever its strides in the file are.
func (f *File) Floats(t *Tensor) ([]float32, error) {
	out, err := f.floats(t)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.name, t.Name, err)
	}
	return out, nil
}

func (f *File) floats(t *Tensor) ([]float32, error) {
	var decode func([]byte) float32
	switch t.DType {
	case Float32:
		decode = func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case Float64:
		decode = func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case BFloat16:
		decode = func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	case Float16:
		decode = func(b []byte) float32 { return fromHalf(binary.LittleEndian.Uint16(b)) }
	default:
		return nil, fmt.Errorf("elements are %v, not floating point", t.DType)
	}
	if err := f.verify(t.storage); err != nil {
		return nil, err
	}
	out := make([]float32, t.Elements())
	if len(out) == 0 {
		return out, nil
	}
	span := int64(1)
	for i, n := range t.Shape {
		span += int64(n-1) * int64(t.stride[i])
	}
	size := t.DType.Size()
	raw := make([]byte, span*int64(size))
	if _, err := f.r.ReadAt(raw, t.storage.at+t.offset*int64(size)); err != nil {
		return nil, err
	}
	index := make([]int, len(t.Shape))
	at := 0
	for i := range out {
		out[i] = decode(raw[at*size:])
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			at += t.stride[d]
			if index[d] < t.Shape[d] {
				break
			}
			at -= index[d] * t.stride[d]
			index[d] = 0
		}
	}
	return out, nil
}

// verify compares a storage with the archive's checksum of it, once.
func (f *File) verify(s *storage) error {
	if !s.unchecked {
		return nil
	}
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, io.NewSectionReader(f.r, s.at, s.bytes)); err != nil {
		return err
	}
	if h.Sum32() != s.checksum {
		return fmt.Errorf("the elements do not match the archive's checksum %08x: the file is damaged", s.checksum)
	}
	s.unchecked = false
	return nil
}

// fromHalf converts an IEEE 754 binary16 value.
func fromHalf(h uint16) float32 {
	sign := float32(1)
	if h&0x8000 != 0 {
		sign = -1
	}
	exponent, fraction := int(h>>10&0x1f), int(h&0x3ff)
	switch exponent {
	case 0:
		return sign * float32(math.Ldexp(float64(fraction), -24))
	case 0x1f:
		if fraction != 0 {
			return float32(math.NaN())
		}
		return sign * float32(math.Inf(1))
	}
	return sign * float32(math.Ldexp(float64(fraction|0x400), exponent-25))
}

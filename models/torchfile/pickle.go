package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	// maxPickle bounds the pickle of a state_dict in bytes: a ResNet-152, with
	// 932 tensors, needs 100 kB.
	maxPickle = 4 << 20
	// maxObjects bounds what a pickle may create, so that its one-byte opcodes
	// can't be turned into much memory.
	maxObjects = 1 << 18
	// maxElements bounds a storage far above any network's and far below where
	// sums of indices overflow.
	maxElements = 1 << 40
)

// The values a pickle can hold are nil, bool, int64, float64, string and
// these.
type (
	octets []byte
	tuple  []any
	list   struct{ items []any }
	dict   struct{ entries []entry }
	entry  struct{ key, value any }
	mark   struct{}
	global struct{ module, name string }
)

// get returns the last value stored under a string key.
func (d *dict) get(key string) (any, bool) {
	for i := len(d.entries) - 1; i >= 0; i-- {
		if k, ok := d.entries[i].key.(string); ok && k == key {
			return d.entries[i].value, true
		}
	}
	return nil, false
}

// storage is a block of elements that one tensor or several look into.
type storage struct {
	key   string
	dtype DType
	// count is in elements.
	count int64
	// at is where the elements begin in the file; -1 until it is known.
	at int64
	// bytes and checksum (CRC-32) are the archive's; a stream has none.
	bytes    int64
	checksum uint32
	// unchecked says that the checksum is still to be compared.
	unchecked bool
}

// machine executes the data part of a pickle.
type machine struct {
	in      []byte
	pos     int
	stack   []any
	memo    map[uint32]any
	objects int
	// storages are shared by all pickles of a file, by key.
	storages map[string]*storage
	// order holds the keys as they first appeared.
	order []string
}

var errShort = errors.New("pickle ends in the middle of an instruction")

// The opcodes of pickletools that torch.save's protocols (2 to 5) use for data.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opDup            = '2'
	opBinFloat       = 'G'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opBinInt2        = 'M'
	opNone           = 'N'
	opBinPersID      = 'Q'
	opReduce         = 'R'
	opBinUnicode     = 'X'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opAppends        = 'e'
	opBinGet         = 'h'
	opLongBinGet     = 'j'
	opList           = 'l'
	opEmptyList      = ']'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opEmptyTuple     = ')'
	opSetItems       = 'u'
	opEmptyDict      = '}'
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'
	opBinString      = 'T'
	opShortBinString = 'U'
	opProto          = 0x80
	opNewObj         = 0x81
	opTuple1         = 0x85
	opTuple2         = 0x86
	opTuple3         = 0x87
	opNewTrue        = 0x88
	opNewFalse       = 0x89
	opLong1          = 0x8a
	opShortUnicode   = 0x8c
	opStackGlobal    = 0x93
	opMemoize        = 0x94
	opFrame          = 0x95
)

// run executes the pickle at m.pos up to its STOP and returns its value. The
// position is then behind the STOP, where a stream's next pickle begins.
func (m *machine) run() (any, error) {
	m.stack = m.stack[:0]
	m.memo = map[uint32]any{}
	for {
		at := m.pos
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == opStop {
			return m.pop()
		}
		if err := m.step(op[0]); err != nil {
			return nil, fmt.Errorf("pickle instruction %#02x at byte %d: %w", op[0], at, err)
		}
	}
}

func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		_, err := m.take(1)
		return err
	case opFrame:
		_, err := m.take(8)
		return err
	case opMark:
		return m.push(mark{})
	case opPop:
		_, err := m.pop()
		return err
	case opPopMark:
		_, err := m.popMark()
		return err
	case opDup:
		v, err := m.top()
		if err != nil {
			return err
		}
		return m.push(v)
	case opNone:
		return m.push(nil)
	case opNewTrue, opNewFalse:
		return m.push(op == opNewTrue)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat:
		return m.number(op)
	case opBinUnicode, opShortUnicode, opBinString, opShortBinString, opBinBytes, opShortBinBytes:
		return m.text(op)
	case opEmptyTuple:
		return m.push(tuple{})
	case opTuple1, opTuple2, opTuple3:
		return m.smallTuple(int(op-opTuple1) + 1)
	case opTuple:
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.push(tuple(items))
	case opEmptyList:
		return m.push(&list{})
	case opList:
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.push(&list{items})
	case opEmptyDict:
		return m.push(&dict{})
	case opAppend, opAppends:
		return m.append(op)
	case opSetItem, opSetItems:
		return m.setItems(op)
	case opBinPut, opLongBinPut, opMemoize:
		return m.put(op)
	case opBinGet, opLongBinGet:
		return m.get(op)
	case opGlobal, opStackGlobal:
		return m.global(op)
	case opBinPersID:
		return m.persistent()
	case opReduce, opNewObj:
		return m.reduce()
	case opBuild:
		// The state of an OrderedDict is its _metadata (versions of the
		// modules) and of no use here.
		_, err := m.pop()
		return err
	}
	return errors.New("not one that a state_dict needs")
}

// take returns the next n bytes of the pickle.
func (m *machine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.in)-m.pos {
		return nil, errShort
	}
	b := m.in[m.pos : m.pos+n]
	m.pos += n
	return b, nil
}

func (m *machine) push(v any) error {
	if m.objects++; m.objects > maxObjects {
		return fmt.Errorf("more than %d objects", maxObjects)
	}
	m.stack = append(m.stack, v)
	return nil
}

func (m *machine) pop() (any, error) {
	v, err := m.top()
	if err != nil {
		return nil, err
	}
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("stack is empty")
	}
	return m.stack[len(m.stack)-1], nil
}

// popMark takes everything down to the topmost mark off the stack. What it
// returns is a copy: tuples outlive the stack.
func (m *machine) popMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := append([]any(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("mark is missing")
}

func (m *machine) number(op byte) error {
	size := map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8}[op]
	b, err := m.take(size)
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		return m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinInt1:
		return m.push(int64(b[0]))
	case opBinInt2:
		return m.push(int64(binary.LittleEndian.Uint16(b)))
	case opBinFloat:
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	// LONG1: little-endian two's complement; what doesn't fit is kept as bytes.
	digits, err := m.take(int(b[0]))
	if err != nil {
		return err
	}
	if len(digits) > 8 {
		return m.push(octets(digits))
	}
	var v uint64
	for i, d := range digits {
		v |= uint64(d) << (8 * i)
	}
	if n := len(digits); n > 0 && n < 8 && digits[n-1]&0x80 != 0 {
		v |= ^uint64(0) << (8 * n)
	}
	return m.push(int64(v))
}

func (m *machine) text(op byte) error {
	var size int
	switch op {
	case opShortUnicode, opShortBinString, opShortBinBytes:
		b, err := m.take(1)
		if err != nil {
			return err
		}
		size = int(b[0])
	default:
		b, err := m.take(4)
		if err != nil {
			return err
		}
		size = int(binary.LittleEndian.Uint32(b))
	}
	b, err := m.take(size)
	if err != nil {
		return err
	}
	if op == opBinBytes || op == opShortBinBytes {
		return m.push(octets(b))
	}
	return m.push(string(b))
}

func (m *machine) smallTuple(n int) error {
	if len(m.stack) < n {
		return errors.New("stack is too short for a tuple")
	}
	items := append(tuple(nil), m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return m.push(items)
}

func (m *machine) append(op byte) error {
	var items []any
	if op == opAppend {
		v, err := m.pop()
		if err != nil {
			return err
		}
		items = []any{v}
	} else {
		var err error
		if items, err = m.popMark(); err != nil {
			return err
		}
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	l, ok := v.(*list)
	if !ok {
		return fmt.Errorf("appends to a %T", v)
	}
	l.items = append(l.items, items...)
	return nil
}

func (m *machine) setItems(op byte) error {
	var items []any
	if op == opSetItem {
		value, err := m.pop()
		if err != nil {
			return err
		}
		key, err := m.pop()
		if err != nil {
			return err
		}
		items = []any{key, value}
	} else {
		var err error
		if items, err = m.popMark(); err != nil {
			return err
		}
	}
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	d, ok := v.(*dict)
	if !ok {
		return fmt.Errorf("sets items of a %T", v)
	}
	for i := 0; i < len(items); i += 2 {
		d.entries = append(d.entries, entry{items[i], items[i+1]})
	}
	return nil
}

// memoIndex reads the index operand of a PUT or GET, one byte or four.
func (m *machine) memoIndex(long bool) (uint32, error) {
	if !long {
		b, err := m.take(1)
		if err != nil {
			return 0, err
		}
		return uint32(b[0]), nil
	}
	b, err := m.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (m *machine) put(op byte) error {
	index := uint32(len(m.memo))
	if op != opMemoize {
		var err error
		if index, err = m.memoIndex(op == opLongBinPut); err != nil {
			return err
		}
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	if m.objects++; m.objects > maxObjects {
		return fmt.Errorf("more than %d objects", maxObjects)
	}
	m.memo[index] = v
	return nil
}

func (m *machine) get(op byte) error {
	index, err := m.memoIndex(op == opLongBinGet)
	if err != nil {
		return err
	}
	v, ok := m.memo[index]
	if !ok {
		return fmt.Errorf("memo %d was never stored", index)
	}
	return m.push(v)
}

// line reads up to and without a newline, as GLOBAL's operands are written.
func (m *machine) line() (string, error) {
	for i := m.pos; i < len(m.in); i++ {
		if m.in[i] == '\n' {
			s := string(m.in[m.pos:i])
			m.pos = i + 1
			return s, nil
		}
	}
	return "", errShort
}

func (m *machine) global(op byte) error {
	var g global
	if op == opGlobal {
		var err error
		if g.module, err = m.line(); err != nil {
			return err
		}
		if g.name, err = m.line(); err != nil {
			return err
		}
	} else {
		name, err := m.pop()
		if err != nil {
			return err
		}
		module, err := m.pop()
		if err != nil {
			return err
		}
		var ok1, ok2 bool
		g.module, ok1 = module.(string)
		g.name, ok2 = name.(string)
		if !ok1 || !ok2 {
			return errors.New("a global's name is not a string")
		}
	}
	if _, ok := storageTypes[g]; !ok && !rebuilders[g] {
		return fmt.Errorf("needs %.80q of %.80q, which no plain state_dict does; save the model's state_dict() alone",
			g.name, g.module)
	}
	return m.push(g)
}

// persistent resolves torch's persistent id, the tuple ("storage", type, key,
// location, element count[, view]).
func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	t, ok := v.(tuple)
	if !ok || len(t) < 5 || t[0] != any("storage") {
		return errors.New("a persistent id that is no storage")
	}
	kind, ok := t[1].(global)
	dtype, known := storageTypes[kind]
	key, isString := t[2].(string)
	count, isInt := t[4].(int64)
	if !ok || !known || !isString || !isInt || count < 0 || count > maxElements {
		return errors.New("a storage of an unknown form")
	}
	if len(t) > 5 && t[5] != nil {
		return fmt.Errorf("storage %.40q is a view of another, a form PyTorch gave up in version 0.4", key)
	}
	s, ok := m.storages[key]
	if !ok {
		s = &storage{key: key, dtype: dtype, count: count, at: -1}
		m.storages[key] = s
		m.order = append(m.order, key)
	}
	if s.dtype != dtype || s.count != count {
		return fmt.Errorf("storage %.40q is described twice and differently", key)
	}
	return m.push(s)
}

// rebuilders are the callables that a state_dict's pickle may name.
var rebuilders = map[global]bool{
	{"collections", "OrderedDict"}:         true,
	{"torch._utils", "_rebuild_tensor"}:    true,
	{"torch._utils", "_rebuild_tensor_v2"}: true,
	{"torch._utils", "_rebuild_parameter"}: true,
	{"torch.nn.parameter", "Parameter"}:    true,
}

// storageTypes are the storages whose elements this package can read or at
// least measure.
var storageTypes = map[global]DType{
	{"torch", "FloatStorage"}:    Float32,
	{"torch", "HalfStorage"}:     Float16,
	{"torch", "BFloat16Storage"}: BFloat16,
	{"torch", "DoubleStorage"}:   Float64,
	{"torch", "LongStorage"}:     Int64,
	{"torch", "IntStorage"}:      Int32,
	{"torch", "ShortStorage"}:    Int16,
	{"torch", "CharStorage"}:     Int8,
	{"torch", "ByteStorage"}:     Uint8,
	{"torch", "BoolStorage"}:     Bool,
}

// reduce stands for calling one of the rebuilders.
func (m *machine) reduce() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := v.(tuple)
	if !ok {
		return errors.New("arguments that are no tuple")
	}
	v, err = m.pop()
	if err != nil {
		return err
	}
	g, ok := v.(global)
	if !ok {
		return fmt.Errorf("calls a %T", v)
	}
	switch {
	case g.name == "OrderedDict" && len(args) == 0:
		return m.push(&dict{})
	case (g.name == "_rebuild_parameter" || g.name == "Parameter") && len(args) >= 1:
		t, ok := args[0].(*Tensor)
		if !ok {
			return errors.New("a parameter around something that is no tensor")
		}
		return m.push(t)
	case (g.name == "_rebuild_tensor" || g.name == "_rebuild_tensor_v2") && len(args) >= 4:
		t, err := rebuildTensor(args)
		if err != nil {
			return err
		}
		return m.push(t)
	}
	return fmt.Errorf("calls %s with %d arguments", g.name, len(args))
}

// rebuildTensor checks _rebuild_tensor's arguments: storage, offset, size and
// stride, the last three in elements.
func rebuildTensor(args tuple) (*Tensor, error) {
	s, ok := args[0].(*storage)
	if !ok {
		return nil, errors.New("a tensor without a storage")
	}
	offset, ok := args[1].(int64)
	if !ok || offset < 0 || offset > s.count {
		return nil, errors.New("a tensor that begins outside its storage")
	}
	shape, err := dimensions(args[2])
	if err != nil {
		return nil, fmt.Errorf("size of a tensor: %w", err)
	}
	stride, err := dimensions(args[3])
	if err != nil {
		return nil, fmt.Errorf("stride of a tensor: %w", err)
	}
	if len(shape) != len(stride) {
		return nil, errors.New("a tensor with more dimensions than strides")
	}
	t := &Tensor{DType: s.dtype, Shape: shape, stride: stride, offset: offset, storage: s}
	if slices.Contains(shape, 0) {
		return t, nil
	}
	elements, last := int64(1), offset
	for i, n := range shape {
		// Expanded tensors (stride 0) repeat elements; refusing more elements than
		// the storage has keeps a small file from asking for much memory.
		if elements > s.count/int64(n) {
			return nil, fmt.Errorf("a tensor of shape %v in a storage of %d elements", shape, s.count)
		}
		elements *= int64(n)
		last += int64(n-1) * int64(stride[i])
		if last >= s.count {
			return nil, fmt.Errorf("a tensor of shape %v and strides %v ends outside its storage of %d elements", shape, stride, s.count)
		}
	}
	if last >= s.count {
		return nil, fmt.Errorf("a tensor at %d in a storage of %d elements", offset, s.count)
	}
	return t, nil
}

// maxRank is far above the four dimensions of a convolution's weights.
const maxRank = 8

func dimensions(v any) ([]int, error) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("no tuple of at most %d numbers", maxRank)
	}
	out := make([]int, len(t))
	for i, d := range t {
		n, ok := d.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("dimension %d is %v", i, d)
		}
		out[i] = int(n)
	}
	return out, nil
}

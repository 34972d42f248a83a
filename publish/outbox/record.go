package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// A segment is records one behind the other, each
//
//	magic    4 bytes
//	length   uint32, of the body
//	checksum uint32, CRC-32C of length and body
//	body
//
// with little-endian integers. Where bytes were damaged or a write was cut off, reading goes on at
// the next magic whose checksum is right, so that damage costs the records that it touches and no
// others. The magic is no UTF-8 and so is never part of a payload that is JSON.
const (
	headerSize = 12
	// maxBody bounds a record: what a segment may hold beside it doesn't matter then.
	maxBody = 8 << 20
)

var (
	magic    = []byte{'G', 0xff, 'M', 0xfe}
	checksum = crc32.MakeTable(crc32.Castagnoli)
)

// The first byte of a body says what it is.
const (
	bodyMessage = 1
	// bodySeal is the last record of a segment that was closed in order.
	bodySeal = 2
)

// appendRecord appends a record with the body that fill appends.
func appendRecord(b []byte, fill func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, magic...)
	b = append(b, make([]byte, headerSize-len(magic))...)
	b = fill(b)
	binary.LittleEndian.PutUint32(b[at+4:], uint32(len(b)-at-headerSize))
	binary.LittleEndian.PutUint32(b[at+8:], sum(b[at:]))
	return b
}

// sum is the checksum of a record that begins at r's begin and ends at its end.
func sum(r []byte) uint32 {
	return crc32.Update(crc32.Checksum(r[4:8], checksum), checksum, r[headerSize:])
}

// scan calls visit with every whole record's body and its offset, in order, and returns how many
// bytes belong to none.
func scan(data []byte, visit func(offset int, body []byte)) (damaged int) {
	for at := 0; at < len(data); {
		if n := recordLength(data[at:]); n > 0 {
			visit(at, data[at+headerSize:at+n])
			at += n
			continue
		}
		next := bytes.Index(data[at+1:], magic)
		if next < 0 {
			return damaged + len(data) - at
		}
		damaged += next + 1
		at += next + 1
	}
	return damaged
}

// recordLength is the length of the whole record that data begins with, or 0.
func recordLength(data []byte) int {
	if len(data) < headerSize || !bytes.HasPrefix(data, magic) {
		return 0
	}
	n := binary.LittleEndian.Uint32(data[4:])
	if n > maxBody || int(n) > len(data)-headerSize {
		return 0
	}
	end := headerSize + int(n)
	if sum(data[:end]) != binary.LittleEndian.Uint32(data[8:]) {
		return 0
	}
	return end
}

// entry is a message in the outbox.
type entry struct {
	id uint64
	// at is when it was put there.
	at      time.Time
	message publish.Message
}

const (
	flagRetain   = 1 << 2
	flagUnsynced = 1 << 3
	flagWhole    = 1 << 4
)

func appendMessage(b []byte, e entry) []byte {
	m := &e.message
	flags := m.QoS & 3
	if m.Retain {
		flags |= flagRetain
	}
	if m.Clock.Unsynced {
		flags |= flagUnsynced
	}
	if m.Whole {
		flags |= flagWhole
	}
	b = append(b, bodyMessage, flags)
	b = binary.AppendUvarint(b, e.id)
	b = binary.AppendVarint(b, e.at.UnixNano())
	b = binary.AppendVarint(b, int64(m.Clock.SinceBoot))
	b = appendText(b, m.Clock.BootID)
	b = appendText(b, string(m.Kind))
	b = appendText(b, m.Topic)
	return append(b, m.Payload...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// identify returns the id of a body that holds a message, and when that was put there.
func identify(body []byte) (id uint64, at time.Time, ok bool) {
	if len(body) < 2 || body[0] != bodyMessage {
		return 0, time.Time{}, false
	}
	r := reader{rest: body[2:]}
	id = r.unsigned()
	at = time.Unix(0, r.signed())
	return id, at, !r.short && id > 0
}

var errNotMessage = errors.New("not a message")

// parseMessage reads what appendMessage wrote. The payload is a copy.
func parseMessage(body []byte) (entry, error) {
	if len(body) < 2 || body[0] != bodyMessage {
		return entry{}, errNotMessage
	}
	flags := body[1]
	r := reader{rest: body[2:]}
	e := entry{id: r.unsigned(), at: time.Unix(0, r.signed())}
	e.message = publish.Message{QoS: flags & 3, Retain: flags&flagRetain != 0, Whole: flags&flagWhole != 0}
	e.message.Clock = publish.Clock{Unsynced: flags&flagUnsynced != 0, SinceBoot: time.Duration(r.signed()), BootID: r.text()}
	e.message.Kind = publish.Kind(r.text())
	e.message.Topic = r.text()
	e.message.Payload = bytes.Clone(r.rest)
	if r.short || e.id == 0 {
		return entry{}, fmt.Errorf("%w: it ends too soon", errNotMessage)
	}
	return e, nil
}

// seal is what the end of a segment says of the whole.
type seal struct {
	first, last, count uint64
	newest             time.Time
}

func appendSeal(b []byte, s seal) []byte {
	b = append(b, bodySeal)
	for _, n := range []uint64{s.first, s.last, s.count, uint64(s.newest.UnixNano())} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// sealSize is the length of a record that holds a seal.
const sealSize = headerSize + 1 + 4*8

// parseSeal reads the seal that tail, the last sealSize bytes of a segment, may hold.
func parseSeal(tail []byte) (seal, bool) {
	if recordLength(tail) != sealSize || tail[headerSize] != bodySeal {
		return seal{}, false
	}
	var n [4]uint64
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(tail[headerSize+1+8*i:])
	}
	return seal{n[0], n[1], n[2], time.Unix(0, int64(n[3]))}, n[0] > 0 && n[0] <= n[1]
}

// reader takes values off the front of a body; short says that one wasn't there.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) unsigned() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *reader) text() string {
	n := r.unsigned()
	if n > uint64(len(r.rest)) {
		r.short = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.short, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}

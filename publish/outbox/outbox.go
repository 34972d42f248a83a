// Package outbox keeps messages on disk until a broker has acknowledged them.
//
// It is a log: messages are appended to segments, files of 256 KiB, and a segment is deleted when
// every message in it is settled. Appending only copies into memory; a goroutine writes what came
// together every Options.Sync, with one fsync. So a power cut costs at most the messages of that
// time, damage on disk only the records that it touches, and no caller waits for the disk.
package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

const (
	// segmentSize is when a new segment is begun, in bytes: small, so that the oldest ones
	// are deleted in small steps, and that one fits into memory to be read.
	segmentSize = 256 << 10
	// maxBuffer bounds what waits in memory for a slow disk, in bytes.
	maxBuffer = 4 << 20
	// agingEvery is how often messages are looked for that are too old.
	agingEvery = time.Minute
)

// ErrBusy says that the disk doesn't keep up; ErrClosed that the outbox was closed.
var (
	ErrBusy   = errors.New("the outbox's disk doesn't keep up")
	ErrClosed = errors.New("the outbox is closed")
)

// Options say where and how much is kept.
type Options struct {
	// Dir is made when it is needed first.
	Dir string
	// MaxBytes bounds the files, MaxMessages what waits in them, MaxAge how long it does. Where a
	// bound is reached the oldest messages go. 0: no bound.
	MaxBytes    int64
	MaxMessages uint64
	MaxAge      time.Duration
	// Sync is the time between writes to the disk; 0: each message is on the disk when Append returns.
	Sync time.Duration
	// Clock sets messages right that were made before the machine knew the time, in this boot or in
	// one of the last; nil: it isn't done.
	Clock publish.BootClock
	// Log; nil: none.
	Log *slog.Logger
}

// State is how things stand.
type State struct {
	// Pending is how many messages are kept, Bytes the size of the files.
	Pending uint64
	Bytes   int64
	// Lost counts messages that were given up: for a bound, a full disk or damage.
	Lost uint64
	// Fault is why the last write failed, Since when that began; empty: it didn't.
	Fault string
	Since time.Time
}

// Outbox is safe for concurrent use.
type Outbox struct {
	opts Options
	log  *slog.Logger
	dir  *os.File // locked; nil until the folder is there; guarded by writing

	// writing is held while files change. It is taken before mu.
	writing sync.Mutex
	kick    chan struct{}
	stop    chan struct{}
	stopped chan struct{}

	mu sync.Mutex
	// What follows is guarded by mu. segments are those that are written no more, oldest first.
	segments []*segment
	active   *segment
	file     *os.File // of active; guarded by writing
	buffer   []byte
	buffered span
	newest   time.Time // of buffer
	next     uint64    // the id of the next message
	written  uint64    // ids up to here are in files
	settled  ids
	held     map[uint64]struct{}
	cursor   uint64
	page     *page
	garbage  []string // files to delete
	unsaved  bool     // the cursor file is out of date
	boots    boots    // when the last boots were
	lost     uint64
	full     bool // a bound was reached, and said so
	fault    string
	since    time.Time
	closed   bool
}

// Open opens the outbox in o.Dir, which another process may not use at the same time. Nothing in
// the folder, however damaged, is an error; only a folder that can't be used is.
func Open(o Options) (*Outbox, error) {
	b := &Outbox{
		opts: o, log: o.Log, held: map[uint64]struct{}{}, next: 1,
		kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("opening the outbox %s: %w", o.Dir, errors.Join(err, b.unlock()))
	}
	go b.run()
	return b, nil
}

// load takes over what an earlier process left.
func (b *Outbox) load() error {
	if _, err := os.Stat(b.opts.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil // it costs nothing until it is needed
	}
	if err := b.lock(); err != nil {
		return err
	}
	b.boots = readBoots(b.opts.Dir)
	next, settled, err := readCursor(b.opts.Dir)
	if err != nil {
		b.log.Warn("outbox: some messages may be sent a second time", "folder", b.opts.Dir, "error", err)
	}
	paths, err := listSegments(b.opts.Dir)
	if err != nil {
		return err
	}
	var lost uint64
	damaged := 0
	for _, path := range paths {
		f, ok, err := openSegment(path)
		switch {
		case err != nil:
			b.log.Error("outbox: a file can't be read", "file", path, "error", err)
			next = max(next, firstOf(path)+1) // its name is taken
			continue
		case !ok:
			damaged += f.damaged
			b.garbage = append(b.garbage, path)
			continue
		}
		damaged += f.damaged
		for _, m := range f.missing {
			lost += settled.add(m.first, m.last)
		}
		seg := f.segment
		b.segments = append(b.segments, &seg)
		next = max(next, seg.last+1)
	}
	// Ids of files that are gone were settled, whether the cursor says so or not.
	id := uint64(1)
	for _, s := range b.segments {
		if id < s.first {
			settled.add(id, s.first-1)
		}
		id = max(id, s.last+1)
	}
	b.next = max(next, 1)
	settled.add(id, b.next-1)
	b.written, b.settled, b.lost, b.unsaved = b.next-1, settled, lost, true
	b.collect(1, b.next)
	if n := b.pending(); n > 0 || lost > 0 {
		b.log.Info("outbox: messages of an earlier run are waiting", "messages", n, "folder", b.opts.Dir)
	}
	if damaged > 0 || lost > 0 {
		b.log.Warn("outbox: files were damaged; what was whole is kept", "damaged_bytes", damaged, "lost", lost, "folder", b.opts.Dir)
	}
	return nil
}

// Append keeps m and returns its id. A held message is the caller's to deliver; Next doesn't hand
// it out until Rewind.
func (b *Outbox) Append(m publish.Message, hold bool) (uint64, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, ErrClosed
	}
	if len(b.buffer) > maxBuffer {
		b.lost++
		b.mu.Unlock()
		return 0, ErrBusy
	}
	if len(m.Payload)+len(m.Topic)+256 > maxBody {
		b.mu.Unlock()
		return 0, fmt.Errorf("keeping a message to %s in the outbox: %d bytes are more than %d", m.Topic, len(m.Payload), maxBody)
	}
	e := entry{id: b.next, at: time.Now(), message: m}
	b.next++
	if len(b.buffer) == 0 {
		b.buffered.first = e.id
	}
	b.buffered.last, b.newest = e.id, e.at
	b.buffer = appendRecord(b.buffer, func(body []byte) []byte { return appendMessage(body, e) })
	if hold {
		b.held[e.id] = struct{}{}
	}
	b.bound()
	b.mu.Unlock()
	if b.opts.Sync == 0 {
		b.flush(true)
		return e.id, nil
	}
	b.poke()
	return e.id, nil
}

// Next hands out the oldest message that is neither settled nor held, and holds it. An ok of false
// means that there is none.
func (b *Outbox) Next() (id uint64, m publish.Message, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		id := b.free(b.cursor)
		if id >= b.next {
			return 0, publish.Message{}, false
		}
		if id > b.written {
			b.mu.Unlock()
			wrote := b.flush(false)
			b.mu.Lock()
			if !wrote && id > b.written && !b.settled.has(id) {
				return 0, publish.Message{}, false // the disk takes nothing now
			}
			continue
		}
		e, last, ok := b.read(id)
		if !ok { // what can't be read is lost
			b.lose(id, last)
			b.log.Warn("outbox: messages on disk can't be read", "lost", last-id+1, "folder", b.opts.Dir)
			continue
		}
		b.cursor = id + 1
		if b.tooOld(e.at) {
			b.lose(id, id)
			continue
		}
		b.held[id] = struct{}{}
		b.setRight(&e.message)
		return id, e.message, true
	}
}

// read returns the message of an id that is in a file; where it isn't there, last is the last of
// the ids from id on that aren't.
func (b *Outbox) read(id uint64) (e entry, last uint64, ok bool) {
	seg := b.segmentOf(id)
	if seg == nil {
		return entry{}, id, false
	}
	if b.page == nil || b.page.path != seg.path || len(b.page.data) < int(seg.bytes) {
		p, err := readPage(seg.path)
		if err != nil {
			b.log.Error("outbox: a file can't be read", "file", seg.path, "error", err)
			return entry{}, seg.last, false
		}
		b.page = p
	}
	s, found := b.page.from(id)
	switch {
	case !found:
		return entry{}, seg.last, false
	case s.id > id:
		return entry{}, s.id - 1, false
	}
	e, err := parseMessage(b.page.data[s.start:s.end])
	return e, id, err == nil
}

// segmentFrom is the place of the first segment that ends with id or later.
func (b *Outbox) segmentFrom(id uint64) int {
	return sort.Search(len(b.segments), func(i int) bool { return b.segments[i].last >= id })
}

// segmentOf is the segment that an id was written to, or nil.
func (b *Outbox) segmentOf(id uint64) *segment {
	i := b.segmentFrom(id)
	if i < len(b.segments) && b.segments[i].first <= id {
		return b.segments[i]
	}
	if b.active != nil && b.active.first <= id && id <= b.active.last {
		return b.active
	}
	return nil
}

// Done settles a message: the broker has it.
func (b *Outbox) Done(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, id)
	if b.settled.add(id, id) == 0 {
		return
	}
	b.unsaved = true
	b.collect(id, id)
	if b.pending() == 0 {
		b.poke()
	}
}

// Release gives back a message that was held: Next may hand it out again.
func (b *Outbox) Release(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, held := b.held[id]; held {
		delete(b.held, id)
		b.cursor = min(b.cursor, id)
	}
}

// Rewind makes every message that isn't settled one for Next.
func (b *Outbox) Rewind() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.held)
	b.cursor = 0
}

// State returns how things stand.
func (b *Outbox) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return State{Pending: b.pending(), Bytes: b.size(), Lost: b.lost, Fault: b.fault, Since: b.since}
}

// Close writes what was appended. Messages that aren't settled are there for the next Open.
func (b *Outbox) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	close(b.stop)
	<-b.stopped
	b.flush(true)
	b.tidy(true)
	b.writing.Lock()
	defer b.writing.Unlock()
	var err error
	if b.file != nil {
		err = b.file.Close()
		b.file = nil
	}
	if fault := b.State().Fault; fault != "" {
		err = errors.Join(err, fmt.Errorf("closing the outbox: %s", fault))
	}
	return errors.Join(err, b.unlock())
}

// The methods from here on need mu.

func (b *Outbox) pending() uint64 { return b.next - 1 - b.settled.count }

func (b *Outbox) size() int64 {
	n := int64(len(b.buffer))
	for _, s := range b.segments {
		n += s.bytes
	}
	if b.active != nil {
		n += b.active.bytes
	}
	return n
}

// free is the smallest id from id on that is neither settled nor held.
func (b *Outbox) free(id uint64) uint64 {
	for id = max(id, 1); ; id++ {
		id = b.settled.next(id)
		if _, held := b.held[id]; !held {
			return id
		}
	}
}

func (b *Outbox) tooOld(at time.Time) bool {
	return b.opts.MaxAge > 0 && time.Since(at) > b.opts.MaxAge
}

// lose gives up the ids from first to last, less those that are held: they are on their way.
func (b *Outbox) lose(first, last uint64) {
	b.lost += b.settled.add(first, last)
	for id := range b.held {
		if first <= id && id <= last {
			b.lost--
		}
	}
	b.unsaved = true
	b.collect(first, last)
}

// bound gives up the oldest messages until the bounds hold.
func (b *Outbox) bound() {
	before := b.lost
	for b.opts.MaxMessages > 0 && b.pending() > b.opts.MaxMessages {
		oldest := b.free(1)
		if oldest >= b.next {
			break
		}
		b.lose(oldest, oldest)
	}
	for b.opts.MaxBytes > 0 && b.size() > b.opts.MaxBytes && len(b.segments) > 0 {
		b.lose(b.segments[0].first, b.segments[0].last)
	}
	if b.lost > before && !b.full {
		b.full = true
		b.log.Warn("outbox: full, the oldest messages are given up", "messages", b.pending(), "bytes", b.size(), "folder", b.opts.Dir)
	}
}

// collect takes out the segments with ids from first to last that are settled as a whole.
func (b *Outbox) collect(first, last uint64) {
	for i := b.segmentFrom(first); i < len(b.segments) && b.segments[i].first <= last; {
		s := b.segments[i]
		if !b.settled.covers(s.first, s.last) {
			i++
			continue
		}
		b.garbage = append(b.garbage, s.path)
		b.segments = slices.Delete(b.segments, i, i+1)
	}
}

func (b *Outbox) poke() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// lock makes the folder and keeps other processes out of it; writing is held, or nobody else knows of b.
func (b *Outbox) lock() error {
	if b.dir != nil {
		return nil
	}
	if err := os.MkdirAll(b.opts.Dir, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(b.opts.Dir)
	if err != nil {
		return err
	}
	if err := lockFile(dir); err != nil {
		return errors.Join(err, dir.Close())
	}
	b.dir = dir
	return nil
}

func (b *Outbox) unlock() error {
	if b.dir == nil {
		return nil
	}
	err := b.dir.Close()
	b.dir = nil
	return err
}

package outbox

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// run writes what was appended, and tidies up.
func (b *Outbox) run() {
	defer close(b.stopped)
	aging := time.NewTicker(agingEvery)
	defer aging.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-aging.C: // the clock may have been set, too
			b.age()
		case <-b.kick:
			if b.opts.Sync > 0 {
				select { // more comes in the meantime
				case <-b.stop:
					return
				case <-time.After(b.opts.Sync):
				}
			}
			b.flush(true)
		}
		b.tidy(false)
	}
}

// age gives up what is too old.
func (b *Outbox) age() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.segments) > 0 && b.tooOld(b.segments[0].newest) {
		first, last := b.segments[0].first, b.segments[0].last
		before := b.lost
		b.lose(first, last)
		b.log.Warn("outbox: messages became too old", "lost", b.lost-before, "limit", b.opts.MaxAge)
	}
}

// flush writes what was appended to the active segment and says whether all is in files now. sync
// makes it survive a power cut.
func (b *Outbox) flush(sync bool) bool {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	batch, ids, newest := b.buffer, b.buffered, b.newest
	b.buffer = nil
	if len(batch) > 0 && b.settled.covers(ids.first, ids.last) { // delivered before the disk saw them
		batch, b.written = nil, ids.last
	}
	b.mu.Unlock()
	if len(batch) == 0 {
		if sync && b.file != nil {
			b.noteFault(b.file.Sync())
		}
		return true
	}
	for {
		err := b.write(batch, ids, newest, sync)
		b.noteFault(err)
		if err == nil {
			return true
		}
		b.mu.Lock()
		if len(b.segments) > 0 { // the oldest makes room for the newest
			b.lose(b.segments[0].first, b.segments[0].last)
			b.mu.Unlock()
			b.deleteGarbage()
			continue
		}
		b.lose(ids.first, ids.last)
		b.written = ids.last
		b.mu.Unlock()
		return false
	}
}

// write appends a batch to the active segment, or to a new one. After an error nothing of the batch counts.
func (b *Outbox) write(batch []byte, ids span, newest time.Time, sync bool) error {
	if b.file == nil {
		if err := b.create(ids.first); err != nil {
			return err
		}
	}
	b.mu.Lock()
	good := b.active.bytes
	b.mu.Unlock()
	_, err := b.file.WriteAt(batch, good)
	if err == nil && sync {
		err = b.file.Sync()
	}
	if err != nil {
		// Whatever is behind good is cut off, or read as damage one day: ids in it that are written again elsewhere don't matter.
		_ = b.file.Truncate(good)
		b.retire()
		return err
	}
	b.mu.Lock()
	b.active.last, b.active.newest = ids.last, newest
	b.active.bytes = good + int64(len(batch))
	b.written = ids.last
	full := b.active.bytes >= segmentSize
	b.mu.Unlock()
	if full {
		b.sealActive()
	}
	return nil
}

// create begins a new segment.
func (b *Outbox) create(first uint64) error {
	if err := b.lock(); err != nil {
		return err
	}
	path := segmentPath(b.opts.Dir, first)
	// A file of this name holds no message: it was left by a write that failed.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := b.dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.file, b.active = file, &segment{path: path, first: first, last: first - 1}
	return nil
}

// sealActive closes the active segment with a record that says what it holds.
func (b *Outbox) sealActive() {
	b.mu.Lock()
	a := *b.active
	b.mu.Unlock()
	end := appendRecord(nil, func(body []byte) []byte {
		return appendSeal(body, seal{a.first, a.last, a.last - a.first + 1, a.newest})
	})
	if _, err := b.file.WriteAt(end, a.bytes); err == nil {
		b.mu.Lock()
		b.active.bytes += int64(len(end))
		b.mu.Unlock()
	}
	_ = b.file.Sync() // without a seal it is read through the next time
	b.retire()
}

// retire makes the active segment one that is written no more.
func (b *Outbox) retire() {
	_ = b.file.Close() // everything in it was synced, or is counted as lost
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.active.last >= b.active.first {
		b.segments = append(b.segments, b.active)
		b.collect(b.active.first, b.active.last)
	} else {
		b.garbage = append(b.garbage, b.active.path)
	}
	b.file, b.active = nil, nil
}

// tidy deletes what is settled and saves the cursor.
func (b *Outbox) tidy(closing bool) {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	idle := b.pending() == 0 && len(b.buffer) == 0
	if idle {
		b.full = false
	}
	b.mu.Unlock()
	if idle && b.file != nil {
		b.retire()
	}
	b.deleteGarbage()
	b.mu.Lock()
	unsaved := b.unsaved || closing
	newBoot := b.noteBoot()
	boots := slices.Clone(b.boots)
	next, settled := b.next, ids{spans: append([]span(nil), b.settled.spans[:min(len(b.settled.spans), maxSpans)]...)}
	b.unsaved = false
	b.mu.Unlock()
	if newBoot && b.dir != nil {
		if err := writeBoots(b.opts.Dir, boots); err != nil {
			b.log.Debug("outbox: saving when this boot was", "error", err)
		}
	}
	if unsaved && b.dir != nil {
		if err := writeCursor(b.opts.Dir, next, &settled); err != nil {
			b.log.Debug("outbox: saving what was delivered", "error", err)
		}
	}
}

func (b *Outbox) deleteGarbage() {
	b.mu.Lock()
	garbage := b.garbage
	b.garbage = nil
	b.mu.Unlock()
	for _, path := range garbage {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.log.Error("outbox: deleting a file", "error", err)
		}
	}
}

// noteFault keeps and logs why writing fails, and that it works again.
func (b *Outbox) noteFault(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.fault
	b.fault = ""
	if err != nil {
		b.fault = err.Error()
	}
	switch {
	case b.fault == was:
		return
	case err == nil:
		b.log.Info("outbox: writing works again", "lost", b.lost)
	default:
		b.since = time.Now()
		b.log.Error("outbox: writing failed; the oldest messages make room where that helps", "error", err)
	}
}

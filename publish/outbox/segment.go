package outbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const segmentSuffix = ".seg"

// segment is a file of records with ids from first to last, in their order.
type segment struct {
	path        string
	first, last uint64
	bytes       int64
	// newest is when the newest of its messages was put into the outbox.
	newest time.Time
}

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", first, segmentSuffix))
}

// firstOf is the id that a segment's name has.
func firstOf(path string) uint64 {
	id, _ := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), segmentSuffix), 16, 64)
	return id
}

// found is what opening a segment came to.
type found struct {
	segment
	// missing are the ids between first and last that can't be read.
	missing []span
	damaged int
}

// openSegment finds out what a file holds. One that was closed in order is not read through. An
// ok of false means that it holds nothing.
func openSegment(path string) (f found, ok bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return found{}, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return found{}, false, err
	}
	f.path, f.bytes = path, info.Size()
	if f.bytes > sealSize {
		tail := make([]byte, sealSize)
		if _, err := file.ReadAt(tail, f.bytes-sealSize); err != nil {
			return found{}, false, err
		}
		if s, sealed := parseSeal(tail); sealed {
			f.first, f.last, f.newest = s.first, s.last, s.newest
			return f, true, nil
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return found{}, false, err
	}
	var present ids
	f.damaged = scan(data, func(_ int, body []byte) {
		id, at, isMessage := identify(body)
		if !isMessage {
			return
		}
		present.add(id, id)
		if at.After(f.newest) {
			f.newest = at
		}
	})
	if present.count == 0 {
		return f, false, nil
	}
	f.first, f.last = present.spans[0].first, present.spans[len(present.spans)-1].last
	for i, s := range present.spans[1:] {
		f.missing = append(f.missing, span{present.spans[i].last + 1, s.first - 1})
	}
	return f, true, nil
}

// listSegments returns the segments' paths, oldest first.
func listSegments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		name, isSegment := strings.CutSuffix(e.Name(), segmentSuffix)
		if _, err := strconv.ParseUint(name, 16, 64); isSegment && err == nil && len(name) == 16 {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// page is a segment in memory, to be read from.
type page struct {
	path  string
	data  []byte
	slots []slot // in order of id
}

type slot struct {
	id    uint64
	at    time.Time
	start int
	end   int
}

// readPage reads a whole segment.
func readPage(path string) (*page, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &page{path: path, data: data}
	scan(data, func(offset int, body []byte) {
		if id, at, ok := identify(body); ok {
			start := offset + headerSize
			p.slots = append(p.slots, slot{id, at, start, start + len(body)})
		}
	})
	slices.SortStableFunc(p.slots, func(a, b slot) int {
		switch {
		case a.id < b.id:
			return -1
		case a.id > b.id:
			return 1
		}
		return 0
	})
	return p, nil
}

// from is the first slot with an id of id or above.
func (p *page) from(id uint64) (slot, bool) {
	i, _ := slices.BinarySearchFunc(p.slots, id, func(s slot, id uint64) int {
		switch {
		case s.id < id:
			return -1
		case s.id > id:
			return 1
		}
		return 0
	})
	if i == len(p.slots) {
		return slot{}, false
	}
	return p.slots[i], true
}

package outbox

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The cursor says which ids are settled. It is a file of its own, written without fsync: where it
// is lost or old, messages arrive a second time, which subscribers tell by their keys.
const cursorName = "settled"

// maxSpans bounds the cursor; what is above it arrives a second time after a crash.
const maxSpans = 10_000

// writeCursor writes the ids below next that are settled.
func writeCursor(dir string, next uint64, settled *ids) error {
	b := appendRecord(nil, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint64(b, next)
		for _, s := range settled.spans[:min(len(settled.spans), maxSpans)] {
			b = binary.LittleEndian.AppendUint64(b, s.first)
			b = binary.LittleEndian.AppendUint64(b, s.last)
		}
		return b
	})
	return replaceFile(filepath.Join(dir, cursorName), b)
}

// replaceFile writes a file as a whole, or not at all while the machine runs; it isn't synced.
func replaceFile(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readCursor returns the next id and the settled ones; nothing where there is no cursor that can be read.
func readCursor(dir string) (next uint64, settled ids, err error) {
	b, err := os.ReadFile(filepath.Join(dir, cursorName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ids{}, nil
	}
	if err != nil {
		return 0, ids{}, err
	}
	if recordLength(b) != len(b) || (len(b)-headerSize)%16 != 8 {
		return 0, ids{}, errors.New("the list of what was delivered is damaged")
	}
	b = b[headerSize:]
	next, b = binary.LittleEndian.Uint64(b), b[8:]
	for ; len(b) > 0; b = b[16:] {
		settled.add(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
	}
	return next, settled, nil
}

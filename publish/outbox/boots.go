package outbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// A machine without a clock chip doesn't know the time until somebody tells it. What was kept
// before that is set right later, even if the power was cut in between: for that a file says
// when the last boots were.
const (
	bootsName = "boots"
	maxBoots  = 16
)

// boots are those of which it is known when they were, oldest first.
type boots []boot

type boot struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

func (b boots) find(id string) (time.Time, bool) {
	i := slices.IndexFunc(b, func(x boot) bool { return x.ID == id })
	if i < 0 {
		return time.Time{}, false
	}
	return b[i].At, true
}

// readBoots returns none where they can't be read: times stay as they are then.
func readBoots(dir string) boots {
	data, err := os.ReadFile(filepath.Join(dir, bootsName))
	if err != nil {
		return nil
	}
	var b boots
	if json.Unmarshal(data, &b) != nil {
		return nil
	}
	return b
}

func writeBoots(dir string, b boots) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, bootsName), data)
}

// noteBoot notes when this boot was as soon as that is known; true means that it is news. It needs mu.
func (b *Outbox) noteBoot() bool {
	if b.opts.Clock == nil || b.pending() == 0 {
		return false
	}
	id, at, synced := b.opts.Clock()
	if _, known := b.boots.find(id); known || !synced || id == "" {
		return false
	}
	b.boots = append(b.boots, boot{id, at})
	if len(b.boots) > maxBoots {
		b.boots = b.boots[1:]
	}
	return true
}

// setRight gives a message its time where that is known by now. It needs mu.
func (b *Outbox) setRight(m *publish.Message) {
	if !m.Clock.Unsynced || b.opts.Clock == nil {
		return
	}
	if id, at, synced := b.opts.Clock(); synced && m.SetRight(id, at) {
		return
	}
	if at, known := b.boots.find(m.Clock.BootID); known {
		m.SetRight(m.Clock.BootID, at)
	}
}

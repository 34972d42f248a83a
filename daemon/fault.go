package daemon

import "sync"

// fault is why something that is done again and again fails, or "".
type fault struct {
	mu   sync.Mutex
	text string // guarded by mu
}

// note takes how the newest attempt ended; changed says that a failure has begun, ended or become another: what is
// worth a line in the log.
func (f *fault) note(err error) (changed bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = text != f.text
	f.text = text
	return changed
}

func (f *fault) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}

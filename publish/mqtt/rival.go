package mqtt

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// Two clients with one id throw each other out: a broker ends the older connection when the id comes again (MQTT 3.1.1,
// 3.1.4-2). That is what copied SD cards do. It shows as connections that the broker takes and soon closes, which may
// have other reasons; an id of our own for this process tells them apart.
const (
	// rivalWindow is how soon a connection must be closed to count, rivalLosses how many of them in a row.
	rivalWindow = time.Minute
	rivalLosses = 3
	// rivalPause is how long no other id is tried after that didn't help.
	rivalPause = time.Hour
)

// rival belongs to Publisher.Run.
type rival struct {
	// losses counts connections closed too soon, in a row.
	losses int
	// suffix is behind the client id while it is contested, or is tried to be.
	suffix string
	// sure says that it helped.
	sure bool
	// innocent is when it didn't help.
	innocent time.Time
}

// lost notes how a connection ended and decides under which id the next one is made.
func (r *rival) lost(byBroker bool, lasted time.Duration, now time.Time) {
	if !byBroker || lasted >= rivalWindow {
		r.losses = 0
		return
	}
	r.losses++
	switch {
	case r.sure:
	case r.suffix != "" && r.losses >= 2:
		*r = rival{innocent: now}
	case r.suffix == "" && r.losses >= rivalLosses && (r.innocent.IsZero() || now.Sub(r.innocent) >= rivalPause):
		var b [2]byte
		_, _ = rand.Read(b[:]) // never fails, see its documentation
		r.suffix, r.losses = "-"+hex.EncodeToString(b[:]), 0
	}
}

// settle takes the other id for the cure. It is called when a connection under it has lasted.
func (r *rival) settle() (news bool) {
	news = r.suffix != "" && !r.sure
	r.sure = r.suffix != ""
	return news
}

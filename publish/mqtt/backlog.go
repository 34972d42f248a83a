package mqtt

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/glimpsed/glimpsed/publish"
)

// The bounds of what waits in memory where there is no outbox: half an hour of one camera at 5
// results a second.
const (
	maxWaiting      = 10_000
	maxWaitingBytes = 8 << 20
)

const (
	// stalledAfter is how long a broker may acknowledge nothing before what it doesn't have goes
	// to the outbox.
	stalledAfter = time.Second
	// maxLive is how many messages may wait in memory in front of an outbox.
	maxLive = 1000
)

// store is an outbox as a backlog uses it: *outbox.Outbox.
type store interface {
	Append(m publish.Message, hold bool) (id uint64, err error)
	Next() (id uint64, m publish.Message, ok bool)
	Done(id uint64)
	Release(id uint64)
	Rewind()
}

// backlog is what the broker doesn't have yet, and the newest value of every
// retained topic. It isn't safe for concurrent use.
//
// Messages about something that happened wait in a queue and are all sent, in
// their order. Of a retained topic only the newest value is kept: one that wasn't
// sent yet takes the place of an older one, and all are sent again on each new
// connection, before the queue, since a broker may have lost them in a restart.
//
// With a store, the queue is in memory only while the broker acknowledges (live). Otherwise it is
// in the store, and the acknowledgements of what goes there end with ErrKept. What is live goes
// ahead of the store.
type backlog struct {
	waiting []*item
	bytes   int
	newest  map[string]*item
	// states are those of newest that this connection hasn't sent, in order of seq.
	states []*item
	// flight are the items taken and neither acknowledged nor given back, in order.
	flight []*item
	// lost counts what was dropped.
	lost               uint64
	maxItems, maxBytes int
	seq                uint64

	store store // nil: none
	// first says that everything goes to the store before it is sent.
	first bool
	// up says that there is a connection, live that the broker acknowledges besides.
	up, live bool
}

func newBacklog() backlog {
	return backlog{newest: map[string]*item{}, maxItems: maxWaiting, maxBytes: maxWaitingBytes}
}

// isState says that only the newest message of i's topic counts.
func isState(i *item) bool { return i.message.Retain && !i.message.Kind.Happens() }

// add accepts an item; it returns how many older ones had to be dropped for it.
func (b *backlog) add(i *item) int {
	b.seq++
	i.seq = b.seq
	if !isState(i) {
		if b.store != nil && (b.first || !b.live) && b.keep(i, b.live) && !b.live {
			i.settle(ErrKept)
			return 0
		}
		b.waiting = append(b.waiting, i)
		b.bytes += i.size()
		if b.live && b.store != nil && len(b.waiting) > maxLive {
			b.spill()
		}
		return b.trim()
	}
	old := b.newest[i.topic]
	b.newest[i.topic] = i
	if at := slices.Index(b.states, old); old != nil && at >= 0 {
		b.states = slices.Delete(b.states, at, at+1)
		old.settle(ErrSuperseded)
	}
	b.states = append(b.states, i)
	return 0
}

// keep has an item in the store, held or not; false means that the store doesn't take it.
func (b *backlog) keep(i *item, hold bool) bool {
	if i.id != 0 {
		if !hold {
			b.store.Release(i.id)
		}
		return true
	}
	id, err := b.store.Append(i.message, hold)
	if err != nil {
		return false
	}
	i.id = id
	return true
}

// spill moves what waits in memory to the store. What the store doesn't take stays.
func (b *backlog) spill() {
	b.waiting = slices.DeleteFunc(b.waiting, func(i *item) bool {
		if !b.keep(i, false) {
			return false
		}
		b.bytes -= i.size()
		i.settle(ErrKept)
		return true
	})
	if len(b.waiting) == 0 {
		b.waiting = nil
	}
}

// begin notes a new connection.
func (b *backlog) begin() { b.up, b.live = true, true }

// watch moves everything to the store when the broker has acknowledged nothing for too long.
func (b *backlog) watch(now time.Time) {
	if b.store == nil || !b.up {
		return
	}
	stalled := len(b.flight) > 0 && now.Sub(b.flight[0].sentAt) > stalledAfter
	b.live = !stalled
	if !stalled {
		return
	}
	for _, i := range b.flight {
		if !isState(i) {
			b.keep(i, true) // it may still be acknowledged
		}
	}
	b.spill()
}

// trim drops the oldest until the bounds hold; the newest always stays.
func (b *backlog) trim() int {
	n := 0
	for len(b.waiting) > 1 && (len(b.waiting) > b.maxItems || b.bytes > b.maxBytes) {
		b.pop().settle(ErrDropped)
		n++
	}
	b.lost += uint64(n)
	return n
}

func (b *backlog) pop() *item {
	i := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	b.bytes -= i.size()
	if len(b.waiting) == 0 {
		b.waiting = nil // lets go of what an outage made it grow to
	}
	return i
}

// take hands out the next item to send that is in memory, or nil.
func (b *backlog) take() *item {
	var i *item
	switch {
	case len(b.states) > 0:
		i = b.states[0]
		b.states = slices.Delete(b.states, 0, 1)
	case len(b.waiting) > 0:
		i = b.pop()
	default:
		return nil
	}
	b.taken(i)
	return i
}

func (b *backlog) taken(i *item) {
	i.sentAt = time.Now()
	b.flight = append(b.flight, i)
}

// landed takes an item out of flight.
func (b *backlog) landed(i *item) {
	if at := slices.Index(b.flight, i); at == 0 { // nearly always: acknowledgements are in order
		b.flight[0] = nil
		b.flight = b.flight[1:]
	} else if at > 0 {
		b.flight = slices.Delete(b.flight, at, at+1)
	}
}

// acknowledged settles an item that take handed out.
func (b *backlog) acknowledged(i *item) {
	b.landed(i)
	if i.id != 0 {
		b.store.Done(i.id)
	}
	i.settle(nil)
	if len(i.message.Payload) == 0 && b.newest[i.topic] == i {
		delete(b.newest, i.topic) // an empty payload removes what the broker retained
	}
}

// restart prepares for a new connection: unacked, which the last one had taken, goes
// back in front of the queue, and all states are to be sent again. It returns
// how many messages had to be dropped.
func (b *backlog) restart(unacked []*item) int {
	b.flight, b.up, b.live = nil, false, false
	var front []*item
	for _, i := range unacked {
		switch {
		case !isState(i):
			front = append(front, i)
			b.bytes += i.size()
		case b.newest[i.topic] != i:
			i.settle(ErrSuperseded)
		}
	}
	if len(front) > 0 {
		b.waiting = append(front, b.waiting...)
	}
	b.states = slices.SortedFunc(maps.Values(b.newest), func(x, y *item) int { return cmp.Compare(x.seq, y.seq) })
	if b.store != nil {
		b.spill()
		b.store.Rewind()
	}
	return b.trim()
}

// pending counts what is in memory and the broker hasn't acknowledged; kept is how many of these are in the
// store as well.
func (b *backlog) pending() (n, kept int) {
	for _, list := range [][]*item{b.flight, b.waiting} {
		n += len(list)
		for _, i := range list {
			if i.id != 0 {
				kept++
			}
		}
	}
	for _, i := range b.states {
		if !i.settled {
			n++
		}
	}
	return n, kept
}

// giveUp settles everything and forgets it; it returns how many messages the broker didn't get. What
// the store takes is not given up.
func (b *backlog) giveUp(err error) int {
	if b.store != nil {
		b.spill()
	}
	n, kept := b.pending()
	for _, i := range b.waiting {
		i.settle(err)
	}
	for _, i := range b.newest {
		i.settle(err)
	}
	b.waiting, b.states, b.newest, b.bytes = nil, nil, map[string]*item{}, 0
	return n - kept
}

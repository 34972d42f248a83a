package mqtt

import (
	"cmp"
	"maps"
	"slices"
)

// The bounds of what waits in memory: half an hour of one camera at 5 results a
// second. The outbox on disk will be in front of this.
const (
	maxWaiting      = 10_000
	maxWaitingBytes = 8 << 20
)

// backlog is what the broker doesn't have yet, and the newest value of every
// retained topic. It isn't safe for concurrent use.
//
// Messages about something that happened wait in a queue and are all sent, in
// their order. Of a retained topic only the newest value is kept: one that wasn't
// sent yet takes the place of an older one, and all are sent again on each new
// connection, before the queue, since a broker may have lost them in a restart.
type backlog struct {
	waiting []*item
	bytes   int
	newest  map[string]*item
	// states are those of newest that this connection hasn't sent, in order of seq.
	states []*item
	// sent counts items taken and neither acknowledged nor given back.
	sent int
	// lost counts what was dropped.
	lost               uint64
	maxItems, maxBytes int
	seq                uint64
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
		b.waiting = append(b.waiting, i)
		b.bytes += i.size()
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

// take hands out the next item to send, or nil.
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
	b.sent++
	return i
}

// acknowledged settles an item that take handed out.
func (b *backlog) acknowledged(i *item) {
	b.sent--
	i.settle(nil)
	if len(i.message.Payload) == 0 && b.newest[i.topic] == i {
		delete(b.newest, i.topic) // an empty payload removes what the broker retained
	}
}

// restart prepares for a new connection: unacked, which the last one had taken, goes
// back in front of the queue, and all states are to be sent again. It returns
// how many messages had to be dropped.
func (b *backlog) restart(unacked []*item) int {
	b.sent -= len(unacked)
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
	return b.trim()
}

// pending counts what the broker hasn't acknowledged.
func (b *backlog) pending() int {
	n := b.sent + len(b.waiting)
	for _, i := range b.states {
		if !i.settled {
			n++
		}
	}
	return n
}

// giveUp settles everything with err and forgets it.
func (b *backlog) giveUp(err error) {
	for _, i := range b.waiting {
		i.settle(err)
	}
	for _, i := range b.newest {
		i.settle(err)
	}
	b.waiting, b.states, b.newest, b.bytes = nil, nil, map[string]*item{}, 0
}

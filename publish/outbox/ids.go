package outbox

import (
	"slices"
	"sort"
)

// span is the ids from first to last, both included.
type span struct{ first, last uint64 }

// ids is a set of ids as spans, in order, that neither touch nor overlap. Ids are settled nearly in
// order, so there are few.
type ids struct {
	spans []span
	count uint64
}

// at is the index of the first span that ends at id or later.
func (s *ids) at(id uint64) int {
	return sort.Search(len(s.spans), func(i int) bool { return s.spans[i].last >= id })
}

func (s *ids) has(id uint64) bool {
	i := s.at(id)
	return i < len(s.spans) && s.spans[i].first <= id
}

// covers says that all ids from first to last are in the set.
func (s *ids) covers(first, last uint64) bool {
	i := s.at(first)
	return i < len(s.spans) && s.spans[i].first <= first && s.spans[i].last >= last
}

// add puts first to last into the set and returns how many of them weren't.
func (s *ids) add(first, last uint64) uint64 {
	if first > last {
		return 0
	}
	before := s.count
	// All spans that overlap or touch the new one become part of it.
	from := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].last+1 >= first })
	to := from
	merged := span{first, last}
	for ; to < len(s.spans) && s.spans[to].first <= last+1; to++ {
		merged.first, merged.last = min(merged.first, s.spans[to].first), max(merged.last, s.spans[to].last)
		s.count -= s.spans[to].last - s.spans[to].first + 1
	}
	s.spans = slices.Replace(s.spans, from, to, merged)
	s.count += merged.last - merged.first + 1
	return s.count - before
}

// next is the smallest id from id on that isn't in the set.
func (s *ids) next(id uint64) uint64 {
	if i := s.at(id); i < len(s.spans) && s.spans[i].first <= id {
		return s.spans[i].last + 1
	}
	return id
}

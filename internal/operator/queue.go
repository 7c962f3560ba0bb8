// SPDX-License-Identifier: MIT

package operator

import "bos/internal/bos"

// queue holds the components that wait to be looked at, by session, and gives
// each session its share: a small one does not wait behind a large one.
type queue struct {
	lanes map[bos.SessionKey]*lane
	// turns are the lanes that are not empty, in the order of their turns.
	turns []*lane
	// waiting are all components in the lanes.
	waiting map[string]struct{}
}

// lane is what waits of one session, oldest first.
type lane struct {
	ids  []string
	head int
}

func newQueue() queue {
	return queue{lanes: map[bos.SessionKey]*lane{}, waiting: map[string]struct{}{}}
}

// add has a component of a session wait; one that waits already keeps its
// place.
func (q *queue) add(session bos.SessionKey, id string) {
	if _, is := q.waiting[id]; is {
		return
	}
	q.waiting[id] = struct{}{}
	l := q.lanes[session]
	if l == nil {
		l = &lane{}
		q.lanes[session] = l
	}
	if len(l.ids) == 0 {
		q.turns = append(q.turns, l)
	}
	l.ids = append(l.ids, id)
}

// take removes and returns up to n components, of each session as many as of
// the others as long as it has some.
func (q *queue) take(n int) []string {
	n = min(n, len(q.waiting))
	out := make([]string, 0, max(n, 0))
	for len(out) < n {
		share := max(1, (n-len(out))/len(q.turns))
		// The lanes whose turn does not come now are the first next time.
		turns := q.turns
		q.turns = nil
		for i, l := range turns {
			if len(out) == n {
				q.turns = append(turns[i:len(turns):len(turns)], q.turns...)
				break
			}
			part := l.take(min(share, n-len(out)))
			for _, id := range part {
				delete(q.waiting, id)
			}
			out = append(out, part...)
			if len(l.ids) > 0 {
				q.turns = append(q.turns, l)
			}
		}
	}
	if len(q.waiting) == 0 {
		// What has run empty need not be remembered.
		*q = newQueue()
	}
	return out
}

func (l *lane) take(n int) []string {
	n = min(n, len(l.ids)-l.head)
	part := l.ids[l.head : l.head+n]
	if l.head += n; l.head == len(l.ids) {
		l.ids, l.head = nil, 0
	}
	return part
}

// SPDX-License-Identifier: MIT

package observe

import (
	"container/heap"
	"time"
)

// watched is a node that somebody wants to be looked at. Times are those of
// [Observer.now].
type watched[T any] struct {
	id string
	// wanted are those who want it to be looked at, often those of them who
	// expect a change; began is since when a change is expected.
	wanted, often owners
	began         time.Duration
	// due is when the next look begins; place is where the node is in the queue.
	due   time.Duration
	place int
	// asked says that somebody waits for the next look, or for the one that is
	// under way (flying, since a revision); again that somebody asked for a later
	// one than that.
	asked, again, flying bool
	since                int64
	seen                 bool
	last                 Seen[T]
}

// owners is a set of those who watch, one bit each.
type owners uint8

// nowhere is the place of a node that is not in the queue.
const nowhere = -1

// owner returns the bit of one who watches; the lock is held.
func (o *Observer[T]) owner(name string) owners {
	bit, ok := o.owners[name]
	if !ok {
		bit = 1 << len(o.owners)
		o.owners[name] = bit
	}
	return bit
}

// expect sets which of those who want a node expect a change of it.
func (o *Observer[T]) expect(n *watched[T], often owners, now time.Duration) {
	switch {
	case n.often == 0 && often != 0:
		n.began = now
		o.often++
	case n.often != 0 && often == 0:
		o.often--
	}
	n.often = often
}

// ask has a node looked at before all that nobody asked for, in the order in
// which they are asked for.
func (o *Observer[T]) ask(n *watched[T], now time.Duration, since int64) {
	if n.flying {
		if n.since < since {
			n.again = true
		} else {
			n.asked = true
		}
		return
	}
	if !n.asked {
		n.asked = true
		if n.place != nowhere {
			o.asked++
		}
	}
	o.plan(n, min(n.due, now-hurry))
}

// plan sets when a node is due, unless a look at it is under way.
func (o *Observer[T]) plan(n *watched[T], due time.Duration) {
	if n.flying {
		return
	}
	n.due = due
	if n.place == nowhere {
		if n.asked {
			o.asked++
		}
		heap.Push(&o.queue, n)
		return
	}
	heap.Fix(&o.queue, n.place)
}

// unplan takes a node out of the queue.
func (o *Observer[T]) unplan(n *watched[T]) {
	if n.place == nowhere {
		return
	}
	if n.asked {
		o.asked--
	}
	heap.Remove(&o.queue, n.place)
}

// forget ends an owner's interest in a node.
func (o *Observer[T]) forget(n *watched[T], bit owners) {
	n.wanted &^= bit
	o.expect(n, n.often&^bit, 0)
	if n.wanted == 0 {
		o.unplan(n)
		delete(o.nodes, n.id)
	}
}

// queue is a heap of nodes by when they are due.
type queue[T any] []*watched[T]

// Len implements [heap.Interface].
func (q queue[T]) Len() int { return len(q) }

// Less implements [heap.Interface].
func (q queue[T]) Less(i, j int) bool { return q[i].due < q[j].due }

// Swap implements [heap.Interface].
func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements [heap.Interface].
func (q *queue[T]) Push(x any) {
	n, _ := x.(*watched[T])
	n.place = len(*q)
	*q = append(*q, n)
}

// Pop implements [heap.Interface].
func (q *queue[T]) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	n.place = nowhere
	return n
}

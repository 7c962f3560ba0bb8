// SPDX-License-Identifier: MIT

package operator

import (
	"container/heap"

	"bos/internal/bos"
)

// dues are the components that are due at some time, each once.
type dues struct {
	heap dueHeap
	byID map[string]*due
}

// due is a component and when to look at it; place is where it is in the heap.
type due struct {
	at    bos.Instant
	id    string
	place int
}

func newDues() dues { return dues{byID: map[string]*due{}} }

// set says when a component is due; 0 is never.
func (d *dues) set(id string, at bos.Instant) {
	one := d.byID[id]
	switch {
	case one == nil && at == 0:
	case one == nil:
		one = &due{at: at, id: id}
		d.byID[id] = one
		heap.Push(&d.heap, one)
	case at == 0:
		heap.Remove(&d.heap, one.place)
		delete(d.byID, id)
	case one.at != at:
		one.at = at
		heap.Fix(&d.heap, one.place)
	}
}

// next returns when the first component is due; 0 if none ever is.
func (d *dues) next() bos.Instant {
	if len(d.heap) == 0 {
		return 0
	}
	return d.heap[0].at
}

// pop takes out the first component that is due.
func (d *dues) pop() string {
	one, _ := heap.Pop(&d.heap).(*due)
	delete(d.byID, one.id)
	return one.id
}

// dueHeap orders components by when they are due.
type dueHeap []*due

// Len implements [heap.Interface].
func (h dueHeap) Len() int { return len(h) }

// Less implements [heap.Interface].
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }

// Swap implements [heap.Interface].
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements [heap.Interface].
func (h *dueHeap) Push(x any) {
	one, _ := x.(*due)
	one.place = len(*h)
	*h = append(*h, one)
}

// Pop implements [heap.Interface].
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return one
}

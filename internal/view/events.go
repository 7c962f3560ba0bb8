// SPDX-License-Identifier: MIT

package view

import (
	"cmp"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/xname"
)

// eventLog holds the events in the order of their revisions. What was handed out
// is never changed: entries are added behind, taken off in front, or the list is
// copied.
type eventLog struct {
	list  []loggedEvent
	bytes int64
	// floor is the revision of the newest event that was forgotten.
	floor int64
}

// loggedEvent is an event, where it is kept, and what that takes in bytes.
type loggedEvent struct {
	event *bos.Event
	key   string
	size  int64
}

func (v *View) applyEvent(change store.Event) error {
	if change.Deleted {
		v.events.drop(change.Key)
		return nil
	}
	event, err := store.Decode[bos.Event](change.KV)
	if err != nil {
		return err
	}
	event.Revision = change.Revision
	v.events.add(loggedEvent{&event, change.Key, int64(len(change.Key) + len(change.Value))})
	for f := range v.feeds {
		f.event()
	}
	return nil
}

func (l *eventLog) add(e loggedEvent) {
	l.bytes += e.size
	at := len(l.list)
	if at > 0 && l.list[at-1].event.Revision > e.event.Revision {
		// A store that is read as a whole comes in the order of keys.
		at, _ = slices.BinarySearchFunc(l.list, e.event.Revision+1, func(x loggedEvent, r int64) int {
			return cmp.Compare(x.event.Revision, r)
		})
		l.list = slices.Insert(slices.Clone(l.list), at, e)
		return
	}
	l.list = append(l.list, e)
}

func (l *eventLog) drop(key string) {
	// The oldest go first, so it is in front as a rule.
	at := slices.IndexFunc(l.list, func(e loggedEvent) bool { return e.key == key })
	if at < 0 {
		return
	}
	l.bytes -= l.list[at].size
	l.floor = max(l.floor, l.list[at].event.Revision)
	if at == 0 {
		l.list = l.list[1:]
		return
	}
	l.list = slices.Delete(slices.Clone(l.list), at, at+1)
}

// EventQuery says which events are asked for.
type EventQuery struct {
	// After is a revision: only later events.
	After int64
	// Tenant confines the answer to the events of a tenant's sessions; empty does
	// not.
	Tenant string
	// Session is the one that events belong to; nil is any.
	Session *bos.SessionKey
	// Nodes are those of which events must name one; nil is any, or none.
	Nodes bos.Set
	// Limit bounds the answer, in events; 0 does not.
	Limit int
}

const (
	// maxScanned bounds what one question looks at, so that none takes long: bytes
	// of events, and names of nodes where those have to be spelt out.
	maxScanned = 8 << 20
	// fewNodes is how many nodes are looked for in the ranges as they are.
	fewNodes = 8
)

// Events returns events in the order of their revisions, and from which revision
// to ask on if there may be more; 0 if there are not.
func (v *View) Events(q EventQuery) (list []*bos.Event, next int64) {
	v.mu.RLock()
	all := v.events.list
	v.mu.RUnlock()
	from, _ := slices.BinarySearchFunc(all, q.After+1, func(e loggedEvent, r int64) int {
		return cmp.Compare(e.event.Revision, r)
	})
	scanned := int64(0)
	last := q.After
	for _, e := range all[from:] {
		// Should several have one revision, they are not parted: the next question asks
		// for those after it.
		full := q.Limit > 0 && len(list) >= q.Limit || scanned >= maxScanned
		if full && e.event.Revision > last {
			return list, last
		}
		scanned += e.size
		if len(q.Nodes) > fewNodes {
			scanned += int64(e.event.Count)
		}
		last = e.event.Revision
		if q.match(e.event) {
			list = append(list, e.event)
		}
	}
	return list, 0
}

func (q *EventQuery) match(e *bos.Event) bool {
	switch {
	case q.Tenant != "" && e.Tenant != q.Tenant,
		q.Session != nil && e.SessionKey() != *q.Session:
		return false
	case q.Nodes == nil:
		return true
	case len(q.Nodes) <= fewNodes:
		for id := range q.Nodes {
			if xname.Contains(e.Nodes, id) {
				return true
			}
		}
		return false
	}
	ids, err := xname.Expand(e.Nodes)
	return err == nil && slices.ContainsFunc(ids, q.Nodes.Has)
}

// EventsSize returns how many events there are and what they take in the store,
// in bytes.
func (v *View) EventsSize() (count int, bytes int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.events.list), v.events.bytes
}

// EventsFloor returns the revision of the newest event that was forgotten.
func (v *View) EventsFloor() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.events.floor
}

// SpentEvents returns the keys of the events that are too many: the oldest ones
// beyond so many bytes, and those from before a time; the zero time keeps all.
func (v *View) SpentEvents(budget int64, before time.Time) []string {
	v.mu.RLock()
	all, over := v.events.list, v.events.bytes-budget
	v.mu.RUnlock()
	var keys []string
	for _, e := range all {
		if over <= 0 && !e.event.Time.Before(before) {
			break
		}
		over -= e.size
		keys = append(keys, e.key)
	}
	return keys
}

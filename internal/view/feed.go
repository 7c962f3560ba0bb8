// SPDX-License-Identifier: MIT

package view

import (
	"sync"

	"bos/internal/bos"
)

// Interest says what a feed is about.
type Interest struct {
	// Node says whether a change of a node is of interest; old or next is nil
	// for one that came or went. It runs under the view's lock: it must be
	// quick and must not ask the view. nil: no node is.
	Node     func(old, next *Node) bool
	Sessions bool
	// Driven: of which sessions components changed.
	Driven  bool
	Options bool
	// Attempts: that there are new or changed ones; and the nodes of those that
	// are over.
	Attempts bool
	// Events: that there are new events, of package bos's kind.
	Events bool
}

// Changes are what happened since the last time that a feed was asked. Only
// what changed is told, not how often: who wants to know more looks.
type Changes struct {
	Nodes    []string
	Sessions []bos.SessionKey
	Driven   []bos.SessionKey
	Options  bool
	Attempts bool
	Events   bool
	// Everything says that the view was read anew.
	Everything bool
}

// Feed tells a subscriber what changed. It keeps one mark per thing that
// changed, however often it did, so that it is bounded by the fleet's size.
type Feed struct {
	view     *View
	interest Interest
	wake     chan struct{}

	mu         sync.Mutex
	nodes      map[string]struct{}
	sessions   map[bos.SessionKey]struct{}
	driven     map[bos.SessionKey]struct{}
	options    bool
	attempts   bool
	events     bool
	everything bool
}

// Subscribe returns a feed. Its first changes are everything.
func (v *View) Subscribe(i Interest) *Feed {
	f := &Feed{view: v, interest: i, wake: make(chan struct{}, 1)}
	f.clear()
	f.all()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.feeds[f] = struct{}{}
	return f
}

// Close ends the feed.
func (f *Feed) Close() {
	f.view.mu.Lock()
	defer f.view.mu.Unlock()
	delete(f.view.feeds, f)
}

// C is signalled when there is something to take.
func (f *Feed) C() <-chan struct{} { return f.wake }

// Take returns what changed since it was last called.
func (f *Feed) Take() Changes {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := Changes{Options: f.options, Attempts: f.attempts, Events: f.events, Everything: f.everything}
	for id := range f.nodes {
		c.Nodes = append(c.Nodes, id)
	}
	for key := range f.sessions {
		c.Sessions = append(c.Sessions, key)
	}
	for key := range f.driven {
		c.Driven = append(c.Driven, key)
	}
	f.clear()
	return c
}

func (f *Feed) clear() {
	f.nodes = map[string]struct{}{}
	f.sessions = map[bos.SessionKey]struct{}{}
	f.driven = map[bos.SessionKey]struct{}{}
	f.options, f.attempts, f.events, f.everything = false, false, false, false
}

// mark notes a change and wakes the subscriber.
func (f *Feed) mark(note func()) {
	f.mu.Lock()
	note()
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Feed) node(id string, old, next *Node) {
	if f.interest.Node != nil && f.interest.Node(old, next) {
		f.mark(func() { f.nodes[id] = struct{}{} })
	}
	if !f.interest.Driven {
		return
	}
	f.mark(func() {
		for _, key := range []bos.SessionKey{sessionOf(old), sessionOf(next), stageOf(old), stageOf(next)} {
			if key.Name != "" {
				f.driven[key] = struct{}{}
			}
		}
	})
}

func (f *Feed) session(key bos.SessionKey) {
	if f.interest.Sessions {
		f.mark(func() { f.sessions[key] = struct{}{} })
	}
}

func (f *Feed) option() {
	if f.interest.Options {
		f.mark(func() { f.options = true })
	}
}

func (f *Feed) attempt(closed *bos.Attempt) {
	if !f.interest.Attempts {
		return
	}
	f.mark(func() {
		f.attempts = true
		if closed == nil {
			return
		}
		for _, id := range closed.Nodes {
			f.nodes[id] = struct{}{}
		}
	})
}

func (f *Feed) event() {
	if f.interest.Events {
		f.mark(func() { f.events = true })
	}
}

func (f *Feed) all() { f.mark(func() { f.everything = true }) }

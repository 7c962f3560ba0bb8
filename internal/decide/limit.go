// SPDX-License-Identifier: MIT

package decide

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bos/internal/bos"
)

// PowerLimits bound how many nodes are switched on, for the sake of the power
// supply and of the services that booting nodes ask. 0 is no bound.
type PowerLimits struct {
	// PerSecond bounds the nodes within any second of the fleet's clock.
	PerSecond int
	// InFlight bounds the nodes that were switched on and are not up yet.
	InFlight int
}

// None reports whether there is no bound at all.
func (l PowerLimits) None() bool { return l.PerSecond <= 0 && l.InFlight <= 0 }

// OnPowerLimit is what a node waits for while as many others are switched on as
// may be.
const OnPowerLimit = "its turn to be switched on"

// LimitPause is when a node is looked at again that waits for others to be up;
// one that is up wakes it earlier. maxLimitWait bounds what is told of a turn.
const (
	LimitPause   = 15 * time.Second
	maxLimitWait = time.Minute
)

// window is a second, and what an instant may be off.
const window = time.Second + time.Millisecond

// Window counts what happened within the last second. The zero value is ready.
type Window struct{ marks []windowMark }

type windowMark struct {
	at bos.Instant
	n  int
}

// Add notes that n things happen now.
func (w *Window) Add(now bos.Instant, n int) {
	if n > 0 {
		w.marks = append(w.marks, windowMark{now, n})
	}
}

// Free returns how many more may happen now for there to be no more than most in
// a second, and when there may be more than that. What is over is forgotten.
func (w *Window) Free(now bos.Instant, most int) (int, bos.Instant) {
	w.marks = slices.DeleteFunc(w.marks, func(m windowMark) bool { return m.at.Add(window) <= now })
	next := now
	for i, m := range w.marks {
		if most -= m.n; i == 0 {
			next = m.at.Add(window)
		}
	}
	return max(0, most), next
}

// Turns remembers whose nodes were switched on when, so that each session gets
// its share of what the limits leave. The zero value is ready.
type Turns struct {
	started Window
	// served numbers, for each session, the last time that it was its turn.
	served map[bos.SessionKey]int
	number int
}

// maxServed bounds how many sessions are remembered; forgetting is no harm.
const maxServed = 4096

// Started notes that nodes of sessions, one for each node, are switched on.
func (t *Turns) Started(now bos.Instant, sessions []bos.SessionKey) {
	t.started.Add(now, len(sessions))
	if t.served == nil || len(t.served) > maxServed {
		t.served = map[bos.SessionKey]int{}
	}
	t.number++
	for _, s := range sessions {
		t.served[s] = t.number
	}
}

// Allow says which of the nodes that are to be switched on may be: of each
// session as many as of the others, the session first whose turn was longest
// ago. The others wait; due says when to look at them again. inFlight is how
// many nodes were switched on and are not up.
func (t *Turns) Allow(
	l PowerLimits, now bos.Instant, inFlight int, nodes []*bos.Record,
) (allowed []string, held []HoldNode, due map[string]bos.Instant) {
	free, next, text := len(nodes), now.Add(LimitPause), ""
	if l.InFlight > 0 && l.InFlight-inFlight < free {
		free = max(0, l.InFlight-inFlight)
		text = fmt.Sprintf("waiting for its turn: at most %d nodes are switched on and not up yet at a time", l.InFlight)
	}
	rated := false
	if l.PerSecond > 0 {
		if n, at := t.started.Free(now, l.PerSecond); n < free {
			free, next, rated = n, at, true
			text = fmt.Sprintf("waiting for its turn: at most %d nodes are switched on in a second", l.PerSecond)
		}
	}
	due = map[string]bos.Instant{}
	for i, rec := range t.inTurn(nodes) {
		id := rec.Component.ID
		if i < free {
			allowed = append(allowed, id)
			continue
		}
		when := next
		if rated {
			// Those who wait come back a second's worth at a time.
			when = next.Add(min(maxLimitWait, time.Duration((i-free)/l.PerSecond)*time.Second))
		}
		due[id] = when
		held = append(held, HoldNode{ID: id, Wait: bos.Wait{By: RolePowerOn, On: OnPowerLimit, Due: when, Text: text}})
	}
	return allowed, held, due
}

// inTurn orders nodes so that each session has its turn: one node of each, then
// the next of each.
func (t *Turns) inTurn(nodes []*bos.Record) []*bos.Record {
	bySession := map[bos.SessionKey][]*bos.Record{}
	var sessions []bos.SessionKey
	for _, rec := range nodes {
		key := rec.OwnSession()
		if bySession[key] == nil {
			sessions = append(sessions, key)
		}
		bySession[key] = append(bySession[key], rec)
	}
	slices.SortFunc(sessions, func(a, b bos.SessionKey) int {
		return cmp.Or(cmp.Compare(t.served[a], t.served[b]), a.Compare(b))
	})
	out := make([]*bos.Record, 0, len(nodes))
	for round := 0; len(out) < len(nodes); round++ {
		for _, key := range sessions {
			if list := bySession[key]; round < len(list) {
				out = append(out, list[round])
			}
		}
	}
	return out
}

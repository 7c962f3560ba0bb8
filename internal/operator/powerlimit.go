// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/view"
)

// limits is what a power operator knows of the limits of power-ons. The term's
// lock guards it.
type limits struct {
	// turns are what was granted, sent what went out: it takes its time until a
	// command that was granted goes out, and no second may get two of them.
	turns decide.Turns
	sent  decide.Window
	// held are the nodes that wait for others to be up.
	held queue
}

// limited reports whether the operator has limits to keep.
func (o *powerOperator) limited() bool {
	return o.action == bos.ActionPoweringOn && !o.Limits.None()
}

// frees reports whether a node that was switched on makes way for another one:
// it is up, or nobody waits for it any more.
func (o *powerOperator) frees(old, next *view.Node) bool {
	if !o.limited() || o.Limits.InFlight <= 0 {
		return false
	}
	onItsWay := func(n *view.Node) bool { return enabled(n) && n.Status == bos.StatusPowerOnCalled }
	return onItsWay(old) && !onItsWay(next)
}

// inFlight counts the nodes that were switched on, or are about to be, and are
// not up.
func (t *powerTerm) inFlight() int {
	called := t.View.InStatus(bos.StatusPowerOnCalled)
	n := len(called)
	for _, rec := range t.View.Records(t.loop.held()) {
		if !rec.Component.Enabled.Value() || rec.Component.StatusNow() != bos.StatusPowerOnCalled {
			n++
		}
	}
	return n
}

// limit returns those of the nodes that may be switched on now, and what holds
// of the others.
func (t *powerTerm) limit(in decide.PowerInput, ids []string) ([]string, []decide.HoldNode, map[string]bos.Instant) {
	if !t.limited() || len(ids) == 0 {
		return ids, nil, map[string]bos.Instant{}
	}
	wanted := bos.NewSet(ids...)
	records := make([]*bos.Record, 0, len(ids))
	for _, n := range in.Nodes {
		if wanted.Has(n.Record.Component.ID) {
			records = append(records, n.Record)
		}
	}
	inFlight := t.inFlight()
	t.mu.Lock()
	defer t.mu.Unlock()
	allowed, held, due := t.limits.turns.Allow(t.Limits, in.Now, inFlight, records)
	if t.Limits.InFlight > 0 {
		waiting := make(bos.Set, len(held))
		for _, h := range held {
			waiting.Add(h.ID)
		}
		for _, rec := range records {
			if waiting.Has(rec.Component.ID) {
				t.limits.held.add(rec.OwnSession(), rec.Component.ID)
			}
		}
	}
	return allowed, held, due
}

// granted notes that nodes are about to be switched on.
func (t *powerTerm) granted(ids []string) {
	if !t.limited() {
		return
	}
	sessions := t.View.SessionsOf(ids)
	now := t.Clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits.turns.Started(now, sessions)
}

// freed returns as many of the nodes that wait for others to be up as there is
// room for.
func (t *powerTerm) freed() []string {
	if !t.limited() || t.Limits.InFlight <= 0 {
		return nil
	}
	room := t.Limits.InFlight - t.inFlight()
	t.mu.Lock()
	defer t.mu.Unlock()
	if room <= 0 || len(t.limits.held.waiting) == 0 {
		return nil
	}
	return t.limits.held.take(room)
}

// pace waits until n more nodes may be switched on within a second; it returns
// false if ctx ends first.
func (t *powerTerm) pace(ctx context.Context, n int) bool {
	if !t.limited() || t.Limits.PerSecond <= 0 {
		return true
	}
	n = min(n, t.Limits.PerSecond)
	for ctx.Err() == nil {
		now := t.Clock.Now()
		t.mu.Lock()
		free, next := t.limits.sent.Free(now, t.Limits.PerSecond)
		if n <= free {
			t.limits.sent.Add(now, n)
			t.mu.Unlock()
			return true
		}
		t.mu.Unlock()
		pause(ctx, max(t.Clock.Until(next), time.Millisecond))
	}
	return false
}

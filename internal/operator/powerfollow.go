// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/upstream/call"
	"bos/internal/upstream/pcs"
	"bos/internal/view"
)

const (
	// harvestAfter is when a transition is looked at for the first time: what
	// fails at once (a locked node, an unknown one) shows then, and nowhere
	// else (3-services.md, 9).
	harvestAfter = time.Second
	// harvestEvery is how often it is looked at until it is completed.
	harvestEvery = 2 * time.Second
	// fewTransitions is how many open transitions are asked for one by one; of
	// more, PCS is asked first which are completed.
	fewTransitions = 8
)

// follower looks after the commands that were sent until PCS is done with them.
type follower struct {
	*powerTerm
	due  map[string]bos.Instant
	done map[string]bool
	// suspects are the attempts of which it is not known whether they were sent,
	// and when this process first saw each.
	suspects map[string]*suspect
}

// follow runs until ctx ends. While there are no commands to look after it
// sleeps.
func (t *powerTerm) follow(ctx context.Context) {
	f := follower{powerTerm: t, due: map[string]bos.Instant{}, done: map[string]bool{}, suspects: map[string]*suspect{}}
	feed := t.View.Subscribe(view.Interest{Attempts: true})
	defer feed.Close()
	every := max(t.Clock.Real(harvestAfter)/4, 5*time.Millisecond)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-feed.C():
			feed.Take()
			timer.Reset(every)
			continue
		case <-timer.C:
		}
		if f.round(ctx) {
			timer.Reset(every)
		}
	}
}

// round looks at the attempts that are due, and reports whether there are any
// at all.
func (f *follower) round(ctx context.Context) bool {
	now := f.Clock.Now()
	open := map[string]bool{}
	var harvest []*bos.Attempt
	for _, a := range f.View.Attempts(f.action) {
		open[a.ID] = true
		if f.isActing(a.ID) {
			continue
		}
		if len(a.Transitions) == 0 || len(a.Unsure) > 0 {
			f.adopt(ctx, a)
			continue
		}
		due, known := f.due[a.ID]
		if !known {
			due = a.RecordedAt.Add(harvestAfter)
			f.due[a.ID] = due
		}
		if due <= now {
			harvest = append(harvest, a)
		}
	}
	for id := range f.due {
		if !open[id] {
			delete(f.due, id)
		}
	}
	for id := range f.suspects {
		if !open[id] {
			delete(f.suspects, id)
		}
	}
	f.harvest(ctx, now, harvest)
	return len(open) > 0
}

func (t *powerTerm) isActing(attempt string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, is := t.acting[attempt]
	return is
}

// harvest asks PCS for what became of commands.
func (f *follower) harvest(ctx context.Context, now bos.Instant, attempts []*bos.Attempt) {
	var unfinished map[string]bool
	if len(attempts) > fewTransitions {
		unfinished = f.unfinished(ctx)
	}
	var over []*bos.Attempt
	for _, a := range attempts {
		if ctx.Err() != nil {
			return
		}
		// The first look is for what failed at once, also while it goes on.
		first := f.due[a.ID] == a.RecordedAt.Add(harvestAfter)
		f.due[a.ID] = now.Add(harvestEvery)
		done := true
		for _, id := range a.Transitions {
			if f.done[id] {
				continue
			}
			if unfinished[id] && !first {
				done = false
				continue
			}
			f.done[id] = f.harvestOne(ctx, a, id)
			done = done && f.done[id]
		}
		if now.Sub(a.RecordedAt) > decide.MaxOpen {
			f.Log.Warn("pcs never completed a transition; it is no longer waited for", slog.Any("transitions", a.Transitions))
			done = true
		}
		if done {
			over = append(over, a)
		}
	}
	f.close(ctx, over)
}

// close forgets attempts that are over.
func (f *follower) close(ctx context.Context, over []*bos.Attempt) {
	if len(over) == 0 {
		return
	}
	ids := make([]string, len(over))
	for i, a := range over {
		ids[i] = a.ID
	}
	if err := f.drop(ctx, ids...); err != nil {
		f.Log.Debug("attempts were not closed yet", slog.Any("error", err))
		return
	}
	for _, a := range over {
		for _, id := range a.Transitions {
			delete(f.done, id)
		}
	}
}

// unfinished returns the transitions that PCS is not done with; nil if it does
// not say.
func (f *follower) unfinished(ctx context.Context) map[string]bool {
	list, err := f.PCS.Transitions(ctx)
	if err != nil {
		return nil
	}
	out := map[string]bool{}
	for _, s := range list {
		if !s.Completed() {
			out[s.ID] = true
		}
	}
	return out
}

// harvestOne looks at one transition and reports whether it is over.
func (f *follower) harvestOne(ctx context.Context, a *bos.Attempt, id string) bool {
	tr, err := f.PCS.Transition(ctx, id)
	if bos.IsNotFound(err) {
		return true
	}
	if err != nil {
		f.Log.Debug("pcs did not say how far a transition is", slog.String("transition", id), slog.Any("error", err))
		return false
	}
	if err := f.note(ctx, a, tr); err != nil {
		f.Log.Warn("what became of a transition was not noted", slog.String("transition", id), slog.Any("error", err))
		return false
	}
	return tr.Completed()
}

const textReserved = "waiting for a lock or a reservation of this node in hsm to be released"

// note writes to the nodes what PCS says went wrong. A task that timed out says
// nothing: the power will.
func (f *follower) note(ctx context.Context, a *bos.Attempt, tr pcs.Transition) error {
	refused, reserved := map[string]string{}, map[string]bool{}
	var ids []string
	for _, id := range a.Nodes {
		task, ok := tr.Tasks[id]
		if !ok {
			task, ok = tr.Tasks[call.Canonical(id)]
		}
		if !ok {
			continue
		}
		switch task.Outcome() {
		case pcs.Failed:
			refused[id] = fmt.Sprintf("pcs failed to carry out %s: %s", tr.Operation, task.Error)
		case pcs.Unsupported:
			refused[id] = fmt.Sprintf("pcs can't carry out %s for this node", tr.Operation)
		case pcs.Reserved:
			reserved[id] = true
		case pcs.Pending, pcs.Succeeded, pcs.TimedOut:
			continue
		}
		ids = append(ids, id)
	}
	wait := bos.Wait{
		By: f.role, On: decide.OnReservation, Text: textReserved, Due: f.Clock.Now().Add(decide.ReservationPause),
	}
	written, err := f.touch(ctx, f.l, ids, nil, func(id string, old bos.Record) (bos.Record, bool) {
		if reserved[id] {
			return f.write().Withdraw(old, a.ID, wait)
		}
		return f.write().Refuse(old, a.ID, refused[id])
	})
	told := happenings{}
	for id, rec := range written {
		if reserved[id] {
			told.add(decide.WaitHappening(wait), rec)
		} else {
			told.add(decide.Happening{Type: bos.EventRefused, Text: refused[id]}, rec)
		}
	}
	f.tell(told)
	return err
}

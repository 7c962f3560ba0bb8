// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/upstream/call"
	"bos/internal/upstream/pcs"
)

// suspect is an attempt of which it is not known whether it was sent.
type suspect struct {
	since, next time.Time
}

const (
	// adoptAfter is how long a command that nobody confirmed may still turn up
	// at PCS: it went out at most maxRecordAge after its record.
	adoptAfter = maxRecordAge + time.Second
	adoptEvery = 500 * time.Millisecond
	// clockSkew is how far PCS's clock may be behind what an attempt was recorded
	// with: little if that is PCS's own, as it is but before its first answer.
	clockSkew = 30 * time.Second
)

// adopt finds out whether a command that was recorded was sent: PCS's list of
// transitions says so, or the power of its nodes. If it was not, the attempt
// was none.
func (f *follower) adopt(ctx context.Context, a *bos.Attempt) {
	now := time.Now()
	s := f.suspects[a.ID]
	if s == nil {
		s = &suspect{since: now}
		f.suspects[a.ID] = s
	}
	if now.Before(s.next) {
		return
	}
	s.next = now.Add(adoptEvery)
	missing := f.marked(a)
	found, missing, err := f.find(ctx, a, missing)
	switch {
	case err != nil:
		f.Log.Debug("it is not known yet whether a command was sent", slog.String("attempt", a.ID), slog.Any("error", err))
	case len(missing) == 0:
		err = f.conclude(ctx, a, found, nil)
	case now.Sub(s.since) >= adoptAfter:
		err = f.conclude(ctx, a, found, missing)
	}
	if err != nil {
		f.Log.Debug("an attempt was not adopted yet", slog.String("attempt", a.ID), slog.Any("error", err))
	}
}

// marked returns the nodes of an attempt whose fate is not known and for which
// it still matters.
func (f *follower) marked(a *bos.Attempt) []string {
	ids := a.Unsure
	if len(a.Transitions) == 0 && len(a.Unsure) == 0 {
		ids = a.Nodes
	}
	var out []string
	for _, id := range ids {
		if rec := f.View.Record(id); rec != nil && rec.Sealed.Attempt != nil && rec.Sealed.Attempt.ID == a.ID {
			out = append(out, id)
		}
	}
	return out
}

// find looks for transitions of an attempt, and returns the nodes that none of
// them is about.
func (f *follower) find(ctx context.Context, a *bos.Attempt, ids []string) (found []string, missing []string, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	list, err := f.PCS.Transitions(ctx)
	if err != nil && !errors.Is(err, call.ErrUnsupported) && !call.IsRefused(err) {
		return nil, ids, err
	}
	taken := map[string]bool{}
	for _, other := range f.View.Attempts(f.action) {
		for _, id := range other.Transitions {
			taken[id] = true
		}
	}
	missing = ids
	for _, s := range list {
		if len(missing) == 0 {
			break
		}
		if taken[s.ID] || s.Operation != pcs.Operation(f.action.Operation()) || s.CreateTime.Before(a.RecordedWall.Add(-clockSkew)) {
			continue
		}
		tr, err := f.PCS.Transition(ctx, s.ID)
		if err != nil {
			return nil, ids, err
		}
		left := slices.DeleteFunc(slices.Clone(missing), func(id string) bool {
			_, has := tr.Tasks[call.Canonical(id)]
			return has
		})
		if len(left) < len(missing) {
			found = append(found, s.ID)
			missing = left
		}
	}
	return found, missing, nil
}

// conclude notes what was found out about an attempt: its transitions, and the
// nodes for which no command was sent.
func (f *follower) conclude(ctx context.Context, a *bos.Attempt, found, missing []string) error {
	unsent, err := f.unreached(ctx, missing)
	if err != nil {
		return err
	}
	f.Log.Info("an attempt of which nobody knew was cleared up", slog.String("operator", f.role),
		slog.String("attempt", a.ID), slog.Int("transitions", len(found)), slog.Int("not_sent", len(unsent)))
	_, err = f.touch(ctx, f.l, unsent, nil, func(_ string, old bos.Record) (bos.Record, bool) {
		return f.write().Withdraw(old, a.ID, bos.Wait{})
	})
	if err != nil {
		return err
	}
	doc := *a
	doc.Unsure = nil
	doc.Transitions = append(slices.Clone(a.Transitions), found...)
	doc.Fence = f.l.Fence().Revision
	if len(doc.Transitions) == 0 {
		return f.drop(ctx, a.ID)
	}
	fence := f.l.Fence()
	_, err = f.Store.PutDoc(ctx, store.AttemptKey(a.ID), doc, &fence)
	return err
}

// unreached returns those nodes whose power is not what the command would have
// made of it.
func (f *follower) unreached(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	power, err := f.PCS.PowerStatus(ctx, ids)
	if err != nil {
		return nil, err
	}
	wanted := pcs.StateOff
	if f.action == bos.ActionPoweringOn {
		wanted = pcs.StateOn
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return power[id].State == wanted }), nil
}

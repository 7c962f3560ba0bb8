// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/steer"
	"bos/internal/store"
	"bos/internal/view"
)

// completionOperator completes running sessions that have nothing left to do.
type completionOperator struct{ *Deps }

// lead implements [role].
func (o *completionOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{Node: freed, Sessions: true})
	defer feed.Close()
	newSweep(o.Deps, decide.RoleSessionCompletion, feed, func() time.Duration { return o.View.Options().Polling() },
		func(ctx context.Context) (int, error) { return o.complete(ctx, l) }).loop(ctx)
	return nil
}

// freed reports whether a change of a component may be the last thing that a
// session waited for.
func freed(old, next *view.Node) bool {
	if old == nil {
		return false
	}
	if next == nil {
		return true
	}
	return enabled(old) && !enabled(next) ||
		old.Record.OwnSession() != next.Record.OwnSession() ||
		old.Record.AwaitedStage() != next.Record.AwaitedStage()
}

func (o *completionOperator) complete(ctx context.Context, l store.Leadership) (int, error) {
	done := decide.SessionCompletion(o.View.SessionsIn(bos.SessionRunning), o.View.Busy)
	for i, rec := range done {
		if err := o.completeOne(ctx, l, rec); err != nil {
			return i, err
		}
	}
	n, err := o.cancelAbandoned(ctx, l)
	return len(done) + n, err
}

// cancelAbandoned carries cancellations on whose API died.
func (o *completionOperator) cancelAbandoned(ctx context.Context, l store.Leadership) (int, error) {
	open := slices.Concat(o.View.SessionsIn(bos.SessionPending), o.View.SessionsIn(bos.SessionRunning))
	abandoned := decide.Abandoned(o.Clock.Now(), open)
	for i, rec := range abandoned {
		fence := l.Fence()
		s := steer.Steerer{Store: o.Store, View: o.View, Write: o.write, Fence: &fence}
		nodes, err := s.Finish(ctx, rec)
		if len(nodes) > 0 {
			o.Events.Record(bos.EventSessionCancelled, rec.Session.Key(), bos.SteeredText(bos.EventSessionCancelled, len(nodes)), nodes...)
		}
		if err != nil {
			return i, fmt.Errorf("cancel session %q: %w", rec.Session.Name, err)
		}
		o.Log.Info("the cancellation of the session was carried on", slog.String("operator", decide.RoleSessionCompletion),
			slog.String("session", rec.Session.Name), slog.String("tenant", rec.Session.Tenant))
	}
	return len(abandoned), nil
}

// completeOne completes a session and saves its extended status and its result,
// in one write.
func (o *completionOperator) completeOne(ctx context.Context, l store.Leadership, rec *bos.SessionRecord) error {
	fence := l.Fence()
	key := rec.Session.Key()
	text := ""
	revision, err := store.Update[*bos.SessionRecord]{
		Key: store.SessionKey(key), Fence: &fence,
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(old *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists || old.Sealed.UID != rec.Sealed.UID || old.Session.Status.Status != bos.SessionRunning || old.Sealed.Cancelled {
				return nil, nil, errGone
			}
			now := o.wall()
			next := old.Complete(now, "")
			active, _ := o.View.Driven(key)
			text = decide.CompleteText(active)
			ops, err := steer.Closing(o.View, old, &next, now)
			return next, ops, err
		},
	}.Run(ctx, o.Store)
	if bos.IsConflict(err) && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("complete session %q: %w", key.Name, err)
	}
	o.tellSession(bos.EventSessionComplete, key, text)
	o.Log.Info("the session is complete", slog.String("operator", decide.RoleSessionCompletion),
		slog.String("session", key.Name), slog.String("tenant", key.Tenant))
	return o.View.WaitFor(ctx, revision)
}

// cleanupOperator deletes old complete sessions, and plans that no session has
// any more.
type cleanupOperator struct{ *Deps }

// lead implements [role].
func (o *cleanupOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{Options: true})
	defer feed.Close()
	newSweep(o.Deps, decide.RoleSessionCleanup, feed, func() time.Duration { return o.View.Options().Polling() },
		func(ctx context.Context) (int, error) { return o.clean(ctx, l) }).loop(ctx)
	return nil
}

func (o *cleanupOperator) clean(ctx context.Context, l store.Leadership) (int, error) {
	ttl := o.View.Options().CleanupTTL()
	deleted := 0
	var last int64
	if ttl > 0 {
		old := bos.SessionFilter{MinAge: bos.Some(ttl), Status: bos.SessionComplete}
		for _, rec := range o.View.SessionsIn(bos.SessionComplete) {
			if !old.Match(&rec.Session, o.wall()) {
				continue
			}
			revision, err := o.delete(ctx, l, rec)
			if err != nil {
				return deleted, err
			}
			last = max(last, revision)
			deleted++
		}
	}
	// Their plans are seen to be nobody's once the view knows that they are gone.
	if err := o.View.WaitFor(ctx, last); err != nil {
		return deleted, err
	}
	if err := o.cleanPlans(ctx, l); err != nil {
		return deleted, err
	}
	return deleted, o.cleanEvents(ctx, l)
}

// delete removes a session that is still as it was seen, and its saved status.
// It returns the revision of that, 0 if the session has changed.
func (o *cleanupOperator) delete(ctx context.Context, l store.Leadership, rec *bos.SessionRecord) (int64, error) {
	fence := l.Fence()
	key := rec.Session.Key()
	revision, err := o.Store.Commit(ctx, store.Txn{
		Ops: []store.Op{
			{Key: store.SessionKey(key), Delete: true, Expect: rec.Revision},
			{Key: store.StatusKey(key), Delete: true, Expect: store.AnyRevision},
			{Key: store.ResultKey(key), Delete: true, Expect: store.AnyRevision},
		},
		Fence: &fence,
	})
	if bos.IsConflict(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("delete session %q: %w", key.Name, err)
	}
	o.tellSession(bos.EventSessionDeleted, key, "the session was complete for long enough and is deleted")
	o.Log.Info("an old session was deleted", slog.String("operator", decide.RoleSessionCleanup),
		slog.String("session", key.Name), slog.String("tenant", key.Tenant))
	return revision, nil
}

// cleanEvents deletes the events that are too many or too old.
func (o *cleanupOperator) cleanEvents(ctx context.Context, l store.Leadership) error {
	var before time.Time
	if o.EventsKeep > 0 {
		before = o.wall().Add(-o.EventsKeep)
	}
	fence := l.Fence()
	for keys := range slices.Chunk(o.View.SpentEvents(o.EventsBytes, before), store.MaxOps) {
		ops := make([]store.Op, len(keys))
		for i, key := range keys {
			ops[i] = store.Op{Key: key, Delete: true, Expect: store.AnyRevision}
		}
		if _, err := o.Store.Commit(ctx, store.Txn{Ops: ops, Fence: &fence}); err != nil {
			return fmt.Errorf("delete old events: %w", err)
		}
	}
	return nil
}

// cleanPlans deletes the plans of sessions that are gone.
func (o *cleanupOperator) cleanPlans(ctx context.Context, l store.Leadership) error {
	fence := l.Fence()
	for uid, chunks := range o.View.OrphanPlans() {
		ops := make([]store.Op, chunks)
		for n := range ops {
			ops[n] = store.Op{Key: store.PlanKey(uid, n), Delete: true, Expect: store.AnyRevision}
		}
		for part := range slices.Chunk(ops, store.MaxOps) {
			if _, err := o.Store.Commit(ctx, store.Txn{Ops: part, Fence: &fence}); err != nil {
				return fmt.Errorf("delete the plan of a session that is gone: %w", err)
			}
		}
	}
	return nil
}

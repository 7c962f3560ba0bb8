// SPDX-License-Identifier: MIT

// Package steer cancels, pauses and resumes sessions. What is asked for is
// written into the session first: from then on no operator acts for it. Then its
// nodes are told, and the commands are waited for that were recorded before:
// once that is over, no further command goes out for any of them.
//
// The API does this while the client waits. If it dies on the way, the operator
// that completes sessions carries a cancellation on; a pause holds as it is.
package steer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/view"
)

// lastSend is how long after its record a command may still go out, with a
// margin (2-operators.md, invariant 1).
const lastSend = 6 * time.Second

// atOnce is how many nodes are read and then written: few, so that hardly any of
// them has reported in between, which would have it written once more.
const atOnce = 2000

// Steerer steers sessions.
type Steerer struct {
	Store *store.Store
	View  *view.View
	// Write returns the context of a write at this moment.
	Write func() bos.Write
	// Fence goes with every write of a leader; nil for others.
	Fence *store.Fence
}

// Steered is what was done with a session.
type Steered struct {
	// Changed is false if somebody had asked for it before.
	Changed bool
	// Nodes are those that were cancelled, paused or resumed now.
	Nodes []string
}

// Any reports whether anything was done.
func (s Steered) Any() bool { return s.Changed || len(s.Nodes) > 0 }

// errAlready ends an update that would write what is there already.
var errAlready = errors.New("it is so already")

// Cancel ends a session: its nodes that are not through are disabled, and it is
// complete. Commands that PCS has already are not recalled. The error has
// [bos.CodeNotFound] if there is no such session, and [bos.CodeConflict] if it
// is complete but for having been cancelled. What was done is told also with an
// error.
func (s *Steerer) Cancel(ctx context.Context, key bos.SessionKey) (did Steered, err error) {
	did.Changed, err = s.mark(ctx, key, func(rec *bos.SessionRecord) error {
		switch {
		case rec.Sealed.Cancelled:
			return errAlready
		case rec.Session.Status.Status == bos.SessionComplete:
			return complete(key)
		}
		rec.Sealed.Cancelled, rec.Sealed.Paused = true, false
		return nil
	})
	if err != nil {
		return did, err
	}
	rec, ok := s.View.Session(key)
	if !ok || rec.Session.Status.Status == bos.SessionComplete {
		return did, nil
	}
	did.Nodes, err = s.Finish(ctx, rec)
	return did, err
}

// Finish carries a cancellation out that was asked for, and returns the nodes
// that were cancelled, also with an error.
func (s *Steerer) Finish(ctx context.Context, rec *bos.SessionRecord) ([]string, error) {
	write, key := s.Write(), rec.Session.Key()
	written, err := s.tell(ctx, rec, func(old bos.Record) (bos.Record, bool) { return write.CancelNode(old, rec) })
	var nodes []string
	for id, told := range written {
		if told.CancelledIn(key) {
			nodes = append(nodes, id)
		}
	}
	if err != nil {
		return nodes, err
	}
	revision, err := store.Update[*bos.SessionRecord]{
		Key: store.SessionKey(key), Fence: s.Fence,
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(old *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists || old.Sealed.UID != rec.Sealed.UID || !old.Sealed.Cancelled || !old.Stopped() {
				return nil, nil, errAlready
			}
			next := old.Complete(s.Write().Now, bos.TextCancelled)
			ops, err := Closing(s.View, old, &next, s.Write().Now)
			return next, ops, err
		},
	}.Run(ctx, s.Store)
	switch {
	case errors.Is(err, errAlready):
		return nodes, nil
	case err != nil:
		return nodes, fmt.Errorf("complete session %q: %w", key.Name, err)
	}
	return nodes, s.reach(ctx, revision)
}

// Pause keeps everybody from acting for a session until it is resumed. Errors
// are as Cancel has them.
func (s *Steerer) Pause(ctx context.Context, key bos.SessionKey) (did Steered, err error) {
	did.Changed, err = s.mark(ctx, key, func(rec *bos.SessionRecord) error {
		switch {
		case rec.Session.Status.Status == bos.SessionComplete || rec.Sealed.Cancelled:
			return complete(key)
		case rec.Sealed.Paused:
			return errAlready
		}
		rec.Sealed.Paused = true
		return nil
	})
	if err != nil {
		return did, err
	}
	rec, ok := s.View.Session(key)
	if !ok || !rec.Stopped() {
		return did, nil
	}
	write := s.Write()
	written, err := s.tell(ctx, rec, func(old bos.Record) (bos.Record, bool) { return write.PauseNode(old, rec) })
	did.Nodes = slices.Collect(maps.Keys(written))
	return did, err
}

// Resume ends a pause. The nodes are told first: when the pause ends, each has
// its whole time again. Errors are as Cancel has them.
func (s *Steerer) Resume(ctx context.Context, key bos.SessionKey) (did Steered, err error) {
	rec, ok := s.View.Session(key)
	if ok && rec.Stopped() && rec.Sealed.Paused {
		if did.Nodes, err = s.release(ctx, rec); err != nil {
			return did, err
		}
	}
	did.Changed, err = s.mark(ctx, key, func(rec *bos.SessionRecord) error {
		switch {
		case rec.Session.Status.Status == bos.SessionComplete || rec.Sealed.Cancelled:
			return complete(key)
		case !rec.Sealed.Paused:
			return errAlready
		}
		rec.Sealed.Paused = false
		return nil
	})
	return did, err
}

// Release ends the pause on the nodes of a session, but not in the session.
func (s *Steerer) Release(ctx context.Context, rec *bos.SessionRecord) error {
	_, err := s.release(ctx, rec)
	return err
}

func (s *Steerer) release(ctx context.Context, rec *bos.SessionRecord) ([]string, error) {
	edit := func(old bos.Record) (bos.Record, bool) { return s.Write().ResumeNode(old, rec) }
	written, err := s.change(ctx, rec, s.nodes(rec), edit)
	return slices.Collect(maps.Keys(written)), err
}

func complete(key bos.SessionKey) error {
	e := bos.Errorf(bos.CodeConflict, "Session '%s' is complete", key.Name)
	e.Title = "Conflict"
	return e
}

// mark writes what is asked for into a session, unless it is there, and waits
// until the view shows it.
func (s *Steerer) mark(ctx context.Context, key bos.SessionKey, change func(*bos.SessionRecord) error) (changed bool, err error) {
	revision, err := store.Update[*bos.SessionRecord]{
		Key: store.SessionKey(key), Fence: s.Fence,
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(old *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists {
				return nil, nil, bos.Errorf(bos.CodeNotFound, "%s", bos.NotFoundText("Session", key))
			}
			next := *old
			if err := change(&next); err != nil {
				return nil, nil, err
			}
			next.Sealed.StoppedAt = s.Write().Instant
			return next, nil, nil
		},
	}.Run(ctx, s.Store)
	if errors.Is(err, errAlready) {
		return false, s.catchUp(ctx)
	}
	if err != nil {
		return false, err
	}
	return true, s.reach(ctx, revision)
}

// change writes nodes of a session, and waits until the view shows it. It returns
// the nodes that were written.
func (s *Steerer) change(
	ctx context.Context, rec *bos.SessionRecord, nodes []string, edit func(bos.Record) (bos.Record, bool),
) (map[string]*bos.Record, error) {
	written := map[string]*bos.Record{}
	var last int64
	for ids := range slices.Chunk(nodes, atOnce) {
		result, err := s.Store.UpdateRecords(ctx, store.RecordUpdate{
			IDs: ids, Read: s.View.Record, Fence: s.Fence,
			Change: func(_ string, old *bos.Record) (*bos.Record, error) {
				if old == nil {
					return nil, nil //nolint:nilnil // nothing to write
				}
				next, ok := edit(*old)
				if !ok {
					return nil, nil //nolint:nilnil // nothing to write
				}
				return &next, nil
			},
		})
		maps.Copy(written, result.Written)
		last = max(last, result.Revision)
		if err != nil {
			return written, fmt.Errorf("write the nodes of session %q: %w", rec.Session.Name, err)
		}
	}
	return written, s.reach(ctx, last)
}

// nodes are those of a session that BOS knows.
func (s *Steerer) nodes(rec *bos.SessionRecord) (ids []string) {
	for _, m := range s.View.Roster(rec) {
		if m.Record != nil && !m.Unknown {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// tell writes the nodes of a session that is stopped, and waits for the commands
// that were recorded before. It returns the nodes that were written, also with an
// error.
func (s *Steerer) tell(
	ctx context.Context, rec *bos.SessionRecord, edit func(bos.Record) (bos.Record, bool),
) (map[string]*bos.Record, error) {
	ids := s.nodes(rec)
	nodes := bos.NewSet(ids...)
	written, err := s.change(ctx, rec, ids, edit)
	if err != nil || len(nodes) == 0 {
		return written, err
	}
	feed := s.View.Subscribe(view.Interest{Attempts: true})
	defer feed.Close()
	// Whatever was recorded for them was recorded before now.
	if err := s.catchUp(ctx); err != nil {
		return written, err
	}
	over := time.NewTimer(lastSend)
	defer over.Stop()
	for s.sending(nodes) {
		select {
		case <-feed.C():
			feed.Take()
		case <-over.C:
			return written, nil
		case <-ctx.Done():
			return written, ctx.Err()
		}
	}
	return written, nil
}

// sending reports whether a command for some of the nodes is recorded, and it is
// not known yet what became of it.
func (s *Steerer) sending(nodes bos.Set) bool {
	for _, action := range []bos.Action{bos.ActionPoweringOn, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully} {
		for _, a := range s.View.Attempts(action) {
			if len(a.Transitions) > 0 || len(a.Unsure) > 0 {
				continue
			}
			for _, id := range a.Nodes {
				if nodes.Has(id) {
					return true
				}
			}
		}
	}
	return false
}

// catchUp brings the view to a revision that is no older than the call.
func (s *Steerer) catchUp(ctx context.Context) error {
	revision, err := s.Store.Revision(ctx)
	if err != nil {
		return fmt.Errorf("ask the store how far it is: %w", err)
	}
	return s.reach(ctx, revision)
}

// reach waits for the view for as long as it takes.
func (s *Steerer) reach(ctx context.Context, revision int64) error {
	for {
		err := s.View.WaitFor(ctx, revision)
		if err == nil || ctx.Err() != nil || !bos.IsUnavailable(err) {
			return err
		}
	}
}

// Closing returns what is written along with a session that completes: its
// extended status and its result. old is the session as it ran, next as it ends.
func Closing(v *view.View, old, next *bos.SessionRecord, now time.Time) ([]store.Op, error) {
	key := old.Session.Key()
	active, staged := v.Driven(key)
	summary := bos.Summarize(&next.Session, active, staged, now)
	summary.AddLost(&old.Session, v.Lost(old))
	status, err := store.Encode(summary)
	if err != nil {
		return nil, err
	}
	result, err := store.Encode(bos.StoredResult{UID: old.Sealed.UID, Result: bos.ResultOf(old, v.Roster(old))})
	if err != nil {
		return nil, err
	}
	return []store.Op{
		{Key: store.StatusKey(key), Value: status, Expect: store.AnyRevision},
		{Key: store.ResultKey(key), Value: result, Expect: store.AnyRevision},
	}, nil
}

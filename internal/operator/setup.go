// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/store"
	"bos/internal/view"
)

// parallelSetups is how many sessions are set up at a time.
const parallelSetups = 8

// setupOperator turns pending sessions into running ones: it resolves a
// session's nodes and their target states once, stores that plan, and applies
// it chunk by chunk. What a crash interrupts is carried on from the plan.
type setupOperator struct{ *Deps }

// setupTerm is the operator while it leads.
type setupTerm struct {
	*Deps
	l     store.Leadership
	slots chan struct{}

	mu sync.Mutex
	// setups are the sessions that are being set up or wait for a service, by
	// UID.
	setups map[string]*setup
}

// setup is one session's way to running.
type setup struct {
	busy     bool
	failures int
	since    time.Time
	next     bos.Instant
}

// lead implements [role].
func (o *setupOperator) lead(ctx context.Context, l store.Leadership) error {
	t := &setupTerm{Deps: o.Deps, l: l, slots: make(chan struct{}, parallelSetups), setups: map[string]*setup{}}
	feed := o.View.Subscribe(view.Interest{Sessions: true})
	defer feed.Close()
	wake := make(chan struct{}, 1)
	poke := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	defer o.recovered.subscribe(func(string) {
		t.retryAll()
		poke()
	})()
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		feed.Take()
		due, next := t.due()
		for _, s := range due {
			running.Go(func() {
				defer poke()
				t.run(ctx, s)
			})
		}
		timer.Reset(time.Hour)
		if next != 0 {
			timer.Reset(o.Clock.Until(next) + time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-feed.C():
		case <-wake:
		case <-timer.C:
		}
	}
}

// retryAll has every session tried at once that waits for a service.
func (t *setupTerm) retryAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.setups {
		s.next = 0
	}
}

// due returns the pending sessions whose set-up is to be begun or tried again,
// and marks them as busy; and when the next one is to be.
func (t *setupTerm) due() (out []*bos.SessionRecord, next bos.Instant) {
	now := t.Clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := t.View.SessionsIn(bos.SessionPending)
	seen := map[string]bool{}
	for _, rec := range pending {
		uid := rec.Sealed.UID
		seen[uid] = true
		if rec.Stopped() {
			// Its resumption, or what ends it, is a change that is told.
			continue
		}
		s := t.setups[uid]
		if s == nil {
			s = &setup{}
			t.setups[uid] = s
		}
		switch {
		case s.busy:
		case s.next <= now:
			s.busy = true
			out = append(out, rec)
		case next == 0 || s.next < next:
			next = s.next
		}
	}
	for uid, s := range t.setups {
		if !seen[uid] && !s.busy {
			delete(t.setups, uid)
		}
	}
	return out, next
}

// run sets one session up, as far as it gets.
func (t *setupTerm) run(ctx context.Context, rec *bos.SessionRecord) {
	err := ctx.Err()
	select {
	case t.slots <- struct{}{}:
		pctx, done := t.observe(ctx, decide.RoleSessionSetup)
		err = t.setUp(pctx, rec)
		done(rec.Sealed.Nodes, err)
		<-t.slots
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.setups[rec.Sealed.UID]
	s.busy = false
	if err == nil {
		// The view may still show it as pending for a moment.
		s.next = t.Clock.Now().Add(firstBackoff)
		return
	}
	if s.failures == 0 {
		s.since = time.Now()
	}
	s.next = t.Clock.Now().Add(min(maxBackoff, firstBackoff<<min(s.failures, 10)))
	s.failures++
}

// giveWay lets the sessions that wait for a slot go first, between two chunks of
// a large one.
func (t *setupTerm) giveWay() {
	<-t.slots
	t.slots <- struct{}{}
}

// setUp brings one session from wherever it is to running. A dependency that
// is away makes it wait; what is wrong with the session itself completes it
// with an error.
func (t *setupTerm) setUp(ctx context.Context, rec *bos.SessionRecord) error {
	log := t.Log.With(slog.String("operator", decide.RoleSessionSetup),
		slog.String("session", rec.Session.Name), slog.String("tenant", rec.Session.Tenant))
	if rec.Sealed.Setup == bos.SetupNew {
		planned, err := t.plan(ctx, rec, log)
		switch {
		case err == nil:
			rec = planned
		case ctx.Err() != nil:
			return ctx.Err()
		case bos.IsUnavailable(err):
			log.Warn("the session waits for a service", slog.Any("error", err))
			return errors.Join(err, t.showWait(ctx, rec, err))
		case bos.IsConflict(err):
			return err
		default:
			log.Info("the session can't be set up", slog.Any("error", err))
			return t.fail(ctx, rec, bos.UserText(err))
		}
	}
	unknown, err := t.apply(ctx, rec)
	if errors.Is(err, errStopped) {
		log.Info("the set-up of the session is stopped")
		return nil
	}
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("the session is not set up yet", slog.Any("error", err))
		}
		return err
	}
	if len(unknown) > 0 {
		log.Warn("BOS has no components of some nodes; they are left out", slog.Int("nodes", len(unknown)),
			slog.Any("first", unknown[:min(len(unknown), 10)]))
	}
	if len(unknown) == rec.Sealed.Nodes {
		return t.fail(ctx, rec, decide.TextNoneKnown)
	}
	log.Info("the session runs", slog.Int("nodes", rec.Sealed.Nodes-len(unknown)))
	paused := false
	written, err := t.update(ctx, rec, func(s *bos.SessionRecord) {
		paused = s.Sealed.Paused
		s.Session.Status.Status = bos.SessionRunning
		s.Session.Status.Error = nil
		s.Sealed.Setup = bos.SetupApplied
	})
	if written != nil {
		text := decide.RunningText(rec.Sealed.Nodes-len(unknown), len(unknown), paused)
		t.tellSession(bos.EventSessionRunning, rec.Session.Key(), text)
	}
	return err
}

// errGone says that a session is not the one that was set up any more: deleted,
// ended by a client, or replaced.
var errGone = bos.Errorf(bos.CodeConflict, "the session was changed meanwhile")

// errStopped says that a session was paused or cancelled while it was set up.
var errStopped = bos.Errorf(bos.CodeConflict, "the session was stopped")

// update writes a session that is still the same and still pending, and returns
// it as written; nil if it is not.
func (t *setupTerm) update(
	ctx context.Context, rec *bos.SessionRecord, change func(*bos.SessionRecord),
) (written *bos.SessionRecord, err error) {
	fence := t.l.Fence()
	key := rec.Session.Key()
	revision, err := store.Update[*bos.SessionRecord]{
		Key: store.SessionKey(key), Fence: &fence,
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(old *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists || old.Sealed.UID != rec.Sealed.UID || old.Session.Status.Status != bos.SessionPending || old.Sealed.Cancelled {
				return nil, nil, errGone
			}
			next := *old
			change(&next)
			written = &next
			return next, nil, nil
		},
	}.Run(ctx, t.Store)
	if errors.Is(err, errGone) {
		return nil, nil //nolint:nilnil // there is nothing to write any more
	}
	if err != nil {
		return nil, fmt.Errorf("write session %q: %w", key.Name, err)
	}
	return written, t.View.WaitFor(ctx, revision)
}

// fail completes a session that can't be set up.
func (t *setupTerm) fail(ctx context.Context, rec *bos.SessionRecord, text string) error {
	written, err := t.update(ctx, rec, func(s *bos.SessionRecord) { *s = s.Complete(t.wall(), text) })
	if written != nil {
		t.tellSession(bos.EventSessionComplete, rec.Session.Key(), "the session can't be set up: "+text)
	}
	return err
}

// showWait shows as the session's error what its set-up waits for, with the time
// since when.
func (t *setupTerm) showWait(ctx context.Context, rec *bos.SessionRecord, cause error) error {
	var e *bos.Error
	if !errors.As(cause, &e) {
		return nil
	}
	if shown := rec.Session.Status.Error; shown != nil && strings.HasPrefix(*shown, observe.AwayPrefix(e.Dependency)) {
		return nil
	}
	text := observe.AwayText(e.Dependency, t.wall(), cause)
	written, err := t.update(ctx, rec, func(s *bos.SessionRecord) { s.Session.Status.Error = &text })
	if written != nil {
		t.tellSession(bos.EventServiceAway, rec.Session.Key(), "the set-up of the session is "+text)
	}
	return err
}

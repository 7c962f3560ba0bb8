// SPDX-License-Identifier: MIT

package view

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
)

const (
	// retryPause is how long the view waits before it asks a store again that
	// was away.
	retryPause = 200 * time.Millisecond
	// patience is how long a caller waits for a view that hears nothing, longest
	// for one that is late and catches up.
	patience = 250 * time.Millisecond
	longest  = 2 * time.Second
	// progressPause is how often the store is asked how far it is while a
	// caller waits for the view.
	progressPause = 10 * time.Millisecond
)

// Run feeds the view from a store until ctx ends. A store that is away is asked
// again and again; meanwhile the view stays as it is and callers who need it
// up to date get CodeUnavailable.
func (v *View) Run(ctx context.Context, s store.Engine) error {
	reload := true
	for ctx.Err() == nil {
		err := v.follow(ctx, s, reload)
		if ctx.Err() != nil {
			break
		}
		reload = errors.Is(err, store.ErrCompacted) || !v.loaded()
		v.log.Warn("the view lost the store and asks again", slog.Any("error", err), slog.Bool("reload", reload))
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (v *View) loaded() bool {
	select {
	case <-v.ready:
		return true
	default:
		return false
	}
}

// follow reads the store if need be and applies what it reports until that
// ends.
func (v *View) follow(ctx context.Context, s store.Engine, reload bool) error {
	if reload {
		kvs, revision, err := s.List(ctx, store.Root)
		if err != nil {
			return fmt.Errorf("read the store: %w", err)
		}
		v.load(kvs, revision)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.Watch(ctx, store.Root, v.Revision())
	if err != nil {
		return fmt.Errorf("watch the store: %w", err)
	}
	v.waiters.watching(w)
	defer v.waiters.watching(nil)
	for batch := range w.C() {
		changes := v.prepare(batch.Events)
		v.mu.Lock()
		for _, c := range changes {
			v.apply(c)
		}
		v.revision = max(v.revision, batch.Revision)
		v.mu.Unlock()
		v.waiters.reached(batch.Revision)
		if batch.Release != nil {
			batch.Release()
		}
	}
	if err := w.Err(); err != nil {
		return err
	}
	return errors.New("the watch ended")
}

// load replaces everything. Until that is done answers come from what there was.
func (v *View) load(kvs []store.KV, revision int64) {
	events := make([]store.Event, len(kvs))
	for i, kv := range kvs {
		events[i] = store.Event{KV: kv}
	}
	changes := v.prepare(events)
	v.mu.Lock()
	v.reset()
	for _, c := range changes {
		v.apply(c)
	}
	v.revision = revision
	v.graves.floor = revision
	for f := range v.feeds {
		f.all()
	}
	v.mu.Unlock()
	if !v.loaded() {
		close(v.ready)
	}
	v.waiters.reached(revision)
}

// waiters are callers who wait for a revision.
type waiters struct {
	mu      sync.Mutex
	waiting map[*waiter]struct{}
	watcher store.Watcher
}

type waiter struct {
	revision int64
	done     chan struct{}
}

func (w *waiters) watching(watcher store.Watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watcher = watcher
}

func (w *waiters) reached(revision int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.waiting {
		if one.revision <= revision {
			close(one.done)
			delete(w.waiting, one)
		}
	}
}

func (w *waiters) add(revision int64) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &waiter{revision: revision, done: make(chan struct{})}
	if w.waiting == nil {
		w.waiting = map[*waiter]struct{}{}
	}
	w.waiting[one] = struct{}{}
	return one
}

func (w *waiters) remove(one *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, one)
}

// ask asks the store how far it is: its revision also moves on by what does not
// concern the view.
func (w *waiters) ask(ctx context.Context) {
	w.mu.Lock()
	watcher := w.watcher
	w.mu.Unlock()
	if watcher != nil {
		// A failure ends the watch, which says so itself.
		_ = watcher.Progress(ctx)
	}
}

// WaitFor waits until the view has reached a revision: the one that a write
// returned, so that the writer reads its own write. When the view has come no
// further for 250 ms, or after 2 s, it gives up with CodeUnavailable.
func (v *View) WaitFor(ctx context.Context, revision int64) error {
	if v.Revision() >= revision {
		return nil
	}
	one := v.waiters.add(revision)
	defer v.waiters.remove(one)
	// It may have been reached in between.
	if v.Revision() >= revision {
		return nil
	}
	begun, last := time.Now(), v.Revision()
	// Nearly always it is a matter of a moment.
	soon := time.NewTimer(progressPause)
	defer soon.Stop()
	select {
	case <-one.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-soon.C:
		return v.await(ctx, one, begun, last)
	}
}

// await waits on, since begun, while the view gets on; last is where it was then.
func (v *View) await(ctx context.Context, one *waiter, begun time.Time, last int64) error {
	timeout := time.NewTimer(patience - time.Since(begun))
	defer timeout.Stop()
	ticker := time.NewTicker(progressPause)
	defer ticker.Stop()
	for {
		v.waiters.ask(ctx)
		select {
		case <-one.done:
			return nil
		case <-ticker.C:
		case <-timeout.C:
			now, waited := v.Revision(), time.Since(begun)
			if now == last || waited >= longest {
				return bos.Unavailable("store", fmt.Errorf("revision %d was not reached within %v", one.revision, waited.Round(patience)))
			}
			last = now
			timeout.Reset(patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rounds are questions for the store's present revision; callers who arrive
// before one is sent share it.
type rounds struct {
	mu   sync.Mutex
	next *round
	busy bool
}

type round struct {
	done     chan struct{}
	revision int64
	err      error
}

// Sync brings the view to a revision that is no older than the call, so that
// what is read then includes every write that was acknowledged before. At most
// one question to the store is on its way at a time. When the store is away or
// the view does not catch up, it is CodeUnavailable.
func (v *View) Sync(ctx context.Context, s store.Engine) error {
	revision, err := v.rounds.ask(ctx, s)
	if err != nil {
		return fmt.Errorf("ask the store how far it is: %w", err)
	}
	return v.WaitFor(ctx, revision)
}

func (r *rounds) ask(ctx context.Context, s store.Engine) (int64, error) {
	if local, ok := s.(interface{ LocalRevision() (int64, bool) }); ok {
		if revision, ok := local.LocalRevision(); ok {
			return revision, nil
		}
	}
	r.mu.Lock()
	mine := r.next
	if mine == nil {
		mine = &round{done: make(chan struct{})}
		r.next = mine
	}
	if !r.busy {
		r.busy = true
		go r.run(context.WithoutCancel(ctx), s)
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.revision, mine.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run sends questions as long as somebody waits for the next one.
func (r *rounds) run(ctx context.Context, s store.Engine) {
	for {
		r.mu.Lock()
		now := r.next
		r.next = nil
		if now == nil {
			r.busy = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		now.revision, now.err = s.Revision(ctx)
		close(now.done)
	}
}

// SPDX-License-Identifier: MIT

package operator

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/view"
)

const (
	// gather is how long a loop waits after it was woken, so that a storm of
	// changes makes few passes.
	gather = 2 * time.Millisecond
	// errorPause is how long a loop waits after a pass that could not be
	// finished (the store was away, as a rule).
	errorPause = 500 * time.Millisecond
)

// loop calls a pass for components that changed, that were seen to be
// different, or that are due; and once in a while for all of them, so that
// nothing depends on a message. A pass never trusts what woke it: it looks at
// the components as they are.
type loop struct {
	deps *Deps
	role string
	feed *view.Feed
	// all returns every component that the operator may be concerned with.
	all func() []string
	// pass looks at components and returns when to look at them again at the
	// latest.
	pass func(ctx context.Context, ids []string) (map[string]bos.Instant, error)

	// interval is how often the loop looks at all components.
	interval func() time.Duration

	wake    chan struct{}
	mu      sync.Mutex
	pending map[string]struct{}
	busy    map[string]struct{}
	dues    dues
	// everything asks for a look at all components.
	everything bool
}

func newLoop(d *Deps, role string, feed *view.Feed) *loop {
	return &loop{
		deps: d, role: role, feed: feed, wake: make(chan struct{}, 1),
		interval: func() time.Duration { return d.View.Options().Polling() },
		pending:  map[string]struct{}{}, busy: map[string]struct{}{}, everything: true,
	}
}

// mark asks for a look at components.
func (l *loop) mark(ids ...string) {
	if len(ids) == 0 {
		return
	}
	l.mu.Lock()
	for _, id := range ids {
		l.pending[id] = struct{}{}
	}
	l.mu.Unlock()
	l.signal()
}

// markAll asks for a look at all components.
func (l *loop) markAll() {
	l.mu.Lock()
	l.everything = true
	l.mu.Unlock()
	l.signal()
}

func (l *loop) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hold keeps components from being looked at while something is done with
// them; release lets them go and asks for a look.
func (l *loop) hold(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.busy[id] = struct{}{}
	}
}

func (l *loop) release(ids []string) {
	l.mu.Lock()
	for _, id := range ids {
		delete(l.busy, id)
		l.pending[id] = struct{}{}
	}
	l.mu.Unlock()
	l.signal()
}

// run loops until ctx ends.
func (l *loop) run(ctx context.Context) {
	resync := time.NewTimer(0)
	defer resync.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for ctx.Err() == nil {
		due.Reset(l.untilDue())
		select {
		case <-ctx.Done():
			return
		case <-l.feed.C():
		case <-l.wake:
		case <-due.C:
		case <-resync.C:
			l.markAll()
			resync.Reset(l.deps.Clock.Real(l.interval()))
		}
		pause(ctx, gather)
		l.once(ctx)
	}
}

// once makes a pass over what there is to look at.
func (l *loop) once(ctx context.Context) {
	changes := l.feed.Take()
	l.mark(changes.Nodes...)
	if changes.Everything || changes.Options || changes.Attempts {
		l.markAll()
	}
	ids := l.take()
	if len(ids) == 0 || ctx.Err() != nil {
		return
	}
	begun := time.Now()
	again, err := l.pass(ctx, ids)
	l.deps.passed(l.role, len(ids), begun)
	if err != nil {
		if ctx.Err() == nil {
			l.deps.Log.Warn("a pass could not be finished", slog.String("operator", l.role), slog.Any("error", err))
			pause(ctx, errorPause)
			l.mark(ids...)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, at := range again {
		if at != 0 {
			heap.Push(&l.dues, dueAt{at, id})
		}
	}
}

// take returns the components to look at now, but those that are busy.
func (l *loop) take() []string {
	l.mu.Lock()
	everything := l.everything
	l.everything = false
	l.mu.Unlock()
	if everything {
		l.mark(l.all()...)
	}
	now := l.deps.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.dues) > 0 && l.dues[0].at <= now {
		due, _ := heap.Pop(&l.dues).(dueAt)
		l.pending[due.id] = struct{}{}
	}
	ids := make([]string, 0, len(l.pending))
	for id := range l.pending {
		delete(l.pending, id)
		if _, busy := l.busy[id]; !busy {
			ids = append(ids, id)
		}
	}
	return ids
}

// untilDue returns how long until the next component is due.
func (l *loop) untilDue() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dues) == 0 {
		return time.Hour
	}
	return max(l.deps.Clock.Until(l.dues[0].at), time.Millisecond)
}

// dueAt is a component and when to look at it; dues is a heap of them. A
// component may be in it several times: looking once too often does no harm.
type dueAt struct {
	at bos.Instant
	id string
}

type dues []dueAt

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at < d[j].at }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push implements [heap.Interface].
func (d *dues) Push(x any) {
	due, _ := x.(dueAt)
	*d = append(*d, due)
}

// Pop implements [heap.Interface].
func (d *dues) Pop() any {
	last := len(*d) - 1
	due := (*d)[last]
	*d = (*d)[:last]
	return due
}

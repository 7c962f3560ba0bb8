// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/view"
)

const (
	// gather is how long a loop waits after it was woken for company: it goes on
	// when nothing more has come within that time, or after maxGather, so that a
	// storm of changes makes few passes and a single change is not kept waiting.
	gather    = 2 * time.Millisecond
	maxGather = 50 * time.Millisecond
	// errorPause is how long a loop waits after a pass that could not be
	// finished (the store was away, as a rule).
	errorPause = 500 * time.Millisecond
	// maxPass is how many components one pass looks at. Those that are left come
	// next, each session's in its turn.
	maxPass = 4000
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

	// interval is how often, in real time, the loop looks at all components.
	interval func() time.Duration
	// room is how many components a pass may be about at the moment. While it is
	// 0 there is none; what makes room calls signal.
	room func() int
	// freed returns components that may go on because others have made way. It
	// may be nil.
	freed func() []string

	wake  chan struct{}
	mu    sync.Mutex
	queue queue
	busy  map[string]struct{}
	dues  dues
	// everything asks for a look at all components.
	everything bool
}

func newLoop(d *Deps, role string, feed *view.Feed) *loop {
	return &loop{
		deps: d, role: role, feed: feed, wake: make(chan struct{}, 1),
		interval: func() time.Duration { return d.View.Options().Polling() },
		room:     func() int { return maxPass },
		queue:    newQueue(), busy: map[string]struct{}{}, dues: newDues(), everything: true,
	}
}

// mark asks for a look at components.
func (l *loop) mark(ids ...string) {
	if len(ids) == 0 {
		return
	}
	l.add(ids)
	l.signal()
}

func (l *loop) add(ids []string) {
	sessions := l.deps.View.SessionsOf(ids)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, id := range ids {
		l.queue.add(sessions[i], id)
	}
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

// held returns the components that something is being done with.
func (l *loop) held() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.busy))
}

func (l *loop) release(ids []string) {
	l.mu.Lock()
	for _, id := range ids {
		delete(l.busy, id)
	}
	l.mu.Unlock()
	l.mark(ids...)
}

// run loops until ctx ends.
func (l *loop) run(ctx context.Context) {
	resync := time.NewTimer(0)
	defer resync.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for ctx.Err() == nil {
		if l.once(ctx) {
			continue
		}
		due.Reset(l.untilDue())
		select {
		case <-ctx.Done():
			return
		case <-l.feed.C():
		case <-l.wake:
		case <-due.C:
		case <-resync.C:
			l.markAll()
			// Not on the fleet's clock: quick motion loses no more messages.
			resync.Reset(l.interval())
		}
		gatherMore(ctx, l.feed.C(), l.wake)
	}
}

// gatherMore waits until no more signals come, but not for long.
func gatherMore(ctx context.Context, signals ...<-chan struct{}) {
	begun := time.Now()
	for more := true; more && ctx.Err() == nil && time.Since(begun) < maxGather; {
		pause(ctx, gather)
		more = false
		for _, c := range signals {
			select {
			case <-c:
				more = true
			default:
			}
		}
	}
}

// once makes a pass over what there is to look at, as much of it as one pass
// may be about. It reports whether more is left that could be looked at now.
func (l *loop) once(ctx context.Context) (more bool) {
	changes := l.feed.Take()
	if len(changes.Nodes) > 0 {
		l.add(changes.Nodes)
	}
	l.mu.Lock()
	everything := l.everything || changes.Everything || changes.Options
	l.everything = false
	l.mu.Unlock()
	if everything {
		l.add(l.all())
	}
	ids := l.take()
	if len(ids) == 0 || ctx.Err() != nil {
		return false
	}
	pctx, done := l.deps.observe(ctx, l.role)
	again, err := l.pass(pctx, ids)
	done(len(ids), err)
	if err != nil {
		if ctx.Err() == nil {
			l.deps.Log.Warn("a pass could not be finished", slog.String("operator", l.role), slog.Any("error", err))
			pause(ctx, errorPause)
			l.mark(ids...)
		}
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.dues.set(id, again[id])
	}
	return len(l.queue.waiting) > 0 && l.room() > 0
}

// take returns the components to look at now, but those that are busy.
func (l *loop) take() []string {
	now := l.deps.Clock.Now()
	var due []string
	l.mu.Lock()
	for next := l.dues.next(); next != 0 && next <= now; next = l.dues.next() {
		due = append(due, l.dues.pop())
	}
	l.mu.Unlock()
	if l.freed != nil {
		due = append(due, l.freed()...)
	}
	if len(due) > 0 {
		l.add(due)
	}
	room := l.room()
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, 0, min(room, len(l.queue.waiting)))
	for len(ids) < room && len(l.queue.waiting) > 0 {
		for _, id := range l.queue.take(room - len(ids)) {
			if _, busy := l.busy[id]; !busy {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// untilDue returns how long until the next component is due.
func (l *loop) untilDue() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.dues.next()
	if next == 0 {
		return time.Hour
	}
	return max(l.deps.Clock.Until(next), time.Millisecond)
}

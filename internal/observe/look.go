// SPDX-License-Identifier: MIT

package observe

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Run looks at nodes until ctx ends.
func (o *Observer[T]) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var looks sync.WaitGroup
	defer looks.Wait()
	for {
		nodes, look, wait := o.next()
		if len(nodes) > 0 && ctx.Err() == nil {
			looks.Go(func() { o.look(ctx, nodes, look) })
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-timer.C:
		}
	}
}

// next returns nodes to look at, up to one chunk of them, and the look that
// begins; or how long to wait for some: less if the observer is woken.
func (o *Observer[T]) next() (nodes []*watched[T], look Seen[T], wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if wait := o.quiet - now; wait > 0 {
		return nil, look, wait
	}
	if len(o.queue) == 0 || o.flying >= o.cfg.Parallel || o.flying > 0 && o.asked < o.cfg.Chunk {
		// The end of a look wakes, and so does whoever wants one.
		return nil, look, time.Hour
	}
	if wait := o.queue[0].due - now; wait > 0 {
		return nil, look, max(wait, time.Millisecond)
	}
	o.begun++
	look = Seen[T]{Since: o.cfg.Revision(), At: o.cfg.Clock.Now(), Look: o.begun}
	for len(nodes) < o.cfg.Chunk && len(o.queue) > 0 {
		n := o.queue[0]
		if left := n.due - now; left > 0 && left >= o.interval(n, now)/together {
			break
		}
		o.unplan(n)
		n.flying, n.since = true, look.Since
		nodes = append(nodes, n)
	}
	o.flying++
	return nodes, look, 0
}

// look asks about nodes and takes note of the answer.
func (o *Observer[T]) look(ctx context.Context, nodes []*watched[T], look Seen[T]) {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.id
	}
	slices.Sort(ids)
	begun := time.Now()
	answer, err := o.cfg.Fetch(ctx, ids)
	if ctx.Err() != nil {
		// Nobody is to act on what was broken off.
		answer, err = nil, ctx.Err()
	}
	changed := o.note(ctx, nodes, answer, err, look, time.Since(begun))
	o.mu.Lock()
	subs := slices.Collect(maps.Keys(o.subs))
	o.mu.Unlock()
	for _, s := range subs {
		s.tell(changed)
	}
	signal(o.wake)
}

// note keeps an answer and returns the nodes to tell about: those that look
// different and those that somebody asked for.
func (o *Observer[T]) note(
	ctx context.Context, nodes []*watched[T], answer map[string]T, err error, look Seen[T], took time.Duration,
) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flying--
	if err == nil {
		o.noteTime(took)
	}
	now := o.now()
	if ctx.Err() == nil {
		o.noteHealth(now, err)
	}
	var changed []string
	for _, n := range nodes {
		n.flying = false
		if o.nodes[n.id] != n {
			// Nobody wants it any more.
			continue
		}
		value, told := answer[n.id]
		if err != nil && !told {
			// Nothing was learnt. Whoever asked shall know that it takes longer.
			if n.asked {
				changed = append(changed, n.id)
			}
			o.plan(n, now+o.cfg.Clock.Real(retry))
			continue
		}
		if !n.seen || n.asked || n.last.Value != value {
			changed = append(changed, n.id)
		}
		if n.seen && n.last.Value != value {
			n.began = now
		}
		n.seen, n.asked = true, false
		n.last = look
		n.last.Value = value
		if n.again {
			n.again = false
			o.ask(n, now, 0)
			continue
		}
		o.plan(n, now+o.interval(n, now))
	}
	return changed
}

// noteTime notes how long a look took that was answered. The caller holds the
// lock.
func (o *Observer[T]) noteTime(took time.Duration) {
	took = min(took, longest)
	part := time.Duration(smooth)
	if o.took > long && took < o.took {
		part = 2
	}
	o.took += (took - o.took) / part
}

func (o *Observer[T]) noteHealth(now time.Duration, err error) {
	if err == nil {
		if o.lastErr != nil {
			o.cfg.Log.Info("a service answers again", slog.String("service", o.cfg.Service), slog.Duration("after", time.Since(o.since)))
		}
		o.lastErr, o.quiet, o.since = nil, 0, time.Time{}
		return
	}
	if o.lastErr == nil {
		o.since, o.sinceAt = time.Now(), o.cfg.Clock.Now()
		o.cfg.Log.Warn("a look at nodes failed", slog.String("service", o.cfg.Service), slog.Any("error", err))
	}
	o.lastErr = err
	o.quiet = now + o.cfg.Clock.Real(retry)
}

// Question asks about one node for somebody who does not watch it. Nothing is
// remembered of the answer.
func (o *Observer[T]) Question(ctx context.Context, id string) (T, error) {
	answer, err := o.cfg.Fetch(ctx, []string{id})
	return answer[id], err
}

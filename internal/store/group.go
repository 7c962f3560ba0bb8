// SPDX-License-Identifier: MIT

package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"bos/internal/bos"
)

const (
	// maxGrouped is how many operations a write may have to be sent together
	// with others.
	maxGrouped = 10
	// maxQueued bounds how many writes wait for a group.
	maxQueued = 4096
)

// group commits small writes of many callers in few transactions: thousands of
// nodes that report at the same moment cost tens of them.
type group struct {
	engine Engine
	in     chan *grouped
	stop   context.CancelFunc
	done   chan struct{}
}

type grouped struct {
	ctx    context.Context //nolint:containedctx // of a waiting caller
	ops    []Op
	result chan groupResult
}

type groupResult struct {
	revision int64
	err      error
}

func newGroup(engine Engine) *group {
	ctx, stop := context.WithCancel(context.Background())
	g := &group{engine: engine, in: make(chan *grouped, maxQueued), stop: stop, done: make(chan struct{})}
	go g.run(ctx)
	return g
}

func (g *group) close() {
	g.stop()
	<-g.done
}

// commit waits until the operations were committed, with others or alone. A
// caller that gives up may have written all the same.
func (g *group) commit(ctx context.Context, ops []Op) (int64, error) {
	w := &grouped{ctx: ctx, ops: ops, result: make(chan groupResult, 1)}
	select {
	case g.in <- w:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-g.done:
		return 0, bos.Unavailable("store", errors.New("closed"))
	}
	select {
	case r := <-w.result:
		return r.revision, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-g.done:
		return 0, bos.Unavailable("store", errors.New("closed"))
	}
}

// run collects waiting writes and sends them, one group after the other: while
// one is on its way the next fills up.
func (g *group) run(ctx context.Context) {
	defer close(g.done)
	var waiting, batch []*grouped
	var p pace
	for {
		if len(waiting) == 0 {
			select {
			case w := <-g.in:
				waiting = append(waiting, w)
			case <-ctx.Done():
				return
			}
		}
		waiting = g.gather(ctx, waiting, &p)
		if batch, waiting = pick(waiting); len(batch) == 0 {
			continue
		}
		begun := time.Now()
		again, queued := g.send(ctx, batch)
		waiting = append(again, waiting...)
		p.sent(len(batch)-len(again), len(waiting)+queued, time.Since(begun))
		if ctx.Err() != nil {
			return
		}
	}
}

// gather takes what is queued, and what comes while it is worth waiting for.
func (g *group) gather(ctx context.Context, waiting []*grouped, p *pace) []*grouped {
	for len(g.in) > 0 && len(waiting) < MaxOps {
		waiting = append(waiting, <-g.in)
	}
	patience := p.patience(len(waiting))
	if patience == 0 {
		return waiting
	}
	before := len(waiting)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(waiting) < min(p.expected, MaxOps) {
		select {
		case w := <-g.in:
			waiting = append(waiting, w)
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	p.waited(before, len(waiting))
	return waiting
}

// pick takes as many waiting writes as fit into one transaction; writes of the
// same document go into different ones, in order. Writes whose caller has gone
// are dropped.
func pick(waiting []*grouped) (batch, rest []*grouped) {
	var count, size int
	keys := map[string]bool{}
	for _, w := range waiting {
		if w.ctx.Err() != nil {
			continue
		}
		bytes := 0
		taken := false
		for _, op := range w.ops {
			bytes += len(op.Key) + len(op.Value)
			taken = taken || keys[op.Key]
		}
		fits := count+len(w.ops) <= MaxOps && size+bytes <= MaxBytes
		for _, op := range w.ops {
			// Also what is passed over reserves its documents: order is kept.
			keys[op.Key] = true
		}
		if taken || !fits && count > 0 {
			rest = append(rest, w)
			continue
		}
		batch = append(batch, w)
		count += len(w.ops)
		size += bytes
	}
	return batch, rest
}

// send commits a batch and returns the writes that have to be tried again
// because another one of the batch was in conflict, and how many others were
// queued before anybody was answered: whoever comes back at once counts once.
func (g *group) send(ctx context.Context, batch []*grouped) (again []*grouped, queued int) {
	var txn Txn
	for _, w := range batch {
		txn.Ops = append(txn.Ops, w.ops...)
	}
	revision, err := g.engine.Commit(ctx, txn)
	queued = len(g.in)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		for _, w := range batch {
			w.result <- groupResult{revision, err}
		}
		return nil, queued
	}
	for _, w := range batch {
		var own []string
		for _, op := range w.ops {
			if slices.Contains(conflict.Keys, op.Key) {
				own = append(own, op.Key)
			}
		}
		if own == nil {
			again = append(again, w)
			continue
		}
		w.result <- groupResult{err: &ConflictError{Keys: own}}
	}
	return again, queued
}

// SPDX-License-Identifier: MIT

package store

import (
	"context"
	"errors"
	"slices"
	"sync"

	"bos/internal/bos"
)

const (
	// maxGrouped is how many operations a write may have to be sent together
	// with others.
	maxGrouped = 10
	// groupsAtOnce is how many groups are on their way at once; while they are,
	// the next one fills up. There is no waiting for company.
	groupsAtOnce = 2
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

// run collects waiting writes and sends them in groups.
func (g *group) run(ctx context.Context) {
	var sending sync.WaitGroup
	defer close(g.done)
	defer sending.Wait()
	slots := make(chan struct{}, groupsAtOnce)
	again := make(chan []*grouped)
	var waiting []*grouped
	for {
		if len(waiting) == 0 {
			select {
			case w := <-g.in:
				waiting = append(waiting, w)
			case back := <-again:
				waiting = append(waiting, back...)
			case <-ctx.Done():
				return
			}
		}
		select {
		case slots <- struct{}{}:
		case back := <-again:
			waiting = append(back, waiting...)
			continue
		case <-ctx.Done():
			return
		}
		for more := true; more && len(waiting) < MaxOps; {
			select {
			case w := <-g.in:
				waiting = append(waiting, w)
			default:
				more = false
			}
		}
		var batch []*grouped
		batch, waiting = pick(waiting)
		if len(batch) == 0 {
			<-slots
			continue
		}
		sending.Go(func() {
			back := g.send(ctx, batch)
			<-slots
			if len(back) == 0 {
				return
			}
			select {
			case again <- back:
			case <-ctx.Done():
			}
		})
	}
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
// because another one of the batch was in conflict.
func (g *group) send(ctx context.Context, batch []*grouped) (again []*grouped) {
	var txn Txn
	for _, w := range batch {
		txn.Ops = append(txn.Ops, w.ops...)
	}
	revision, err := g.engine.Commit(ctx, txn)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		for _, w := range batch {
			w.result <- groupResult{revision, err}
		}
		return nil
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
	return again
}

// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"bos/internal/bos"
	"bos/internal/store"
)

const (
	// prefixReaders is where processes say that they are reading the documents of
	// one revision. It is below the leaders', which no copy holds.
	prefixReaders = store.PrefixLeaders + "readers/"
	// compactPause is how often it is looked whether there is history to forget.
	compactPause = 200 * time.Millisecond
	// leastHistory is how many bytes of writes are kept at least, historyShare
	// what share of the store if that is more: a larger one takes longer to read,
	// and what changes meanwhile is to be there still.
	leastHistory = 4 << 20
	historyShare = 8
	// mostHistory is how many bytes of writes are kept for a reader at most.
	mostHistory = 1 << 30
	// readerTTL is how many seconds a reader is waited for that died.
	readerTTL = 10
)

// compactor forgets the history of an embedded store. Its measure is bytes, not
// revisions: one revision may hold a hundred documents, or one. What is kept is
// between once and twice the budget, so that a watch that fell behind a little
// goes on; one that fell behind farther reads the documents anew.
type compactor struct {
	engine *Engine
	done   chan struct{}
	// written counts the bytes that this process has written, readers those in
	// this process who are reading the documents of one revision.
	written, readers atomic.Int64

	mu sync.Mutex
	// last is where the history is cut next, former where it was cut.
	last, former mark
}

func newCompactor(e *Engine) *compactor {
	c := &compactor{engine: e, done: make(chan struct{})}
	c.last = c.mark()
	c.former = c.last
	return c
}

// wrote takes note of a transaction that was committed: of the bytes of its keys
// and documents as they are kept.
func (c *compactor) wrote(size int) { c.written.Add(int64(size)) }

// mark is a point in the history: a revision and what had been written by then.
type mark struct {
	revision, written int64
}

// run looks again and again until ctx ends.
func (c *compactor) run(ctx context.Context) {
	defer close(c.done)
	ticker := time.NewTicker(compactPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.engine.log.Debug("the store's history could not be compacted", slog.Any("error", err))
		}
	}
}

// look cuts the history if there is more of it than the budget, unless somebody
// reads the documents of one revision.
func (c *compactor) look(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.mark()
	budget := max(leastHistory, c.engine.server.Server.Backend().SizeInUse()/historyShare)
	if now.written-c.last.written < budget {
		return nil
	}
	held, err := c.held(ctx)
	if err != nil || held && now.written-c.former.written < mostHistory {
		return err
	}
	if err := c.cut(ctx, c.last.revision); err != nil {
		return err
	}
	c.former, c.last = c.last, now
	return nil
}

// cut forgets the history before a revision and waits until that is done: a cut
// looks at every document in the store, and those that etcd is asked for
// meanwhile would pile up behind it. etcd does not heed the context; when that
// ends the cut is left to it.
func (c *compactor) cut(ctx context.Context, revision int64) error {
	finished := make(chan error, 1)
	go func() {
		_, err := c.engine.client.Compact(ctx, revision, clientv3.WithCompactPhysical())
		finished <- err
	}()
	select {
	case err := <-finished:
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			return c.engine.wrap(ctx, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *compactor) mark() mark {
	return mark{revision: c.engine.server.Server.KV().Rev(), written: c.written.Load()}
}

// held reports whether somebody is reading the documents of one revision.
func (c *compactor) held(ctx context.Context) (bool, error) {
	if c.readers.Load() > 0 {
		return true, nil
	}
	rctx, done, err := c.engine.request(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	resp, err := c.engine.client.Get(rctx, prefixReaders, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return false, c.engine.wrap(ctx, err)
	}
	return resp.Count > 0, nil
}

// hold keeps the history from now on until release is called, so that the
// documents of one revision can be read a page at a time. Other processes are
// told so in the store; one that takes no writes, such as a full one, is read all
// the same, and changes little meanwhile.
func (e *Engine) hold(ctx context.Context) (release func()) {
	if e.alone() {
		e.compactor.readers.Add(1)
		return func() { e.compactor.readers.Add(-1) }
	}
	session, err := e.reader(ctx)
	if err != nil {
		e.log.Debug("the store's history could not be held for a reader", slog.Any("error", err))
		return func() {}
	}
	return func() { _ = session.Close() }
}

// reader says in the store that this process is reading.
func (e *Engine) reader(ctx context.Context) (*concurrency.Session, error) {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	lease, err := e.client.Grant(rctx, readerTTL)
	if err != nil {
		return nil, e.wrap(ctx, err)
	}
	session, err := concurrency.NewSession(e.client, concurrency.WithLease(lease.ID), concurrency.WithContext(e.ctx))
	if err != nil {
		return nil, e.wrap(ctx, err)
	}
	if _, err := e.client.Put(rctx, fmt.Sprintf("%s%x", prefixReaders, lease.ID), "", clientv3.WithLease(lease.ID)); err != nil {
		_ = session.Close()
		return nil, e.wrap(ctx, err)
	}
	return session, nil
}

// errHistoryGone is what a reader meets who took too long.
var errHistoryGone = &bos.Error{
	Code: bos.CodeUnavailable, Dependency: "store", Err: errors.New("compacted"),
	Message: "the documents changed too much while they were read; try again",
}

// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"bos/internal/bos"
)

const (
	// defaultLeaseTTL is how long a leadership outlives a process that died: with
	// a renewal a second and the new leader's first pass it acts within 5 s.
	defaultLeaseTTL = 4 * time.Second
	// renewals is how often a lease is renewed within its life.
	renewals = 4
	// safety is how long before its end a lease no longer counts as alive, so that
	// what was begun under it is over when somebody else may lead.
	safety = 200 * time.Millisecond
	// farewell bounds how long a lease is tried to be given up; others wait for
	// its end anyway.
	farewell = 2 * time.Second
)

// lease is a document that says that a holder lives: it is written again and
// again, and whoever has not seen it change for the whole time to live may take
// the holder's roles and deletes it. etcd's own leases are of no use for that:
// how much of one is left is known to the leader of the members alone, so that
// each begins anew when that one dies, in the very moment when a successor is
// wanted soon.
type lease struct {
	engine *Engine
	// name stands in the documents of the roles that are led under the lease.
	name, key string
	created   int64
	stop      context.CancelFunc
	stopped   chan struct{}
	// gone is closed once the lease is known to be over for good.
	gone chan struct{}

	mu sync.Mutex
	// until is the moment before which nobody else can have taken over.
	until time.Time
	// roles counts the leaderships under the lease.
	roles int
	ended bool
}

// leases holds the one lease under which this process leads in whatever roles
// it has. One that was lost is replaced at the next campaign.
type leases struct {
	engine *Engine
	mu     sync.Mutex
	now    *lease
	closed bool
}

// take returns a lease of a holder for one more role.
func (l *leases) take(ctx context.Context, holder string) (*lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, bos.Unavailable("store", context.Canceled)
	}
	if l.now == nil || l.now.over() {
		fresh, err := l.engine.newLease(ctx, holder)
		if err != nil {
			return nil, err
		}
		l.now = fresh
	}
	l.now.mu.Lock()
	defer l.now.mu.Unlock()
	l.now.roles++
	return l.now, nil
}

// drop gives one role of a lease back; after the last one the lease ends.
func (l *leases) drop(ctx context.Context, one *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.mu.Lock()
	one.roles--
	last := one.roles == 0
	one.mu.Unlock()
	if !last {
		return
	}
	if l.now == one {
		l.now = nil
	}
	one.giveUp(ctx)
}

// abandon ends a lease of which it is not known which roles are led under it.
func (l *leases) abandon(ctx context.Context, one *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == one {
		l.now = nil
	}
	one.giveUp(ctx)
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.now != nil {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		l.now.giveUp(ctx)
		l.now = nil
	}
}

// newLease writes the document of a lease and keeps it alive.
func (e *Engine) newLease(ctx context.Context, holder string) (*lease, error) {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// Its name is new, so that nothing of a former lease of the holder counts as
	// of this one.
	name := holder + "/" + uuid.NewString()
	sent := time.Now()
	resp, err := e.client.Put(rctx, leaseKey(name), "0")
	if err != nil {
		return nil, e.wrap(ctx, err)
	}
	lctx, stop := context.WithCancel(e.ctx)
	l := &lease{
		engine: e, name: name, key: leaseKey(name), created: resp.Header.Revision, stop: stop,
		stopped: make(chan struct{}), gone: make(chan struct{}),
		until: sent.Add(e.leaseTTL - safety),
	}
	go l.renew(lctx)
	return l, nil
}

// renew keeps the lease alive until ctx ends or it is lost.
func (l *lease) renew(ctx context.Context) {
	defer close(l.stopped)
	ticker := time.NewTicker(l.engine.leaseTTL / renewals)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		rctx, cancel := context.WithTimeout(ctx, l.engine.leaseTTL/2)
		sent := time.Now()
		// A lease that somebody has deleted stays lost, however late it is noticed.
		resp, err := l.engine.client.Txn(rctx).
			If(clientv3.Compare(clientv3.CreateRevision(l.key), "=", l.created)).
			Then(clientv3.OpPut(l.key, strconv.Itoa(n))).
			Commit()
		cancel()
		switch {
		case err != nil && ctx.Err() == nil:
			l.engine.log.Debug("a leadership could not be renewed", slog.Any("error", err))
		case err == nil && !resp.Succeeded:
			l.end()
			return
		case err == nil:
			l.extend(sent)
		}
	}
}

// extend notes a renewal that succeeded, and when it was sent: nobody has seen
// it before, so that nobody takes over before its time to live is over.
func (l *lease) extend(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(l.engine.leaseTTL - safety)
}

// alive reports whether the lease surely holds. Both times carry Go's monotonic
// reading: a process that was stopped for longer than the lease sees that.
func (l *lease) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended && time.Now().Before(l.until)
}

func (l *lease) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.gone)
	}
}

// giveUp ends the lease and tells the others so.
func (l *lease) giveUp(ctx context.Context) {
	l.end()
	l.stop()
	<-l.stopped
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	_, err := l.engine.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(l.key), "=", l.created)).
		Then(clientv3.OpDelete(l.key)).
		Commit()
	if err != nil {
		l.engine.log.Debug("a leadership could not be given up and will run out", slog.Any("error", err))
	}
}

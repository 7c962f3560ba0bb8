// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"bos/internal/bos"
	"bos/internal/store"
)

// leases holds the one lease under which this process leads in whatever roles
// it has. A lease that was lost is replaced at the next campaign.
type leases struct {
	engine *Engine
	mu     sync.Mutex
	now    *lease
	closed bool
}

// lease is a lease that is kept alive, and until when it surely is.
type lease struct {
	session *concurrency.Session
	cancel  context.CancelFunc
	stopped chan struct{}

	mu    sync.Mutex
	until time.Time
}

// get returns the current lease, or a new one.
func (l *leases) get(ctx context.Context) (*lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, bos.Unavailable("store", context.Canceled)
	}
	if l.now != nil && l.now.alive() {
		return l.now, nil
	}
	if l.now != nil {
		l.now.stop()
		l.now = nil
	}
	fresh, err := l.engine.newLease(ctx)
	if err != nil {
		return nil, err
	}
	l.now = fresh
	return fresh, nil
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.now == nil {
		return
	}
	l.now.stop()
	// Whoever waits for these roles need not wait for the lease to run out.
	_ = l.now.session.Close()
	l.now = nil
}

func (e *Engine) newLease(ctx context.Context) (*lease, error) {
	rctx, done := e.request(ctx)
	defer done()
	granted := time.Now()
	resp, err := e.client.Grant(rctx, int64(e.leaseTTL.Seconds()))
	if err != nil {
		return nil, e.wrap(ctx, err)
	}
	lctx, cancel := context.WithCancel(e.ctx)
	session, err := concurrency.NewSession(e.client, concurrency.WithLease(resp.ID), concurrency.WithContext(lctx))
	if err != nil {
		cancel()
		return nil, e.wrap(ctx, err)
	}
	l := &lease{session: session, cancel: cancel, stopped: make(chan struct{})}
	l.extend(granted, time.Duration(resp.TTL)*time.Second)
	go e.keepAlive(lctx, l)
	return l, nil
}

// keepAlive renews the lease three times within its life and notes until when
// it surely lives: from the moment at which a renewal that succeeded was sent.
func (e *Engine) keepAlive(ctx context.Context, l *lease) {
	defer close(l.stopped)
	ticker := time.NewTicker(e.leaseTTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.session.Done():
			return
		case <-ticker.C:
		}
		rctx, cancel := context.WithTimeout(ctx, e.leaseTTL/2)
		sent := time.Now()
		resp, err := e.client.KeepAliveOnce(rctx, l.session.Lease())
		cancel()
		if err != nil {
			continue
		}
		l.extend(sent, time.Duration(resp.TTL)*time.Second)
	}
}

// safety is how long before its end a lease no longer counts as alive, so that
// what was begun under it is over when somebody else may lead.
const safety = 200 * time.Millisecond

func (l *lease) extend(from time.Time, ttl time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = from.Add(ttl - safety)
}

func (l *lease) alive() bool {
	select {
	case <-l.session.Done():
		return false
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Both times carry Go's monotonic reading: a process that was stopped for
	// longer than the lease sees that.
	return time.Now().Before(l.until)
}

func (l *lease) stop() {
	l.cancel()
	<-l.stopped
}

type leadership struct {
	engine   *Engine
	lease    *lease
	election *concurrency.Election
	fence    store.Fence
	lost     chan struct{}
	once     sync.Once
}

// Campaign implements [store.Engine].
func (e *Engine) Campaign(ctx context.Context, role, holder string) (store.Leadership, error) {
	l, err := e.leases.get(ctx)
	if err != nil {
		return nil, err
	}
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	// A candidate whose lease ends would wait for ever.
	defer context.AfterFunc(l.session.Ctx(), cancel)()

	election := concurrency.NewElection(l.session, store.PrefixLeaders+role)
	if err := election.Campaign(cctx, holder); err != nil {
		return nil, e.wrap(ctx, err)
	}
	won := &leadership{
		engine: e, lease: l, election: election, lost: make(chan struct{}),
		fence: store.Fence{Key: election.Key(), Revision: election.Rev()},
	}
	go won.watch()
	return won, nil
}

// watch notices that the leadership's key is gone: the lease ran out, or an
// administrator deleted it.
func (l *leadership) watch() {
	defer l.lose()
	ctx, cancel := context.WithCancel(l.lease.session.Ctx())
	defer cancel()
	gone := l.engine.client.Watch(ctx, l.fence.Key, clientv3.WithRev(l.fence.Revision+1), clientv3.WithFilterPut())
	for {
		select {
		case <-l.lost:
			return
		case <-l.lease.session.Done():
			return
		case resp, ok := <-gone:
			if !ok || len(resp.Events) > 0 {
				return
			}
		}
	}
}

func (l *leadership) lose() { l.once.Do(func() { close(l.lost) }) }

// Fence implements [store.Leadership].
func (l *leadership) Fence() store.Fence { return l.fence }

// Alive implements [store.Leadership].
func (l *leadership) Alive() bool {
	select {
	case <-l.lost:
		return false
	default:
		return l.lease.alive()
	}
}

// Lost implements [store.Leadership].
func (l *leadership) Lost() <-chan struct{} { return l.lost }

// Resign implements [store.Leadership].
func (l *leadership) Resign(ctx context.Context) error {
	l.lose()
	rctx, done := l.engine.request(ctx)
	defer done()
	if err := l.election.Resign(rctx); err != nil {
		return l.engine.wrap(ctx, err)
	}
	return nil
}

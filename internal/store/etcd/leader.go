// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bos/internal/bos"
	"bos/internal/store"
)

// The documents of elections. That of a role holds the name of the lease under
// which it is led, and is written once for each leadership: the revision of that
// write is the fence. That of a lease says that its holder lives; its name
// begins with the holder's.
const leasePrefix = store.PrefixLeaders + "lease/"

func roleKey(role string) string  { return store.PrefixLeaders + role }
func leaseKey(name string) string { return leasePrefix + name }

// electoral is what is known of the elections: who leads, whose leases there
// are, and when each lease was last seen to change.
type electoral struct {
	engine *Engine
	start  sync.Once
	done   chan struct{}
	// cleared says that former leaderships of this member were ended.
	cleared bool

	mu sync.Mutex
	// revision is that up to which everything has been seen; 0 means nothing.
	revision int64
	roles    map[string]office
	leases   map[string]sign
	// changed is closed, and replaced, when something happens.
	changed chan struct{}
	// refresh asks for the documents to be read anew.
	refresh chan struct{}
}

// office is under which lease a role is led, since which revision.
type office struct {
	lease    string
	revision int64
}

// sign is a sign of life: a revision of a lease and when it was first seen here.
type sign struct {
	revision int64
	at       time.Time
}

func newElectoral(e *Engine) *electoral {
	return &electoral{
		engine: e, done: make(chan struct{}), roles: map[string]office{}, leases: map[string]sign{},
		changed: make(chan struct{}), refresh: make(chan struct{}, 1),
	}
}

// close waits for the end of what watches the elections, once the engine's
// context has ended.
func (c *electoral) close() {
	c.start.Do(func() { close(c.done) })
	<-c.done
}

// watch begins to follow the elections, if that has not begun.
func (c *electoral) watch() {
	c.start.Do(func() {
		go func() {
			defer close(c.done)
			c.run(c.engine.ctx)
		}()
	})
}

// electoralPause is how long to wait before an election is looked at or tried
// again.
const electoralPause = 200 * time.Millisecond

func (c *electoral) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.follow(ctx); err != nil && ctx.Err() == nil {
			c.engine.log.Debug("the elections can't be followed at the moment", slog.Any("error", err))
		}
		select {
		case <-time.After(electoralPause):
		case <-ctx.Done():
		}
	}
}

// follow reads the documents and applies what happens to them until that ends
// or somebody asks for them to be read anew.
func (c *electoral) follow(ctx context.Context) error {
	if !c.cleared && c.engine.server != nil {
		if err := c.engine.dropFormer(ctx); err != nil {
			return err
		}
	}
	c.cleared = true
	kvs, revision, err := c.engine.List(ctx, store.PrefixLeaders)
	if err != nil {
		return fmt.Errorf("read who leads: %w", err)
	}
	c.load(kvs, revision)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := c.engine.Watch(ctx, store.PrefixLeaders, revision)
	if err != nil {
		return fmt.Errorf("watch who leads: %w", err)
	}
	for {
		select {
		case batch, ok := <-w.C():
			if !ok {
				return w.Err()
			}
			c.apply(batch)
		case <-c.refresh:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *electoral) load(kvs []store.KV, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.leases
	c.roles, c.leases = map[string]office{}, map[string]sign{}
	for _, kv := range kvs {
		c.set(kv)
		if old, ok := known[kv.Key]; ok && old.revision == kv.Revision {
			// It was seen before, and has not changed since.
			c.leases[kv.Key] = old
		}
	}
	c.moved(revision)
}

func (c *electoral) apply(batch store.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, event := range batch.Events {
		if !event.Deleted {
			c.set(event.KV)
			continue
		}
		delete(c.roles, event.Key)
		delete(c.leases, event.Key)
	}
	c.moved(batch.Revision)
}

func (c *electoral) set(kv store.KV) {
	if strings.HasPrefix(kv.Key, leasePrefix) {
		c.leases[kv.Key] = sign{kv.Revision, time.Now()}
		return
	}
	c.roles[kv.Key] = office{string(kv.Value), kv.Revision}
}

func (c *electoral) moved(revision int64) {
	c.revision = max(c.revision, revision)
	close(c.changed)
	c.changed = make(chan struct{})
}

// anew asks for the documents to be read anew: what was known did not hold.
func (c *electoral) anew() {
	select {
	case c.refresh <- struct{}{}:
	default:
	}
}

// outlook is what a candidate for a role has to know.
type outlook struct {
	known bool
	// now is who leads; the zero value if nobody does.
	now office
	// sign is the last sign of life under that lease; revision 0 if the lease is
	// gone.
	sign sign
	// changed is closed when something happens.
	changed <-chan struct{}
}

func (c *electoral) look(role string) outlook {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.roles[roleKey(role)]
	return outlook{known: c.revision > 0, now: now, sign: c.leases[leaseKey(now.lease)], changed: c.changed}
}

// vacant returns how long to wait until the role may be taken; 0 is now.
func (o outlook) vacant(ttl time.Duration) time.Duration {
	if o.now.revision == 0 || o.sign.revision == 0 {
		return 0
	}
	return max(0, ttl-time.Since(o.sign.at))
}

// Campaign implements [store.Engine].
func (e *Engine) Campaign(ctx context.Context, role, holder string) (store.Leadership, error) {
	e.electoral.watch()
	for {
		if err := e.ended(ctx); err != nil {
			return nil, err
		}
		o := e.electoral.look(role)
		wait := electoralPause
		if o.known {
			wait = o.vacant(e.leaseTTL)
		}
		var err error
		if o.known && wait == 0 {
			var won store.Leadership
			if won, err = e.stand(ctx, role, holder, o); won != nil {
				return won, nil
			}
			// Somebody was faster, what was known is old, or the store is away.
			e.log.Debug("a campaign failed and is tried again", slog.String("role", role), slog.Any("error", err))
			wait = electoralPause
			if !bos.IsConflict(err) {
				o.changed = nil
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-o.changed:
		case <-timer.C:
			if err != nil {
				e.electoral.anew()
			}
		case <-ctx.Done():
		case <-e.ctx.Done():
		}
		timer.Stop()
	}
}

// ended returns why nothing can be asked for any more.
func (e *Engine) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.ctx.Err(); err != nil {
		return bos.Unavailable("store", err)
	}
	return nil
}

// stand takes a role that is vacant: nobody leads in it, or the one that did has
// given no sign of life for the time of a lease. In the latter case the lease
// goes, so that the former leader can't renew it.
func (e *Engine) stand(ctx context.Context, role, holder string, o outlook) (store.Leadership, error) {
	l, err := e.leases.take(ctx, holder)
	if err != nil {
		return nil, err
	}
	key := roleKey(role)
	compares := []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(key), "=", o.now.revision),
		clientv3.Compare(clientv3.CreateRevision(l.key), "=", l.created),
	}
	writes := []clientv3.Op{clientv3.OpPut(key, l.name)}
	if o.now.revision != 0 {
		former := leaseKey(o.now.lease)
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(former), "=", o.sign.revision))
		writes = append(writes, clientv3.OpDelete(former))
	}
	rctx, done, err := e.request(ctx)
	if err != nil {
		e.leases.drop(context.WithoutCancel(ctx), l)
		return nil, err
	}
	defer done()
	resp, err := e.client.Txn(rctx).If(compares...).Then(writes...).Commit()
	if err != nil {
		// It may have been done all the same; then the lease's end ends it.
		e.leases.abandon(context.WithoutCancel(ctx), l)
		return nil, e.wrap(ctx, err)
	}
	if !resp.Succeeded {
		e.leases.drop(context.WithoutCancel(ctx), l)
		return nil, &store.ConflictError{Keys: []string{key}}
	}
	won := &leadership{
		engine: e, lease: l, lost: make(chan struct{}),
		fence: store.Fence{Key: key, Revision: resp.Header.Revision},
	}
	go won.watch()
	return won, nil
}

type leadership struct {
	engine *Engine
	lease  *lease
	fence  store.Fence
	lost   chan struct{}
	once   sync.Once
	resign sync.Once
}

// watch notices that the leadership is over: somebody has taken the role, or an
// administrator has deleted its document.
func (l *leadership) watch() {
	defer l.lose()
	c := l.engine.electoral
	for {
		c.mu.Lock()
		changed := c.changed
		over := c.revision >= l.fence.Revision && c.roles[l.fence.Key].revision != l.fence.Revision
		c.mu.Unlock()
		if over {
			return
		}
		select {
		case <-changed:
		case <-l.lost:
			return
		case <-l.lease.gone:
			return
		case <-l.engine.ctx.Done():
			return
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
	var fault error
	l.resign.Do(func() {
		l.lose()
		defer l.engine.leases.drop(ctx, l.lease)
		rctx, done, err := l.engine.request(ctx)
		if err != nil {
			fault = err
			return
		}
		defer done()
		_, err = l.engine.client.Txn(rctx).
			If(clientv3.Compare(clientv3.ModRevision(l.fence.Key), "=", l.fence.Revision)).
			Then(clientv3.OpDelete(l.fence.Key)).
			Commit()
		fault = l.engine.wrap(ctx, err)
	})
	return fault
}

// dropFormer ends the leaderships that a process which died left behind: the
// data of a member can be open in one process only, so that whoever led from
// within the same member is gone.
func (e *Engine) dropFormer(ctx context.Context) error {
	kvs, _, err := e.List(ctx, store.PrefixLeaders)
	if err != nil {
		return fmt.Errorf("look for former leaders: %w", err)
	}
	for _, kv := range kvs {
		name, isLease := strings.CutPrefix(kv.Key, leasePrefix)
		if !isLease {
			name = string(kv.Value)
		}
		if !strings.HasPrefix(name, e.HolderPrefix()) {
			continue
		}
		_, err := e.Commit(ctx, store.Txn{Ops: []store.Op{{Key: kv.Key, Delete: true, Expect: kv.Revision}}})
		var conflict *store.ConflictError
		if err != nil && !errors.As(err, &conflict) {
			return fmt.Errorf("end the leadership of a former process: %w", err)
		}
	}
	return nil
}

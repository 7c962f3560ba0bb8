// SPDX-License-Identifier: MIT

// Package etcd is the store's engine for production: an etcd server embedded
// in this process, or the endpoints of a cluster outside of it.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"bos/internal/bos"
	"bos/internal/store"
)

const (
	// requestTimeout bounds every request to the store; longer means that it is
	// away.
	requestTimeout = 5 * time.Second
	// pageSize is how many documents a list asks for at once.
	pageSize = 1000
)

// ErrRefused says that a cluster outside does not accept the user or the
// password, or grants too little to the user: waiting does not help.
var ErrRefused = errors.New("user or password are wrong, or the user may not read and write all of /bos/")

// Engine implements [store.Engine] with etcd.
type Engine struct {
	client   *clientv3.Client
	server   *embed.Etcd // nil for a cluster outside of this process
	quorum   *quorum     // nil for a cluster outside of this process
	closing  *atomic.Bool
	leaseTTL time.Duration
	log      *slog.Logger

	packer *packer
	// packing says whether documents are packed that are written.
	packing atomic.Bool

	// ctx ends with Close; every watch and leadership hangs on it.
	ctx       context.Context
	cancel    context.CancelFunc
	leases    *leases
	electoral *electoral
	// compactor is nil for a cluster outside, whose history is its own affair.
	compactor *compactor
}

func newEngine(client *clientv3.Client, server *embed.Etcd, ttl time.Duration, log *slog.Logger) *Engine {
	e := &Engine{client: client, server: server, leaseTTL: ttl, log: log, packer: newPacker()}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.leases = &leases{engine: e}
	e.electoral = newElectoral(e)
	if server != nil {
		e.quorum = watchQuorum(e.ctx, server, log)
		e.compactor = newCompactor(e)
		go e.compactor.run(e.ctx)
	}
	return e
}

// request derives the context of one request; the error says that there is no
// use in trying.
func (e *Engine) request(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := e.ended(ctx); err != nil {
		return nil, nil, err
	}
	rctx, cancel := context.WithTimeout(ctx, requestTimeout)
	stop := context.AfterFunc(e.ctx, cancel)
	done := func() { stop(); cancel() }
	if e.quorum == nil {
		// A member of a cluster outside says at once that it is cut off.
		return clientv3.WithRequireLeader(rctx), done, nil
	}
	if err := e.quorum.await(rctx); err != nil {
		done()
		return nil, nil, e.wrap(ctx, err)
	}
	late := context.AfterFunc(e.quorum.current(), cancel)
	return rctx, func() { late(); done() }, nil
}

// wrap turns what etcd says into what the store's users expect. ctx is the
// caller's: if it ended, that is the error.
func (e *Engine) wrap(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bos.IsUnavailable(err) {
		return err
	}
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return &bos.Error{
			Code: bos.CodeUnavailable, Dependency: "store", Err: err,
			Message: "the store is full and takes no writes but deletions; delete what is not needed or raise its quota, " +
				"then give bosd cluster defrag",
		}
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty):
		return &bos.Error{
			Code: bos.CodeUnavailable, Dependency: "store", Message: "the store refuses this service", Err: errors.Join(ErrRefused, err),
		}
	case errors.Is(err, rpctypes.ErrCompacted):
		return errHistoryGone
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return &bos.Error{Code: bos.CodeTooLarge, Message: "the store refuses a request as too large", Err: err}
	}
	if errors.Is(err, context.Canceled) && e.ctx.Err() == nil {
		err = errNewTerm
	}
	return bos.Unavailable("store", err)
}

// Get implements [store.Engine].
func (e *Engine) Get(ctx context.Context, key string) (store.KV, error) {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return store.KV{}, err
	}
	defer done()
	resp, err := e.client.Get(rctx, key)
	if err != nil {
		return store.KV{}, e.wrap(ctx, err)
	}
	if len(resp.Kvs) == 0 {
		return store.KV{}, bos.Errorf(bos.CodeNotFound, "no document %q", key)
	}
	kv := resp.Kvs[0]
	return store.KV{Key: key, Value: e.packer.unpack(kv.Value), Revision: kv.ModRevision}, nil
}

// List implements [store.Engine].
func (e *Engine) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	var kvs []store.KV
	revision, err := e.Pages(ctx, prefix, func(page []store.KV, _, left int64) error {
		if kvs == nil {
			kvs = make([]store.KV, 0, int64(len(page))+left)
		}
		kvs = append(kvs, page...)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return kvs, revision, nil
}

// Pages implements [store.Pager]. What takes more than a page is read with the
// history held, so that its revision stays there to the end.
func (e *Engine) Pages(ctx context.Context, prefix string, each func(page []store.KV, revision, left int64) error) (int64, error) {
	end := clientv3.GetPrefixRangeEnd(prefix)
	resp, err := e.page(ctx, prefix, end, 0)
	if err != nil {
		return 0, e.wrap(ctx, err)
	}
	if resp.More {
		defer e.hold(ctx)()
		if resp, err = e.page(ctx, prefix, end, 0); err != nil {
			return 0, e.wrap(ctx, err)
		}
	}
	revision := resp.Header.Revision
	for {
		page := make([]store.KV, len(resp.Kvs))
		for i, kv := range resp.Kvs {
			page[i] = store.KV{Key: string(kv.Key), Value: e.packer.unpack(kv.Value), Revision: kv.ModRevision}
		}
		if err := each(page, revision, resp.Count-int64(len(page))); err != nil {
			return 0, err
		}
		if !resp.More {
			return revision, nil
		}
		if resp, err = e.page(ctx, page[len(page)-1].Key+"\x00", end, revision); err != nil {
			return 0, e.wrap(ctx, err)
		}
	}
}

// page returns a page of documents as they were at a revision; 0 is now.
func (e *Engine) page(ctx context.Context, from, end string, revision int64) (*clientv3.GetResponse, error) {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return e.client.Get(rctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
}

// Pack implements [store.Packer].
func (e *Engine) Pack(on bool) { e.packing.Store(on) }

func (e *Engine) pack(doc []byte) string {
	if !e.packing.Load() {
		return string(doc)
	}
	return e.packer.pack(doc)
}

// Commit implements [store.Engine].
func (e *Engine) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := txn.Check(); err != nil {
		return 0, err
	}
	var (
		compares = make([]clientv3.Cmp, 0, len(txn.Ops)+1)
		writes   = make([]clientv3.Op, 0, len(txn.Ops))
		looks    = make([]clientv3.Op, 0, len(txn.Ops))
		size     int
	)
	if f := txn.Fence; f != nil {
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(f.Key), "=", f.Revision))
	}
	for _, op := range txn.Ops {
		if op.Expect != store.AnyRevision {
			compares = append(compares, clientv3.Compare(clientv3.ModRevision(op.Key), "=", op.Expect))
			looks = append(looks, clientv3.OpGet(op.Key, clientv3.WithKeysOnly()))
		}
		if op.Delete {
			writes = append(writes, clientv3.OpDelete(op.Key))
		} else {
			value := e.pack(op.Value)
			size += len(value)
			writes = append(writes, clientv3.OpPut(op.Key, value))
		}
		size += len(op.Key)
	}
	rctx, done, err := e.request(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	resp, err := e.client.Txn(rctx).If(compares...).Then(writes...).Else(looks...).Commit()
	if err != nil {
		return 0, e.wrap(ctx, err)
	}
	if !resp.Succeeded {
		return 0, conflict(txn, resp)
	}
	if e.compactor != nil {
		e.compactor.wrote(size)
	}
	return resp.Header.Revision, nil
}

// conflict finds out which documents were not as expected.
func conflict(txn store.Txn, resp *clientv3.TxnResponse) error {
	now := map[string]int64{}
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			now[string(kv.Key)] = kv.ModRevision
		}
	}
	var keys []string
	for _, op := range txn.Ops {
		if op.Expect != store.AnyRevision && now[op.Key] != op.Expect {
			keys = append(keys, op.Key)
		}
	}
	return &store.ConflictError{Keys: keys}
}

// LocalRevision returns the present revision if this process holds the only
// member: every acknowledged write has been applied here, so that no round is
// needed.
func (e *Engine) LocalRevision() (int64, bool) {
	if !e.alone() || e.ctx.Err() != nil {
		return 0, false
	}
	return e.server.Server.KV().Rev(), true
}

// Revision implements [store.Engine].
func (e *Engine) Revision(ctx context.Context) (int64, error) {
	if e.ctx.Err() != nil {
		return 0, bos.Unavailable("store", e.ctx.Err())
	}
	if revision, ok := e.LocalRevision(); ok {
		return revision, ctx.Err()
	}
	rctx, done, err := e.request(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	// A linearizable read of a key that is never written.
	resp, err := e.client.Get(rctx, store.Root+"nothing", clientv3.WithCountOnly())
	if err != nil {
		return 0, e.wrap(ctx, err)
	}
	return resp.Header.Revision, nil
}

func (e *Engine) alone() bool {
	if e.server == nil {
		return false
	}
	cluster := e.server.Server.Cluster()
	// Every read asks: the ids cost less than copies of the members.
	if c, ok := cluster.(interface{ MemberIDs() []types.ID }); ok {
		return len(c.MemberIDs()) == 1
	}
	return len(cluster.Members()) == 1
}

// Compact forgets the history before a revision.
func (e *Engine) Compact(ctx context.Context, revision int64) error {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := e.client.Compact(rctx, revision); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return e.wrap(ctx, err)
	}
	return nil
}

// Size returns how many bytes the store's file has and how many are in use.
func (e *Engine) Size(ctx context.Context) (total, inUse int64, err error) {
	if e.server != nil {
		b := e.server.Server.Backend()
		return b.Size(), b.SizeInUse(), nil
	}
	rctx, done, err := e.request(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer done()
	for _, endpoint := range e.client.Endpoints() {
		resp, err := e.client.Status(rctx, endpoint)
		if err != nil {
			return 0, 0, e.wrap(ctx, err)
		}
		total, inUse = max(total, resp.DbSize), max(inUse, resp.DbSizeInUse)
	}
	return total, inUse, nil
}

// Drain prepares for the end of this process: if its member leads the others,
// one of them does from now on, so that what they write meanwhile is not lost on
// the way.
func (e *Engine) Drain() {
	if e.quorum != nil && e.ctx.Err() == nil {
		e.quorum.handOver()
	}
}

// stop ends everything that this process does with the store.
func (e *Engine) stop() {
	e.cancel()
	e.electoral.close()
	if e.quorum != nil {
		<-e.quorum.done
		<-e.compactor.done
	}
}

// Close implements [store.Engine].
func (e *Engine) Close() error {
	if e.ctx.Err() != nil {
		return nil //nolint:nilerr // it was closed before
	}
	e.leases.close()
	e.stop()
	err := e.client.Close()
	if e.server != nil {
		e.closing.Store(true)
		e.server.Close()
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the store's client: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"bos/internal/bos"
	"bos/internal/store"
)

type watcher struct {
	engine *Engine
	out    chan store.Batch

	mu  sync.Mutex
	err error
}

// Watch implements [store.Engine].
func (e *Engine) Watch(ctx context.Context, prefix string, after int64) (store.Watcher, error) {
	if e.ctx.Err() != nil {
		return nil, bos.Unavailable("store", e.ctx.Err())
	}
	wctx, cancel := context.WithCancel(streamContext(ctx))
	stop := context.AfterFunc(e.ctx, cancel)
	in := e.client.Watch(wctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1))
	w := &watcher{engine: e, out: make(chan store.Batch)}
	go func() {
		defer func() { stop(); cancel() }()
		w.run(wctx, in)
	}()
	return w, nil
}

// streamContext marks a context so that a watch fails when its member has lost
// the quorum, instead of staying silent. Watches and progress requests with
// the same mark share a stream.
func streamContext(ctx context.Context) context.Context { return clientv3.WithRequireLeader(ctx) }

func (w *watcher) run(ctx context.Context, in clientv3.WatchChan) {
	defer close(w.out)
	for resp := range in {
		if err := resp.Err(); err != nil {
			w.fail(ctx, err)
			return
		}
		batch := store.Batch{Revision: resp.Header.Revision}
		if len(resp.Events) > 0 {
			// The header may be ahead of the events; only a progress
			// notification vouches for all that came before it.
			batch.Revision = resp.Events[len(resp.Events)-1].Kv.ModRevision
			batch.Events = make([]store.Event, len(resp.Events))
		} else if !resp.IsProgressNotify() {
			continue
		}
		w.read(resp.Events, &batch)
		select {
		case w.out <- batch:
		case <-ctx.Done():
			return
		}
	}
}

// read fills a batch with what etcd tells.
func (w *watcher) read(events []*clientv3.Event, batch *store.Batch) {
	packer := w.engine.packer
	shelf := packer.shelf()
	batch.Release = func() { packer.clear(shelf) }
	for i, event := range events {
		one := &batch.Events[i]
		one.Key, one.Revision = string(event.Kv.Key), event.Kv.ModRevision
		if one.Deleted = event.Type == clientv3.EventTypeDelete; !one.Deleted {
			one.Value = packer.unpackOnto(shelf, event.Kv.Value)
		}
	}
}

func (w *watcher) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = bos.Unavailable("store", err)
	if errors.Is(err, rpctypes.ErrCompacted) {
		w.err = store.ErrCompacted
	}
}

// C implements [store.Watcher].
func (w *watcher) C() <-chan store.Batch { return w.out }

// Progress implements [store.Watcher].
func (w *watcher) Progress(ctx context.Context) error {
	if err := w.engine.client.RequestProgress(streamContext(ctx)); err != nil {
		return w.engine.wrap(ctx, err)
	}
	return nil
}

// Err implements [store.Watcher].
func (w *watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// SPDX-License-Identifier: MIT

// Package mem is the store's engine in memory: the same contract as etcd's,
// for tests in virtual time and for throw-away use. Nothing survives Close.
package mem

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"bos/internal/bos"
	"bos/internal/store"
)

// Engine implements [store.Engine] in memory.
type Engine struct {
	mu       sync.Mutex
	revision int64
	docs     map[string]store.KV
	// history holds the batches since compacted, oldest first.
	history   []store.Batch
	compacted int64
	watchers  map[*watcher]struct{}
	leaders   map[string]*leadership
	waiting   map[string][]chan struct{}
	down      error
	closed    chan struct{}
}

var errClosed = errors.New("closed")

// maxHistory bounds how many revisions can be replayed.
const maxHistory = 100_000

// New returns an empty store.
func New() *Engine {
	return &Engine{
		docs:     map[string]store.KV{},
		watchers: map[*watcher]struct{}{},
		leaders:  map[string]*leadership{},
		waiting:  map[string][]chan struct{}{},
		closed:   make(chan struct{}),
	}
}

// Fail makes every call fail as if the store were away, until it is called
// with nil: for tests of what others do then.
func (e *Engine) Fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = err
}

// Compact forgets the history up to and including a revision.
func (e *Engine) Compact(revision int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.compactLocked(revision)
}

func (e *Engine) compactLocked(revision int64) {
	i := 0
	for i < len(e.history) && e.history[i].Revision <= revision {
		i++
	}
	e.history = slices.Delete(e.history, 0, i)
	e.compacted = max(e.compacted, min(revision, e.revision))
}

// check returns why a call can't be served; the lock is held.
func (e *Engine) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.down != nil {
		return bos.Unavailable("store", e.down)
	}
	select {
	case <-e.closed:
		return bos.Unavailable("store", errClosed)
	default:
		return nil
	}
}

// LocalRevision returns the present revision.
func (e *Engine) LocalRevision() (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.revision, e.check(context.Background()) == nil
}

// Get implements [store.Engine].
func (e *Engine) Get(ctx context.Context, key string) (store.KV, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(ctx); err != nil {
		return store.KV{}, err
	}
	kv, ok := e.docs[key]
	if !ok {
		return store.KV{}, bos.Errorf(bos.CodeNotFound, "no document %q", key)
	}
	return kv, nil
}

// List implements [store.Engine].
func (e *Engine) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(ctx); err != nil {
		return nil, 0, err
	}
	var kvs []store.KV
	for key, kv := range e.docs {
		if strings.HasPrefix(key, prefix) {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b store.KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs, e.revision, nil
}

// Revision implements [store.Engine].
func (e *Engine) Revision(ctx context.Context) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.revision, e.check(ctx)
}

// Commit implements [store.Engine].
func (e *Engine) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := txn.Check(); err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(ctx); err != nil {
		return 0, err
	}
	if f := txn.Fence; f != nil {
		if kv, ok := e.docs[f.Key]; !ok || kv.Revision != f.Revision {
			return 0, &store.ConflictError{}
		}
	}
	var conflicts []string
	for _, op := range txn.Ops {
		if op.Expect != store.AnyRevision && e.docs[op.Key].Revision != op.Expect {
			conflicts = append(conflicts, op.Key)
		}
	}
	if conflicts != nil {
		return 0, &store.ConflictError{Keys: conflicts}
	}
	e.apply(txn.Ops)
	return e.revision, nil
}

// apply carries out operations as one revision; the lock is held.
func (e *Engine) apply(ops []store.Op) {
	e.revision++
	batch := store.Batch{Revision: e.revision}
	for _, op := range ops {
		kv := store.KV{Key: op.Key, Revision: e.revision}
		if !op.Delete {
			kv.Value = bytes.Clone(op.Value)
			e.docs[op.Key] = kv
		} else {
			if _, ok := e.docs[op.Key]; !ok {
				continue
			}
			delete(e.docs, op.Key)
		}
		batch.Events = append(batch.Events, store.Event{KV: kv, Deleted: op.Delete})
	}
	e.history = append(e.history, batch)
	if len(e.history) > maxHistory {
		e.compactLocked(e.history[len(e.history)/2].Revision)
	}
	for w := range e.watchers {
		w.push(batch)
	}
}

// Close implements [store.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.closed:
		return nil
	default:
	}
	close(e.closed)
	for _, l := range e.leaders {
		l.lose()
	}
	return nil
}

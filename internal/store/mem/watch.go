// SPDX-License-Identifier: MIT

package mem

import (
	"context"
	"errors"
	"strings"
	"sync"

	"bos/internal/bos"
	"bos/internal/store"
)

// watcher queues batches until its reader takes them. The queue is bounded by
// the history: a reader that is that far behind is told to list again.
type watcher struct {
	prefix string
	out    chan store.Batch
	engine *Engine

	mu    sync.Mutex
	queue []store.Batch
	wake  chan struct{}
	err   error
}

// Watch implements [store.Engine].
func (e *Engine) Watch(ctx context.Context, prefix string, after int64) (store.Watcher, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(ctx); err != nil {
		return nil, err
	}
	if after < e.compacted {
		return nil, store.ErrCompacted
	}
	w := &watcher{prefix: prefix, out: make(chan store.Batch), engine: e, wake: make(chan struct{}, 1)}
	for _, batch := range e.history {
		if batch.Revision > after {
			w.push(batch)
		}
	}
	e.watchers[w] = struct{}{}
	go w.run(ctx)
	return w, nil
}

func (w *watcher) push(batch store.Batch) {
	kept := store.Batch{Revision: batch.Revision}
	for _, event := range batch.Events {
		if strings.HasPrefix(event.Key, w.prefix) {
			kept.Events = append(kept.Events, event)
		}
	}
	if kept.Events == nil && batch.Events != nil {
		return
	}
	w.enqueue(kept)
}

func (w *watcher) enqueue(batch store.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, batch)
	if len(w.queue) > maxHistory {
		w.err = store.ErrCompacted
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next takes what is queued; nil means that there is nothing yet.
func (w *watcher) next() ([]store.Batch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := w.queue
	w.queue = nil
	return queue, w.err
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.out)
	defer func() {
		w.engine.mu.Lock()
		delete(w.engine.watchers, w)
		w.engine.mu.Unlock()
	}()
	for {
		batches, err := w.next()
		if err != nil {
			return
		}
		for _, batch := range batches {
			select {
			case w.out <- batch:
			case <-ctx.Done():
				return
			case <-w.engine.closed:
				return
			}
		}
		if batches != nil {
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		case <-w.engine.closed:
			return
		}
	}
}

// C implements [store.Watcher].
func (w *watcher) C() <-chan store.Batch { return w.out }

// Progress implements [store.Watcher].
func (w *watcher) Progress(ctx context.Context) error {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	if err := w.engine.check(ctx); err != nil {
		return err
	}
	w.enqueue(store.Batch{Revision: w.engine.revision})
	return nil
}

// Err implements [store.Watcher].
func (w *watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Interrupt ends every watch, as a lost connection would, and calls do before
// anybody can watch again.
func (e *Engine) Interrupt(do func()) {
	e.mu.Lock()
	cut := e.watchers
	e.watchers = map[*watcher]struct{}{}
	e.mu.Unlock()
	for w := range cut {
		w.mu.Lock()
		w.err = bos.Unavailable("store", errInterrupted)
		w.mu.Unlock()
	}
	do()
	for w := range cut {
		w.enqueue(store.Batch{})
	}
}

var errInterrupted = errors.New("interrupted")

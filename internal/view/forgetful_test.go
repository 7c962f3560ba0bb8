// SPDX-License-Identifier: MIT

package view_test

import (
	"bytes"
	"context"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/mem"
)

// forgetful is an engine whose watches use the memory of a batch again as soon as
// it is released, as etcd's do: what a view keeps must not lie there.
type forgetful struct{ *mem.Engine }

// Watch implements [store.Engine].
func (f forgetful) Watch(ctx context.Context, prefix string, after int64) (store.Watcher, error) {
	w, err := f.Engine.Watch(ctx, prefix, after)
	if err != nil {
		return nil, err
	}
	out := make(chan store.Batch)
	go func() {
		defer close(out)
		for batch := range w.C() {
			select {
			case out <- lent(batch):
			case <-ctx.Done():
			}
		}
	}()
	return forgetfulWatcher{w, out}, nil
}

// lent returns a batch whose values are wiped when it is released.
func lent(batch store.Batch) store.Batch {
	events := make([]store.Event, len(batch.Events))
	for i, event := range batch.Events {
		event.Value = bytes.Clone(event.Value)
		events[i] = event
	}
	batch.Events = events
	batch.Release = func() {
		for _, event := range events {
			for i := range event.Value {
				event.Value[i] = '#'
			}
		}
	}
	return batch
}

type forgetfulWatcher struct {
	store.Watcher

	out <-chan store.Batch
}

// C implements [store.Watcher].
func (w forgetfulWatcher) C() <-chan store.Batch { return w.out }

func TestKeepsNothingOfABatch(t *testing.T) {
	f := start(t)
	defer f.stop()
	key := bos.SessionKey{Name: "s"}
	session := &bos.SessionRecord{Session: bos.Session{Name: "s"}, Sealed: bos.SessionSealed{UID: "u"}}
	status, err := store.Encode(bos.ExtendedStatus{})
	if err != nil {
		t.Fatal(err)
	}
	f.doc(t, store.SessionKey(key), session)
	f.doc(t, store.StatusKey(key), bos.ExtendedStatus{})
	f.doc(t, store.ResultKey(key), bos.StoredResult{UID: "u", Result: bos.Result{}})
	f.doc(t, store.KeyOptions, map[string]any{"logging_level": "DEBUG"})
	// A batch is released before the next one is taken.
	f.put(t, bos.Record{Component: bos.Component{ID: "a", Error: bos.Some("broken")}})
	f.put(t, bos.Record{Component: bos.Component{ID: "b"}})
	f.doc(t, store.KeyOptions, map[string]any{"logging_level": "DEBUG"})
	if got, ok := f.view.SavedStatus(key); !ok || !bytes.Equal(got, status) {
		t.Errorf("the saved status is %q, not %q", got, status)
	}
	if _, ok := f.view.Result(session); !ok {
		t.Error("the result can't be read any more")
	}
	if got := f.view.Record("a"); got == nil || got.Component.Error.Value() != "broken" {
		t.Errorf("the component is %+v", got)
	}
}

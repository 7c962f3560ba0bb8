// SPDX-License-Identifier: MIT

package view_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
)

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.stop()
		f.put(t, bos.Record{Component: bos.Component{ID: "a"}})
		if err := f.view.Sync(t.Context(), f.store); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		if err := f.view.WaitFor(t.Context(), f.view.Revision()+1); !bos.IsUnavailable(err) || time.Since(begun) != 250*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		f.engine.Fail(errors.New("gone"))
		if err := f.view.Sync(t.Context(), f.store); !bos.IsUnavailable(err) {
			t.Errorf("%v", err)
		}
		f.engine.Fail(nil)
		// Somebody else's write under another root is waited out too.
		if _, err := f.store.PutDoc(t.Context(), "/other/x", 1, nil); err != nil {
			t.Fatal(err)
		}
		if err := f.view.Sync(t.Context(), f.store); err != nil {
			t.Errorf("a foreign write: %v", err)
		}
	})
}

// A view that is late and catches up is waited for, but not for ever: for 2 s, to
// a quarter of a second.
func TestWaitForALateView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.stop()
		f.put(t, bos.Record{Component: bos.Component{ID: "a"}})
		const progress, patience = 10 * time.Millisecond, 250 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		defer writing.Wait()
		defer cancel()
		writing.Go(func() {
			ticker := time.NewTicker(100 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				if _, err := f.store.PutDoc(ctx, "/other/x", 1, nil); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
		begun := time.Now()
		if err := f.view.WaitFor(ctx, f.view.Revision()+10); err != nil || time.Since(begun) > time.Second+progress {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		begun = time.Now()
		if err := f.view.WaitFor(ctx, f.view.Revision()+100); !bos.IsUnavailable(err) || time.Since(begun) < 2*time.Second || time.Since(begun) > 2*time.Second+patience {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// slowRevision counts the questions for the revision and answers when told.
type slowRevision struct {
	store.Engine
	asked  atomic.Int64
	answer chan struct{}
}

func (s *slowRevision) Revision(ctx context.Context) (int64, error) {
	s.asked.Add(1)
	<-s.answer
	return s.Engine.Revision(ctx)
}

func TestSyncSharesQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.stop()
		slow := &slowRevision{Engine: f.engine, answer: make(chan struct{})}
		var wg sync.WaitGroup
		ask := func() {
			wg.Go(func() {
				if err := f.view.Sync(t.Context(), slow); err != nil {
					t.Error(err)
				}
			})
		}
		ask()
		synctest.Wait()
		for range 100 {
			ask()
		}
		synctest.Wait()
		close(slow.answer)
		wg.Wait()
		if n := slow.asked.Load(); n != 2 {
			t.Errorf("%d questions for 101 callers in two waves", n)
		}
	})
}

// SPDX-License-Identifier: MIT

// Package storetest is the one suite that every engine of the store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/store"
)

// patience bounds every wait of the suite: a test that gets there failed.
const patience = 20 * time.Second

// Run runs the suite. open returns an empty engine and, where the engine has
// one, a function that forgets history up to a revision.
func Run(t *testing.T, open func(t *testing.T) (engine store.Engine, compact func(revision int64))) {
	suite := map[string]func(*testing.T, store.Engine){
		"GetAndList":        testGetAndList,
		"Conflicts":         testConflicts,
		"Bounds":            testBounds,
		"ConcurrentUpdates": testConcurrentUpdates,
		"WatchReplays":      testWatchReplays,
		"WatchWhole":        testWatchWholeRevisions,
		"Progress":          testProgress,
		"ReadYourWrites":    testRevision,
		"Election":          testElection,
		"Fence":             testFence,
		"CampaignGivesUp":   testCampaignGivesUp,
		"Binary":            testBinary,
		"Closed":            testClosed,
	}
	for name, test := range suite {
		t.Run(name, func(t *testing.T) {
			engine, _ := open(t)
			test(t, engine)
		})
	}
	t.Run("Compacted", func(t *testing.T) {
		engine, compact := open(t)
		testCompacted(t, engine, compact)
	})
}

func put(t *testing.T, e store.Engine, ops ...store.Op) int64 {
	t.Helper()
	revision, err := e.Commit(t.Context(), store.Txn{Ops: ops})
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return revision
}

func doc(key, value string) store.Op {
	return store.Op{Key: key, Value: []byte(value), Expect: store.AnyRevision}
}

func testGetAndList(t *testing.T, e store.Engine) {
	ctx := t.Context()
	if _, err := e.Get(ctx, "/bos/a"); !bos.IsNotFound(err) {
		t.Errorf("get of nothing: %v", err)
	}
	if kvs, _, err := e.List(ctx, "/bos/"); err != nil || len(kvs) != 0 {
		t.Errorf("list of nothing: %v, %v", kvs, err)
	}
	r1 := put(t, e, doc("/bos/b", "2"), doc("/bos/a", "1"))
	r2 := put(t, e, doc("/bos/a", "1b"), doc("/other/x", "no"))
	if r2 <= r1 {
		t.Errorf("revisions %d, %d", r1, r2)
	}
	kv, err := e.Get(ctx, "/bos/a")
	if err != nil || string(kv.Value) != "1b" || kv.Revision != r2 {
		t.Errorf("get: %+v, %v", kv, err)
	}
	kvs, revision, err := e.List(ctx, "/bos/")
	want := []store.KV{{Key: "/bos/a", Value: []byte("1b"), Revision: r2}, {Key: "/bos/b", Value: []byte("2"), Revision: r1}}
	if diff := cmp.Diff(want, kvs); err != nil || diff != "" || revision < r2 {
		t.Errorf("list at %d: %v %s", revision, err, diff)
	}
	put(t, e, store.Op{Key: "/bos/a", Delete: true, Expect: store.AnyRevision})
	if _, err := e.Get(ctx, "/bos/a"); !bos.IsNotFound(err) {
		t.Errorf("get of a deleted document: %v", err)
	}
	// A list is longer than one page of any engine.
	for i := range 25 {
		var ops []store.Op
		for j := range store.MaxOps {
			ops = append(ops, doc(fmt.Sprintf("/bos/many/%03d-%03d", i, j), strings.Repeat("x", 500)))
		}
		put(t, e, ops...)
	}
	kvs, _, err = e.List(ctx, "/bos/many/")
	if err != nil || len(kvs) != 2500 || kvs[2499].Key != "/bos/many/024-099" {
		t.Errorf("long list: %d, %v", len(kvs), err)
	}
}

func testConflicts(t *testing.T, e store.Engine) {
	ctx := t.Context()
	r := put(t, e, store.Op{Key: "/bos/a", Value: []byte("1"), Expect: store.Absent})
	tests := []struct {
		name string
		ops  []store.Op
		want []string
	}{
		{"create what exists", []store.Op{{Key: "/bos/a", Value: []byte("2"), Expect: store.Absent}}, []string{"/bos/a"}},
		{"old revision", []store.Op{{Key: "/bos/a", Value: []byte("2"), Expect: r - 1}}, []string{"/bos/a"}},
		{"update what does not exist", []store.Op{{Key: "/bos/z", Value: []byte("2"), Expect: r}}, []string{"/bos/z"}},
		{"delete what changed", []store.Op{{Key: "/bos/a", Delete: true, Expect: r + 7}}, []string{"/bos/a"}},
		{"one of two", []store.Op{{Key: "/bos/b", Value: []byte("2"), Expect: store.Absent}, {Key: "/bos/a", Value: []byte("2"), Expect: store.Absent}}, []string{"/bos/a"}},
	}
	for _, tt := range tests {
		_, err := e.Commit(ctx, store.Txn{Ops: tt.ops})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || !bos.IsConflict(err) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, conflict.Keys); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if _, err := e.Get(ctx, "/bos/b"); !bos.IsNotFound(err) {
		t.Errorf("a refused transaction wrote something: %v", err)
	}
	put(t, e, store.Op{Key: "/bos/a", Value: []byte("2"), Expect: r}, store.Op{Key: "/bos/b", Value: []byte("1"), Expect: store.Absent})
	kv, err := e.Get(ctx, "/bos/a")
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, store.Op{Key: "/bos/a", Delete: true, Expect: kv.Revision})
	put(t, e, store.Op{Key: "/bos/nothing", Delete: true, Expect: store.AnyRevision})
}

func testBounds(t *testing.T, e store.Engine) {
	ctx := t.Context()
	var many []store.Op
	for i := range store.MaxOps + 1 {
		many = append(many, doc(fmt.Sprintf("/bos/%d", i), "x"))
	}
	if _, err := e.Commit(ctx, store.Txn{Ops: many}); bos.CodeOf(err) != bos.CodeTooLarge {
		t.Errorf("too many operations: %v", err)
	}
	if _, err := e.Commit(ctx, store.Txn{Ops: many[:store.MaxOps]}); err != nil {
		t.Errorf("as many operations as allowed: %v", err)
	}
	big := doc("/bos/big", strings.Repeat("x", store.MaxBytes))
	if _, err := e.Commit(ctx, store.Txn{Ops: []store.Op{big}}); bos.CodeOf(err) != bos.CodeTooLarge {
		t.Errorf("too many bytes: %v", err)
	}
	big.Value = big.Value[:store.MaxBytes-len(big.Key)]
	if _, err := e.Commit(ctx, store.Txn{Ops: []store.Op{big}}); err != nil {
		t.Errorf("as many bytes as allowed: %v", err)
	}
	if _, err := e.Commit(ctx, store.Txn{}); err == nil {
		t.Error("an empty transaction was taken")
	}
}

// Concurrent read-change-write rounds lose nothing.
func testConcurrentUpdates(t *testing.T, e store.Engine) {
	const writers, rounds = 8, 20
	put(t, e, doc("/bos/n", ""))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				for {
					kv, err := e.Get(t.Context(), "/bos/n")
					if err != nil {
						t.Error(err)
						return
					}
					next := append([]byte(nil), kv.Value...)
					_, err = e.Commit(t.Context(), store.Txn{Ops: []store.Op{{
						Key: "/bos/n", Value: append(next, byte('a'+w)), Expect: kv.Revision,
					}}})
					if err == nil {
						break
					}
					if !bos.IsConflict(err) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	kv, err := e.Get(t.Context(), "/bos/n")
	if err != nil || len(kv.Value) != writers*rounds {
		t.Errorf("%d of %d updates are left, %v", len(kv.Value), writers*rounds, err)
	}
}

// collect reads a watch until it has reached a revision.
func collect(t *testing.T, w store.Watcher, until int64) []store.Batch {
	t.Helper()
	var got []store.Batch
	timeout := time.After(patience)
	for {
		select {
		case b, ok := <-w.C():
			if !ok {
				t.Fatalf("the watch ended: %v", w.Err())
			}
			if len(got) > 0 && b.Revision < got[len(got)-1].Revision {
				t.Fatalf("revision %d after %d", b.Revision, got[len(got)-1].Revision)
			}
			got = append(got, b)
			if b.Revision >= until {
				return got
			}
		case <-timeout:
			t.Fatalf("the watch did not reach revision %d: %+v", until, got)
		}
	}
}

func events(batches []store.Batch) []store.Event {
	var all []store.Event
	for _, b := range batches {
		all = append(all, b.Events...)
	}
	return all
}

func testWatchReplays(t *testing.T, e store.Engine) {
	r1 := put(t, e, doc("/bos/a", "1"))
	r2 := put(t, e, doc("/bos/a", "2"))
	put(t, e, doc("/elsewhere", "x"))
	w, err := e.Watch(t.Context(), "/bos/", r1)
	if err != nil {
		t.Fatal(err)
	}
	r3 := put(t, e, store.Op{Key: "/bos/a", Delete: true, Expect: r2})
	r4 := put(t, e, doc("/bos/b", "3"))
	want := []store.Event{
		{KV: store.KV{Key: "/bos/a", Value: []byte("2"), Revision: r2}},
		{KV: store.KV{Key: "/bos/a", Revision: r3}, Deleted: true},
		{KV: store.KV{Key: "/bos/b", Value: []byte("3"), Revision: r4}},
	}
	if diff := cmp.Diff(want, events(collect(t, w, r4))); diff != "" {
		t.Error(diff)
	}
}

func testWatchWholeRevisions(t *testing.T, e store.Engine) {
	w, err := e.Watch(t.Context(), "/bos/", 0)
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	for i := range 10 {
		var ops []store.Op
		for j := range 50 {
			ops = append(ops, doc(fmt.Sprintf("/bos/%d", j), strings.Repeat("x", 1000*i)))
		}
		last = put(t, e, ops...)
	}
	for _, b := range collect(t, w, last) {
		perRevision := map[int64]int{}
		for _, event := range b.Events {
			perRevision[event.Revision]++
		}
		for revision, n := range perRevision {
			if n != 50 {
				t.Errorf("revision %d came with %d of 50 events", revision, n)
			}
		}
	}
}

func testProgress(t *testing.T, e store.Engine) {
	w, err := e.Watch(t.Context(), "/bos/", 0)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's write moves the store on without an event for the watch.
	r := put(t, e, doc("/elsewhere", "x"))
	done := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			if err := w.Progress(t.Context()); err != nil {
				t.Error(err)
			}
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	if got := events(collect(t, w, r)); len(got) != 0 {
		t.Errorf("events: %+v", got)
	}
	close(done)
	asking.Wait()
}

func testRevision(t *testing.T, e store.Engine) {
	for range 20 {
		r := put(t, e, doc("/bos/a", "x"))
		got, err := e.Revision(t.Context())
		if err != nil || got < r {
			t.Fatalf("revision %d after a write at %d, %v", got, r, err)
		}
	}
}

func testCompacted(t *testing.T, e store.Engine, compact func(int64)) {
	r1 := put(t, e, doc("/bos/a", "1"))
	put(t, e, doc("/bos/a", "2"))
	r3 := put(t, e, doc("/bos/a", "3"))
	compact(r3)
	w, err := e.Watch(t.Context(), "/bos/", r1)
	if err == nil {
		select {
		case _, ok := <-w.C():
			if ok {
				t.Fatal("history that is gone was replayed")
			}
		case <-time.After(patience):
			t.Fatal("the watch of history that is gone hangs")
		}
		err = w.Err()
	}
	if !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watch: %v", err)
	}
	w, err = e.Watch(t.Context(), "/bos/", r3)
	if err != nil {
		t.Fatal(err)
	}
	r4 := put(t, e, doc("/bos/a", "4"))
	if got := events(collect(t, w, r4)); len(got) != 1 {
		t.Errorf("events: %+v", got)
	}
}

func campaign(t *testing.T, e store.Engine, role, holder string) store.Leadership {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := e.Campaign(ctx, role, holder)
	if err != nil {
		t.Fatalf("campaign of %s for %s: %v", holder, role, err)
	}
	return l
}

func testElection(t *testing.T, e store.Engine) {
	first := campaign(t, e, "status", "one")
	if !first.Alive() {
		t.Error("a new leader is not alive")
	}
	other := campaign(t, e, "power-on", "two")
	second := make(chan store.Leadership)
	go func() {
		l, err := e.Campaign(t.Context(), "status", "two")
		if err != nil {
			t.Errorf("second campaign: %v", err)
		}
		second <- l
	}()
	if err := first.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case l := <-second:
		if l == nil || !l.Alive() || l.Fence() == first.Fence() {
			t.Errorf("the second leader: %+v", l)
		}
	case <-time.After(patience):
		t.Fatal("nobody followed the leader who resigned")
	}
	if first.Alive() {
		t.Error("a leader who resigned is alive")
	}
	select {
	case <-first.Lost():
	case <-time.After(patience):
		t.Error("a leader who resigned does not know it")
	}
	if !other.Alive() {
		t.Error("another role was touched")
	}
}

func testFence(t *testing.T, e store.Engine) {
	l := campaign(t, e, "status", "one")
	fence := l.Fence()
	fenced := func(f store.Fence) error {
		_, err := e.Commit(t.Context(), store.Txn{Ops: []store.Op{doc("/bos/a", "x")}, Fence: &f})
		return err
	}
	if err := fenced(fence); err != nil {
		t.Errorf("write of a leader: %v", err)
	}
	if err := l.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fenced(fence); !bos.IsConflict(err) {
		t.Errorf("write after the resignation: %v", err)
	}
	next := campaign(t, e, "status", "two")
	if err := fenced(fence); !bos.IsConflict(err) {
		t.Errorf("write under the former fence: %v", err)
	}
	if err := fenced(next.Fence()); err != nil {
		t.Errorf("write under the new fence: %v", err)
	}
}

func testCampaignGivesUp(t *testing.T, e store.Engine) {
	l := campaign(t, e, "status", "one")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := e.Campaign(ctx, "status", "two")
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a cancelled campaign won")
		}
	case <-time.After(patience):
		t.Fatal("a cancelled campaign goes on")
	}
	if err := l.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The cancelled candidate does not stand in the way of the next.
	campaign(t, e, "status", "three")
}

func testBinary(t *testing.T, e store.Engine) {
	key := "/bos/templates/tenant/with\x00na me\xc3\xa9"
	r := put(t, e, store.Op{Key: key, Value: []byte{0, 1, 0xff}, Expect: store.Absent})
	kvs, _, err := e.List(t.Context(), "/bos/templates/")
	if diff := cmp.Diff([]store.KV{{Key: key, Value: []byte{0, 1, 0xff}, Revision: r}}, kvs); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func testClosed(t *testing.T, e store.Engine) {
	w, err := e.Watch(t.Context(), "/bos/", 0)
	if err != nil {
		t.Fatal(err)
	}
	l := campaign(t, e, "status", "one")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Lost():
	case <-time.After(patience):
		t.Error("closing the store left a leader in office")
	}
	timeout := time.After(patience)
	for open := true; open; {
		select {
		case _, open = <-w.C():
		case <-timeout:
			t.Fatal("closing the store left a watch open")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := e.Commit(ctx, store.Txn{Ops: []store.Op{doc("/bos/a", "x")}}); !bos.IsUnavailable(err) {
		t.Errorf("commit after close: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

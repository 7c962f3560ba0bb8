// SPDX-License-Identifier: MIT

package etcd_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"bos/internal/store"
	"bos/internal/store/etcd"
)

// rewrite writes the same 100 documents of 10 kB again and again.
func rewrite(t *testing.T, e *etcd.Engine, times int) (last int64) {
	t.Helper()
	value := bytes.Repeat([]byte("x"), 10000)
	for range times {
		var txn store.Txn
		for i := range 100 {
			txn.Ops = append(txn.Ops, store.Op{Key: fmt.Sprintf("/bos/components/x%d", i), Value: value, Expect: store.AnyRevision})
		}
		revision, err := e.Commit(t.Context(), txn)
		if err != nil {
			t.Fatal(err)
		}
		last = revision
	}
	return last
}

// watchEnds returns how a watch from a revision ends, or nil if it delivers.
func watchEnds(t *testing.T, e *etcd.Engine, after int64) error {
	t.Helper()
	w, err := e.Watch(t.Context(), "/bos/", after)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := <-w.C(); ok {
		return nil
	}
	return w.Err()
}

// TestHistoryIsForgotten keeps a store that is written to all the time small: of
// the history there is what a watch needs that is a little behind.
func TestHistoryIsForgotten(t *testing.T) {
	e := open(t, t.TempDir())
	first := rewrite(t, e, 1)
	var last int64
	for range 6 {
		last = rewrite(t, e, 10)
		if err := e.LookAtHistory(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := watchEnds(t, e, first); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a watch that is 60 MB behind ends with %v", err)
	}
	if err := watchEnds(t, e, last-5); err != nil {
		t.Errorf("a watch that is 5 MB behind ends with %v", err)
	}
	if kvs, _, err := e.List(t.Context(), "/bos/"); err != nil || len(kvs) != 100 {
		t.Errorf("%d documents, %v", len(kvs), err)
	}
}

// TestHistoryIsKeptForReaders lets somebody read who takes long: the documents of
// the revision stay until the last page.
func TestHistoryIsKeptForReaders(t *testing.T) {
	e := open(t, t.TempDir())
	for i := range 25 {
		var txn store.Txn
		for j := range 100 {
			txn.Ops = append(txn.Ops, store.Op{Key: fmt.Sprintf("/bos/many/%04d", 100*i+j), Value: []byte("old"), Expect: store.Absent})
		}
		if _, err := e.Commit(t.Context(), txn); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	_, err := e.Pages(t.Context(), "/bos/many/", func(page []store.KV, _, _ int64) error {
		read += len(page)
		for range 3 {
			rewrite(t, e, 10)
			if err := e.LookAtHistory(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || read != 2500 {
		t.Errorf("%d documents were read, %v", read, err)
	}
}

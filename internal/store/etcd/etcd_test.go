// SPDX-License-Identifier: MIT

package etcd_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/etcd"
	"bos/internal/store/storetest"
)

func TestMain(m *testing.M) {
	// What members say to each other ends some time after them, or with the
	// process: etcd does not wait for it.
	var ignored []goleak.Option
	for _, f := range []string{
		"net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop",
		"net/http.(*conn).serve", "net/http.(*connReader).backgroundRead",
	} {
		ignored = append(ignored, goleak.IgnoreAnyFunction(f))
	}
	goleak.VerifyTestMain(m, ignored...)
}

func open(t *testing.T, dir string) *etcd.Engine {
	t.Helper()
	e, err := etcd.OpenEmbedded(t.Context(), etcd.Embedded{Dir: dir, ThrowAway: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func TestEmbedded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Engine, func(int64)) {
		e := open(t, t.TempDir())
		return e, func(revision int64) {
			if err := e.Compact(t.Context(), revision); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What was acknowledged is there after a restart, and a former leader that left
// without a word does not keep its successor waiting.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	var last int64
	for i := range 50 {
		r, err := first.Commit(t.Context(), store.Txn{Ops: []store.Op{{
			Key: fmt.Sprintf("/bos/%d", i), Value: []byte("x"), Expect: store.Absent,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	kvs, revision, err := second.List(t.Context(), "/bos/")
	if err != nil || len(kvs) != 50 || revision < last {
		t.Errorf("%d documents at revision %d of %d, %v", len(kvs), revision, last, err)
	}
}

func TestFormerLeaseIsDropped(t *testing.T) {
	dir := t.TempDir()
	// A lease far longer than the test can wait.
	first, err := etcd.OpenEmbedded(t.Context(), etcd.Embedded{Dir: dir, ThrowAway: true, LeaseTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Campaign(t.Context(), "status", first.NewHolder()); err != nil {
		t.Fatal(err)
	}
	first.Abandon()
	second := open(t, dir)
	l, err := second.Campaign(t.Context(), "status", second.NewHolder())
	if err != nil || !l.Alive() {
		t.Errorf("%v, %v", l, err)
	}
}

func TestTwoProcessesCannotShare(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if _, err := etcd.OpenEmbedded(t.Context(), etcd.Embedded{Dir: dir, ThrowAway: true, ReadyTimeout: 200 * time.Millisecond}); err == nil {
		t.Fatal("the same data was opened twice")
	}
}

func TestRemoteAway(t *testing.T) {
	_, err := etcd.OpenRemote(t.Context(), etcd.Remote{Endpoints: []string{"http://127.0.0.1:1"}})
	if !bos.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	_, err = etcd.OpenRemote(t.Context(), etcd.Remote{Endpoints: []string{"http://127.0.0.1:1"}, CAFile: "/nonexistent"})
	var e *bos.Error
	if err == nil || errors.As(err, &e) {
		t.Errorf("a missing CA file: %v", err)
	}
}

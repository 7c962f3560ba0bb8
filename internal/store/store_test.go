// SPDX-License-Identifier: MIT

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t *testing.T, e store.Engine) *store.Store {
	t.Helper()
	s := store.New(e)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// counting counts the transactions that reach an engine.
type counting struct {
	store.Engine
	commits atomic.Int64
	gate    chan struct{}
}

func (c *counting) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	c.commits.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return c.Engine.Commit(ctx, txn)
}

func bump(_ string, old *bos.Record) (*bos.Record, error) {
	next := bos.Record{}
	if old != nil {
		next = *old
	}
	next.Component.RetryPolicy = bos.Some(next.Component.RetryPolicy.Value() + 1)
	return &next, nil
}

func ids(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("x%d", i))
	}
	return out
}

func create(t *testing.T, s *store.Store, ids ...string) {
	t.Helper()
	_, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: ids, Change: func(id string, _ *bos.Record) (*bos.Record, error) {
		return &bos.Record{Component: bos.Component{ID: id}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUpdateRecordsInChunks(t *testing.T) {
	engine := &counting{Engine: mem.New()}
	s := newStore(t, engine)
	all := ids(1050)
	create(t, s, all...)
	if n := engine.commits.Load(); n != 11 {
		t.Errorf("%d transactions for 1,050 components", n)
	}
	// What the caller knows may be old: the writes find out.
	stale := func(id string) *bos.Record { return &bos.Record{Component: bos.Component{ID: id}, Revision: 1} }
	got, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: all, Read: stale, Change: bump})
	if err != nil || len(got.Written) != 1050 || got.Written["x7"].Component.RetryPolicy.Value() != 1 {
		t.Errorf("%d written, %v", len(got.Written), err)
	}
	if got.Written["x7"].Revision == 0 || got.Revision < got.Written["x7"].Revision {
		t.Errorf("revisions %d, %d", got.Revision, got.Written["x7"].Revision)
	}
}

func TestUpdateRecordsChecksFirst(t *testing.T) {
	s := newStore(t, mem.New())
	all := ids(300)
	create(t, s, all...)
	_, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: all, Change: func(id string, old *bos.Record) (*bos.Record, error) {
		if id == "x299" {
			return nil, bos.Errorf(bos.CodeNotFound, "no")
		}
		return bump(id, old)
	}})
	if !bos.IsNotFound(err) {
		t.Fatal(err)
	}
	kv, err := s.Get(t.Context(), store.ComponentKey("x0"))
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := store.DecodeRecord(kv, "x0", nil); err != nil || rec.Component.RetryPolicy.IsSet() {
		t.Errorf("written before everything was checked: %+v, %v", rec, err)
	}
}

// Concurrent updates of the same components, grouped and in bulk, lose nothing.
func TestNoLostUpdates(t *testing.T) {
	s := newStore(t, mem.New())
	all := ids(5)
	create(t, s, all...)
	const writers, rounds = 10, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				update := store.RecordUpdate{IDs: all, Change: bump}
				if w%2 == 0 {
					update.IDs = all[:1]
				}
				if _, err := s.UpdateRecords(t.Context(), update); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, want := range []int{writers * rounds, writers * rounds / 2} {
		kv, err := s.Get(t.Context(), store.ComponentKey(all[i]))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := store.DecodeRecord(kv, all[i], nil)
		if err != nil || rec.Component.RetryPolicy.Value() != want {
			t.Errorf("%s: %d of %d updates, %v", all[i], rec.Component.RetryPolicy.Value(), want, err)
		}
	}
}

func TestSmallWritesAreGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &counting{Engine: mem.New()}
		s := newStore(t, engine)
		all := ids(500)
		create(t, s, all...)
		engine.commits.Store(0)
		engine.gate = make(chan struct{})
		var wg sync.WaitGroup
		for _, id := range all {
			wg.Go(func() {
				if _, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: []string{id}, Change: bump}); err != nil {
					t.Error(err)
				}
			})
		}
		// Everybody waits: the first groups at the gate, the others for theirs.
		synctest.Wait()
		close(engine.gate)
		wg.Wait()
		if n := engine.commits.Load(); n > 10 {
			t.Errorf("%d transactions for 500 writes at once", n)
		}
	})
}

func TestForeignDocuments(t *testing.T) {
	s := newStore(t, mem.New())
	if _, err := s.PutDoc(t.Context(), store.ComponentKey("x1"), "nonsense", nil); err != nil {
		t.Fatal(err)
	}
	// A corrupt document counts as none; a write may replace it.
	got, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: []string{"x1"}, Change: func(id string, old *bos.Record) (*bos.Record, error) {
		if old != nil {
			t.Errorf("%+v", old)
		}
		return &bos.Record{Component: bos.Component{ID: id}}, nil
	}})
	if err != nil || got.Written["x1"] == nil {
		t.Errorf("%+v, %v", got, err)
	}
	kv, err := s.Get(t.Context(), store.ComponentKey("x1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.DecodeRecord(kv, "x2", nil); err == nil {
		t.Error("another component's document was taken")
	}
}

func TestFencedUpdates(t *testing.T) {
	engine := mem.New()
	s := newStore(t, engine)
	create(t, s, "x0")
	l, err := s.Campaign(t.Context(), "status", "me")
	if err != nil {
		t.Fatal(err)
	}
	fence := l.Fence()
	update := store.RecordUpdate{IDs: []string{"x0"}, Fence: &fence, Change: bump}
	if _, err := s.UpdateRecords(t.Context(), update); err != nil {
		t.Fatal(err)
	}
	engine.Depose("status")
	if _, err := s.UpdateRecords(t.Context(), update); !bos.IsConflict(err) {
		t.Errorf("a deposed leader wrote: %v", err)
	}
}

func TestUpdateDocument(t *testing.T) {
	s := newStore(t, mem.New())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := store.Update[int]{Key: "/bos/n", Decode: store.Decode[int], Change: func(old int, _ bool) (any, []store.Op, error) {
				return old + 1, nil, nil
			}}.Run(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	kv, err := s.Get(t.Context(), "/bos/n")
	if n, _ := store.Decode[int](kv); err != nil || n != 20 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := s.DeleteDoc(t.Context(), "/bos/n"); err != nil {
		t.Error(err)
	}
	if _, err := s.DeleteDoc(t.Context(), "/bos/n"); !bos.IsNotFound(err) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestStoreAway(t *testing.T) {
	engine := mem.New()
	s := newStore(t, engine)
	engine.Fail(errors.New("gone"))
	_, err := s.UpdateRecords(t.Context(), store.RecordUpdate{IDs: []string{"x0"}, Change: bump})
	if !bos.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	_, err = s.UpdateRecords(t.Context(), store.RecordUpdate{
		IDs: []string{"x0"}, Change: bump, Read: func(string) *bos.Record { return &bos.Record{} },
	})
	if !bos.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	engine.Fail(nil)
	create(t, s, "x0")
}

func TestPrepare(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	s := newStore(t, mem.New())
	first, err := s.Prepare(t.Context(), now, false)
	if err != nil || first.Version != store.SchemaVersion || !first.CreatedAt.Equal(now) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := s.Prepare(t.Context(), now.Add(time.Hour), false)
	if err != nil || again != first {
		t.Errorf("%+v, %v", again, err)
	}
	put := func(schema store.Schema) {
		if _, err := s.PutDoc(t.Context(), store.KeySchema, schema, nil); err != nil {
			t.Fatal(err)
		}
	}
	// The next version reads and writes what this one does.
	put(store.Schema{Version: store.SchemaVersion + 1, MinReader: store.SchemaVersion})
	if got, err := s.Prepare(t.Context(), now, false); err != nil || got.Version != store.SchemaVersion+1 {
		t.Errorf("the next version: %+v, %v", got, err)
	}
	put(store.Schema{Version: store.SchemaVersion + 2, MinReader: store.SchemaVersion + 1})
	if _, err := s.Prepare(t.Context(), now, false); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Errorf("a version that is too new: %v", err)
	}
	// Builds of an older version go on until it is said that there are none.
	put(store.Schema{Version: store.SchemaVersion - 1, MinReader: 1})
	for _, want := range []struct {
		raise     bool
		minReader int
	}{{false, 1}, {false, 1}, {true, 2}, {false, 2}, {true, 2}} {
		got, err := s.Prepare(t.Context(), now, want.raise)
		if err != nil || got.Version != store.SchemaVersion || got.MinReader != want.minReader {
			t.Errorf("an older version: %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	from, to := newStore(t, mem.New()), newStore(t, mem.New())
	create(t, from, ids(250)...)
	if _, err := from.PutDoc(t.Context(), store.TemplateKey(bos.TemplateKey{Tenant: "blue", Name: "t"}), "doc", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Campaign(t.Context(), "status", "me"); err != nil {
		t.Fatal(err)
	}
	var snapshot bytes.Buffer
	if _, err := from.Snapshot(t.Context(), &snapshot, now); err != nil {
		t.Fatal(err)
	}
	n, err := to.Restore(t.Context(), bytes.NewReader(snapshot.Bytes()))
	if err != nil || n != 251 {
		t.Fatalf("%d, %v", n, err)
	}
	want, _, err := from.List(t.Context(), store.Root)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := to.List(t.Context(), store.Root)
	if err != nil {
		t.Fatal(err)
	}
	values := func(kvs []store.KV) map[string]string {
		m := map[string]string{}
		for _, kv := range kvs {
			if !strings.HasPrefix(kv.Key, store.PrefixLeaders) {
				m[kv.Key] = string(kv.Value)
			}
		}
		return m
	}
	if diff := cmp.Diff(values(want), values(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := to.Restore(t.Context(), bytes.NewReader(snapshot.Bytes())); !bos.IsConflict(err) {
		t.Errorf("restored into a store that is not empty: %v", err)
	}
	info, err := store.Verify(bytes.NewReader(snapshot.Bytes()))
	if err != nil || info.Count != 251 || !info.Taken.Equal(now) || info.Version != store.SchemaVersion {
		t.Errorf("verified: %+v, %v", info, err)
	}
	whole := snapshot.Bytes()
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, bad := range map[string][]byte{
		"cut short": whole[:len(whole)-100], "without its end": whole[:bytes.LastIndex(whole, []byte("{\"end\""))],
		"a document less": slices.Concat(lines[0], bytes.Join(lines[2:], nil)),
		"a bit more":      bytes.Replace(whole, []byte(`"value":"ey`), []byte(`"value":"ez`), 1),
		"something after": append(bytes.Clone(whole), '{'), "nonsense": []byte("{}"), "empty": nil,
	} {
		if _, err := store.Verify(bytes.NewReader(bad)); bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%s: verified: %v", name, err)
		}
		empty := newStore(t, mem.New())
		if _, err := empty.Restore(t.Context(), bytes.NewReader(bad)); bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A store that an earlier build wrote is read as it was meant. The file was
// written by the build with schema version 1 and is never written again.
func TestOpensFormerVersion(t *testing.T) {
	f, err := os.Open("testdata/schema-1.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newStore(t, mem.New())
	if _, err := s.Restore(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	schema, err := s.Prepare(t.Context(), time.Now(), false)
	if err != nil || schema.Version != store.SchemaVersion {
		t.Fatalf("%+v, %v", schema, err)
	}
	checkFormerVersion(t, s)
}

// SPDX-License-Identifier: MIT

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"bos/internal/bos"
)

// Store is typed access to the documents in an engine.
type Store struct {
	Engine
	group *group
}

// New wraps an engine. Close ends both.
func New(e Engine) *Store {
	return &Store{Engine: e, group: newGroup(e)}
}

// Close ends the store and its engine.
func (s *Store) Close() error {
	s.group.close()
	return s.Engine.Close()
}

// LocalRevision returns the present revision without a question to anybody, if
// the engine can vouch for it.
func (s *Store) LocalRevision() (int64, bool) {
	if local, ok := s.Engine.(interface{ LocalRevision() (int64, bool) }); ok {
		return local.LocalRevision()
	}
	return 0, false
}

// maxRounds bounds how often a write is merged again because somebody else was
// faster; each round somebody makes progress.
const maxRounds = 100

// parallelChunks is how many chunks of one bulk write are on their way at once.
const parallelChunks = 8

// RecordUpdate is a change of components.
type RecordUpdate struct {
	IDs []string
	// Read returns what is known of a component, nil if there is none; what it
	// returns may be old: the write finds out. nil reads the store.
	Read func(id string) *bos.Record
	// Fence makes the write fail once the leadership is over.
	Fence *Fence
	// Change returns the new record of a component, which is the update's from then
	// on: it gets the revision of the write. nil leaves the component as it is. It
	// may be called again with a newer record. An error before anything was written
	// writes nothing.
	Change func(id string, old *bos.Record) (*bos.Record, error)
}

// RecordResult is what a change of components wrote. Revision is 0 if it was
// nothing.
type RecordResult struct {
	Written  map[string]*bos.Record
	Revision int64
}

// UpdateRecords changes components, in chunks: all changes are computed before
// the first chunk is written, each chunk is written whole or not at all, and
// what somebody else changed meanwhile is read and changed again.
func (s *Store) UpdateRecords(ctx context.Context, u RecordUpdate) (RecordResult, error) {
	result := RecordResult{Written: make(map[string]*bos.Record, len(u.IDs))}
	read := u.Read
	if read == nil {
		read = func(string) *bos.Record { return nil }
	}
	known := make(map[string]current, len(u.IDs))
	missing := make([]string, 0)
	for _, id := range u.IDs {
		rec := read(id)
		if rec == nil && u.Read == nil {
			missing = append(missing, id)
			continue
		}
		known[id] = current{record: rec, revision: revisionOf(rec)}
	}
	if err := s.reread(ctx, missing, known); err != nil {
		return result, err
	}
	ids := u.IDs
	for range maxRounds {
		chunks, err := u.chunks(ids, known)
		if err != nil {
			return result, err
		}
		again, changed, err := s.writeChunks(ctx, chunks, u.Fence, &result)
		if err != nil || len(again) == 0 {
			return result, err
		}
		// By now more of them may have changed.
		for _, id := range again {
			if rec := read(id); rec != nil && rec.Revision > known[id].revision {
				known[id] = current{record: rec, revision: rec.Revision}
			}
		}
		if err := s.reread(ctx, changed, known); err != nil {
			return result, err
		}
		ids = again
	}
	return result, bos.Errorf(bos.CodeConflict, "component '%s' is changed by others all the time", ids[0])
}

// current is what a component was when it was last looked at.
type current struct {
	record   *bos.Record
	revision int64
}

func revisionOf(r *bos.Record) int64 {
	if r == nil {
		return Absent
	}
	return r.Revision
}

// reread fetches components from the store. One that can't be decoded counts as
// none, but it is replaced only as it is.
func (s *Store) reread(ctx context.Context, ids []string, into map[string]current) error {
	for _, id := range ids {
		kv, err := s.Get(ctx, ComponentKey(id))
		if bos.IsNotFound(err) {
			into[id] = current{}
			continue
		}
		if err != nil {
			return fmt.Errorf("read component %q: %w", id, err)
		}
		rec, err := DecodeRecord(kv, id, nil)
		if err != nil {
			rec = nil
		}
		into[id] = current{record: rec, revision: kv.Revision}
	}
	return nil
}

// chunk is a transaction's worth of changed components.
type chunk struct {
	ids     []string
	records []*bos.Record
	ops     []Op
	// values are what the operations write.
	values []*[]byte
	bytes  int
}

// release gives the encodings back once the engine is done with them.
func (c *chunk) release() {
	for _, value := range c.values {
		encodings.Put(value)
	}
	c.values = nil
}

func (c *chunk) fits(op Op) bool {
	return len(c.ops) < MaxOps && c.bytes+len(op.Key)+len(op.Value) <= MaxBytes
}

// chunks computes the changes of components and cuts them into transactions.
func (u RecordUpdate) chunks(ids []string, known map[string]current) ([]*chunk, error) {
	var chunks []*chunk
	var last *chunk
	for _, id := range ids {
		old := known[id]
		changed, err := u.Change(id, old.record)
		if err != nil {
			return nil, err
		}
		if changed == nil {
			continue
		}
		value := encodings.Get()
		*value = changed.AppendJSON(*value)
		op := Op{Key: ComponentKey(id), Value: *value, Expect: old.revision}
		if last == nil || !last.fits(op) {
			last = &chunk{}
			chunks = append(chunks, last)
		}
		last.ids = append(last.ids, id)
		last.records = append(last.records, changed)
		last.ops = append(last.ops, op)
		last.values = append(last.values, value)
		last.bytes += len(op.Key) + len(op.Value)
	}
	return chunks, nil
}

// writeChunks writes chunks, some at once. It returns the ids of the chunks that
// were not written, because somebody else had changed one of them meanwhile, and
// those that were changed. The outcome of the others is in result.
func (s *Store) writeChunks(
	ctx context.Context, chunks []*chunk, fence *Fence, result *RecordResult,
) (again, changed []string, err error) {
	revisions := make([]int64, len(chunks))
	conflicts := make([][]string, len(chunks))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelChunks)
	for i, c := range chunks {
		g.Go(func() error {
			revision, err := s.commit(gctx, Txn{Ops: c.ops, Fence: fence})
			var conflict *ConflictError
			if errors.As(err, &conflict) && len(conflict.Keys) > 0 {
				conflicts[i] = conflict.Keys
				c.release()
				return nil
			}
			if err == nil {
				// After another error the write may still be on its way.
				c.release()
			}
			revisions[i] = revision
			return err
		})
	}
	err = g.Wait()
	for i, c := range chunks {
		if conflicts[i] != nil {
			again = append(again, c.ids...)
		}
		for _, key := range conflicts[i] {
			changed = append(changed, strings.TrimPrefix(key, PrefixComponents))
		}
		if revisions[i] == 0 {
			continue
		}
		result.Revision = max(result.Revision, revisions[i])
		for j, id := range c.ids {
			c.records[j].Revision = revisions[i]
			result.Written[id] = c.records[j]
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("write components: %w", err)
	}
	return again, changed, nil
}

// commit sends small writes without a fence together with others that are
// waiting, and everything else on its own.
func (s *Store) commit(ctx context.Context, txn Txn) (int64, error) {
	if txn.Fence == nil && len(txn.Ops) <= maxGrouped {
		return s.group.commit(ctx, txn.Ops)
	}
	return s.Commit(ctx, txn)
}

// DeleteRecord removes a component.
func (s *Store) DeleteRecord(ctx context.Context, id string) (int64, error) {
	return s.DeleteDoc(ctx, ComponentKey(id))
}

// DeleteDoc removes a document; CodeNotFound if there is none. Of several that
// try, one succeeds.
func (s *Store) DeleteDoc(ctx context.Context, key string, more ...Op) (int64, error) {
	for range maxRounds {
		kv, err := s.Get(ctx, key)
		if err != nil {
			return 0, err
		}
		ops := append([]Op{{Key: key, Delete: true, Expect: kv.Revision}}, more...)
		revision, err := s.Commit(ctx, Txn{Ops: ops})
		if !bos.IsConflict(err) {
			return revision, err
		}
	}
	return 0, bos.Errorf(bos.CodeConflict, "document %q is changed by others all the time", key)
}

// Update reads one document, changes it and writes it, again if somebody else
// was faster. change gets the zero value and Absent for a document that does
// not exist or can't be read, and returns what to write; more operations go
// into the same transaction.
type Update[T any] struct {
	Key    string
	Decode func(KV) (T, error)
	Fence  *Fence
	Change func(old T, exists bool) (value any, more []Op, err error)
}

// Run carries the update out and returns the revision that it made.
func (u Update[T]) Run(ctx context.Context, s *Store) (int64, error) {
	for range maxRounds {
		var old T
		var exists bool
		kv, err := s.Get(ctx, u.Key)
		switch {
		case err == nil:
			if old, err = u.Decode(kv); err == nil {
				exists = true
			}
		case !bos.IsNotFound(err):
			return 0, fmt.Errorf("read document %q: %w", u.Key, err)
		}
		value, more, err := u.Change(old, exists)
		if err != nil {
			return 0, err
		}
		data, err := Encode(value)
		if err != nil {
			return 0, err
		}
		ops := append([]Op{{Key: u.Key, Value: data, Expect: kv.Revision}}, more...)
		revision, err := s.Commit(ctx, Txn{Ops: ops, Fence: u.Fence})
		var conflict *ConflictError
		if errors.As(err, &conflict) && len(conflict.Keys) > 0 {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("write document %q: %w", u.Key, err)
		}
		return revision, nil
	}
	return 0, bos.Errorf(bos.CodeConflict, "document %q is changed by others all the time", u.Key)
}

// PutDoc writes a document, whatever was there.
func (s *Store) PutDoc(ctx context.Context, key string, doc any, fence *Fence) (int64, error) {
	data, err := Encode(doc)
	if err != nil {
		return 0, err
	}
	revision, err := s.Commit(ctx, Txn{Ops: []Op{{Key: key, Value: data, Expect: AnyRevision}}, Fence: fence})
	if err != nil {
		return 0, fmt.Errorf("write document %q: %w", key, err)
	}
	return revision, nil
}

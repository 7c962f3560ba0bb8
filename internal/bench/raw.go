// SPDX-License-Identifier: MIT

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

// rawStore is a store with nothing around it: the limit for writes. It has as
// many documents as the server, in the same place of the same disk, with the
// same settings.
type rawStore struct {
	engine *etcd.Engine
	keys   []string
	// known are the revisions of the last writes.
	known []int64
	round atomic.Int64
	docs  docs
}

// openRaw opens a raw store with so many documents.
func openRaw(ctx context.Context, dir string, ids []string, docs docs, log *slog.Logger) (*rawStore, error) {
	engine, err := etcd.OpenEmbedded(ctx, etcd.Embedded{Dir: filepath.Join(dir, "raw"), Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the raw store: %w", err)
	}
	r := &rawStore{engine: engine, known: make([]int64, len(ids)), docs: docs}
	for _, id := range ids {
		r.keys = append(r.keys, store.ComponentKey(id))
	}
	if _, err := r.series(ctx, len(ids)); err != nil {
		return nil, fmt.Errorf("fill the raw store: %w", err)
	}
	return r, nil
}

func (r *rawStore) close() error { return r.engine.Close() }

// op writes document i anew.
func (r *rawStore) op(i, round int) store.Op {
	doc := r.docs(i, round)
	value := store.EncodeRecord(&bos.Record{Component: doc})
	return store.Op{Key: r.keys[i], Value: value, Expect: r.known[i]}
}

// series writes the first documents in transactions as large as may be, one
// after the other, and returns how many milliseconds the store took.
func (r *rawStore) series(ctx context.Context, count int) (float64, error) {
	round := int(r.round.Add(1))
	var txns []store.Txn
	size := 0
	for i := range count {
		op := r.op(i, round)
		bytes := len(op.Key) + len(op.Value)
		if len(txns) == 0 || len(txns[len(txns)-1].Ops) == store.MaxOps || size+bytes > store.MaxBytes {
			txns = append(txns, store.Txn{})
			size = 0
		}
		last := &txns[len(txns)-1]
		last.Ops = append(last.Ops, op)
		size += bytes
	}
	return took(func() error {
		i := 0
		for _, txn := range txns {
			revision, err := r.engine.Commit(ctx, txn)
			if err != nil {
				return err
			}
			for range txn.Ops {
				r.known[i] = revision
				i++
			}
		}
		return nil
	})
}

// rawWriters is how many writers the raw store gets when it is to show what rate
// it bears.
const rawWriters = 32

// singles writes one document after the other with all writers and returns how
// many were written in a second.
func (r *rawStore) singles(ctx context.Context, count int) (float64, error) {
	round := int(r.round.Add(1))
	writers := min(rawWriters, len(r.keys))
	slots := len(r.keys) / writers
	return rate(ctx, writers, count, func(ctx context.Context, worker, i int) error {
		// Each writer keeps to documents of its own.
		n := worker + i/writers%slots*writers
		var err error
		op := r.op(n, round+i)
		r.known[n], err = r.engine.Commit(ctx, store.Txn{Ops: []store.Op{op}})
		return err
	})
}

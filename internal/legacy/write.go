// SPDX-License-Identifier: MIT

package legacy

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
)

// Present is what a store holds: the value of each of its documents that an
// import could meet. A store that is not there yet holds nothing.
type Present map[string][]byte

// Look reads what a store holds.
func Look(ctx context.Context, s *store.Store) (Present, error) {
	there := Present{}
	for _, prefix := range []string{
		store.KeyClock, store.KeyOptions, store.PrefixComponents, store.PrefixTemplates, store.PrefixSessions,
		store.PrefixTokens, store.PrefixStatuses,
	} {
		all, _, err := s.List(ctx, prefix)
		if err != nil {
			return nil, fmt.Errorf("read the store: %w", err)
		}
		for _, kv := range all {
			there[kv.Key] = kv.Value
		}
	}
	return there, nil
}

// When returns the moment of an import. A store without a clock gets one that
// has run for as long as UTC's era: everything that the original did lies behind
// it.
func (p Present) When(now time.Time) (When, error) {
	w := When{Now: now, Instant: bos.Instant(now.UnixMilli())}
	if value, ok := p[store.KeyClock]; ok {
		instant, err := clock.Decode(value)
		if err != nil {
			return w, err
		}
		w.Instant = instant
	}
	return w, nil
}

// Counts are what became of the documents of one database.
type Counts struct {
	Read, New, Unchanged, Differ, Changes, Left int
}

// Plan is what an import does.
type Plan struct {
	// Write are documents that are not there yet; Differ are there, but not the
	// same: they stay as they are.
	Write, Differ []Document
	Changes       []Change
	Left          []Left
	Counts        [databases]Counts
	when          When
	clock         bool
}

// Compare decides what is to be done with a result: what is there already is
// never written over.
func Compare(r Result, there Present, at When) Plan {
	p := Plan{Changes: r.Changes, Left: r.Left, when: at}
	_, hasClock := there[store.KeyClock]
	p.clock = !hasClock
	for db, n := range r.Read {
		p.Counts[db].Read = n
	}
	for _, c := range r.Changes {
		p.Counts[c.Database].Changes++
	}
	for _, l := range r.Left {
		p.Counts[l.Database].Left++
	}
	for _, d := range r.Documents {
		n := &p.Counts[d.Database]
		stored, ok := there[d.Key]
		switch {
		case !ok:
			n.New++
			p.Write = append(p.Write, d)
		case d.Same(stored):
			n.Unchanged++
		default:
			n.Differ++
			p.Differ = append(p.Differ, d)
		}
	}
	return p
}

// Report writes what a plan does: a line for everything that is changed, left
// out, or kept as the store has it, and the counts.
func (p *Plan) Report(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, c := range p.Changes {
		_, _ = fmt.Fprintln(w, c)
	}
	for _, l := range p.Left {
		_, _ = fmt.Fprintln(w, l)
	}
	for _, d := range p.Differ {
		_, _ = fmt.Fprintln(w, line(d.Database, d.Name, "", "differs: what the store has is kept"))
	}
	_, _ = fmt.Fprintf(w, "\n%-15s %8s %8s %10s %8s %8s %9s\n", "DATABASE", "READ", "NEW", "UNCHANGED", "DIFFERS", "CHANGES", "LEFT OUT")
	for db, n := range p.Counts {
		_, _ = fmt.Fprintf(w, "%-15s %8d %8d %10d %8d %8d %9d\n", Database(db), n.Read, n.New, n.Unchanged, n.Differ, n.Changes, n.Left)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// WriteLeft writes what can't be taken as lines of JSON.
func (p *Plan) WriteLeft(out io.Writer) error {
	left := slices.Clone(p.Left)
	slices.SortStableFunc(left, func(a, b Left) int { return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.Key, b.Key)) })
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	for _, l := range left {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write the side file: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the side file: %w", err)
	}
	return nil
}

// ErrInUse says that a server works on the store: it would act upon half of what
// is taken over.
var ErrInUse = errors.New("a server or an operator works on this store; stop all of them first")

// Store writes the documents of a plan in transactions of as many as fit. One
// that somebody else has written meanwhile is an error.
func (p *Plan) Store(ctx context.Context, s *store.Store) error {
	leaders, _, err := s.List(ctx, store.PrefixLeaders)
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	if len(leaders) > 0 {
		return ErrInUse
	}
	if _, err := s.Prepare(ctx, p.when.Now, false); err != nil {
		return err
	}
	b := &batch{store: s}
	if p.clock {
		reading, err := store.Encode(clock.Reading{Instant: p.when.Instant})
		if err != nil {
			return err
		}
		if err := b.add(ctx, store.Op{Key: store.KeyClock, Value: reading, Expect: store.Absent}); err != nil {
			return err
		}
	}
	for _, d := range p.Write {
		for _, c := range d.Chunks {
			// An import that was interrupted has left some.
			if err := b.add(ctx, store.Op{Key: c.Key, Value: c.Value, Expect: store.AnyRevision}); err != nil {
				return err
			}
		}
		if err := b.add(ctx, store.Op{Key: d.Key, Value: d.Value, Expect: store.Absent}); err != nil {
			return err
		}
	}
	return b.flush(ctx)
}

// batch collects operations for a transaction.
type batch struct {
	store *store.Store
	ops   []store.Op
	bytes int
}

func (b *batch) add(ctx context.Context, op store.Op) error {
	size := len(op.Key) + len(op.Value)
	if len(b.ops) == store.MaxOps || b.bytes+size > store.MaxBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.ops = append(b.ops, op)
	b.bytes += size
	return nil
}

func (b *batch) flush(ctx context.Context) error {
	if len(b.ops) == 0 {
		return nil
	}
	if _, err := b.store.Commit(ctx, store.Txn{Ops: b.ops}); err != nil {
		if bos.IsConflict(err) {
			return fmt.Errorf("write to the store: somebody else writes to it; stop that and import again: %w", err)
		}
		return fmt.Errorf("write to the store: %w", err)
	}
	b.ops, b.bytes = nil, 0
	return nil
}

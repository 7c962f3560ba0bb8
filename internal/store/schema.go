// SPDX-License-Identifier: MIT

package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"bos/internal/bos"
)

// SchemaVersion is the version of the layout and the documents that this build
// writes. Documents of version N are read by N+1 and back: fields are only
// added, and readers ignore what they do not know.
const SchemaVersion = 1

// Schema is the document that says which version a store has.
type Schema struct {
	Version int `json:"version"`
	// MinReader is the oldest version of the software that can read the store.
	MinReader int `json:"min_reader"`
	// CreatedAt is when the store was first opened, in UTC.
	CreatedAt time.Time `json:"created_at"`
}

// Prepare makes an empty store ours, brings an older one up to date and refuses
// one that is too new for this build.
func (s *Store) Prepare(ctx context.Context, now time.Time) (Schema, error) {
	var found Schema
	_, err := Update[Schema]{
		Key:    KeySchema,
		Decode: Decode[Schema],
		Change: func(old Schema, exists bool) (any, []Op, error) {
			found = old
			switch {
			case !exists:
				found = Schema{Version: SchemaVersion, MinReader: 1, CreatedAt: now.UTC()}
			case old.MinReader > SchemaVersion:
				return nil, nil, bos.Errorf(bos.CodeInternal,
					"the store has schema version %d, which needs a build that reads version %d; this one reads up to %d",
					old.Version, old.MinReader, SchemaVersion)
			case old.Version >= SchemaVersion:
				return nil, nil, errUpToDate
			default:
				found.Version = SchemaVersion
			}
			return found, nil, nil
		},
	}.Run(ctx, s)
	if err != nil && !errors.Is(err, errUpToDate) {
		return found, fmt.Errorf("open the store: %w", err)
	}
	return found, nil
}

var errUpToDate = errors.New("up to date")

// snapshotHeader begins a snapshot.
type snapshotHeader struct {
	Kind     string    `json:"kind"`
	Version  int       `json:"version"`
	Revision int64     `json:"revision"`
	Taken    time.Time `json:"taken"`
	Count    int       `json:"count"`
}

const snapshotKind = "bos-snapshot"

type snapshotLine struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Snapshot writes every document as it was at one revision, one JSON line each
// after a header. It can be restored into any engine.
func (s *Store) Snapshot(ctx context.Context, w io.Writer, now time.Time) error {
	kvs, revision, err := s.List(ctx, Root)
	if err != nil {
		return fmt.Errorf("read the store for a snapshot: %w", err)
	}
	kept := kvs[:0]
	for _, kv := range kvs {
		// Who leads is nothing to bring back.
		if len(kv.Key) < len(PrefixLeaders) || kv.Key[:len(PrefixLeaders)] != PrefixLeaders {
			kept = append(kept, kv)
		}
	}
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	header := snapshotHeader{Kind: snapshotKind, Version: SchemaVersion, Revision: revision, Taken: now.UTC(), Count: len(kept)}
	if err := enc.Encode(header); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	for _, kv := range kept {
		if err := enc.Encode(snapshotLine{Key: kv.Key, Value: kv.Value}); err != nil {
			return fmt.Errorf("write the snapshot: %w", err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	return nil
}

// Restore fills an empty store from a snapshot. A snapshot that is cut short or
// holds what is not BOS's, or a store that is not empty, is an error.
func (s *Store) Restore(ctx context.Context, r io.Reader) (int, error) {
	if there, _, err := s.List(ctx, Root); err != nil {
		return 0, fmt.Errorf("read the store: %w", err)
	} else if len(there) > 0 {
		return 0, bos.Errorf(bos.CodeConflict, "the store is not empty; a snapshot is restored into an empty one")
	}
	dec := json.NewDecoder(bufio.NewReader(r))
	var header snapshotHeader
	if err := dec.Decode(&header); err != nil || header.Kind != snapshotKind || header.Count < 0 {
		return 0, &bos.Error{Code: bos.CodeInvalid, Message: "this is no snapshot of BOS", Err: err}
	}
	var txn Txn
	size := 0
	seen := map[string]bool{}
	flush := func() error {
		if len(txn.Ops) == 0 {
			return nil
		}
		_, err := s.Commit(ctx, txn)
		txn, size = Txn{}, 0
		return err
	}
	for i := range header.Count {
		var line snapshotLine
		if err := dec.Decode(&line); err != nil {
			return i, &bos.Error{Code: bos.CodeInvalid, Message: fmt.Sprintf("the snapshot is cut short: %d of %d documents", i, header.Count), Err: err}
		}
		if !strings.HasPrefix(line.Key, Root) || len(line.Key) == len(Root) || seen[line.Key] {
			return i, bos.Errorf(bos.CodeInvalid, "document %d of the snapshot has the key %.100q, which is not BOS's or not the only one", i+1, line.Key)
		}
		seen[line.Key] = true
		op := Op{Key: line.Key, Value: line.Value, Expect: Absent}
		if len(txn.Ops) == MaxOps || size+len(op.Key)+len(op.Value) > MaxBytes {
			if err := flush(); err != nil {
				return i, fmt.Errorf("restore: %w", err)
			}
		}
		txn.Ops = append(txn.Ops, op)
		size += len(op.Key) + len(op.Value)
	}
	if err := flush(); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	return header.Count, nil
}

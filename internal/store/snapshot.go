// SPDX-License-Identifier: MIT

package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"bos/internal/bos"
)

// Pager is an engine that lists documents page by page, so that the whole store
// need not fit into memory. Every page is of one revision; left is how many
// documents come after it. each may return an error to end it.
type Pager interface {
	Pages(ctx context.Context, prefix string, each func(page []KV, revision, left int64) error) (int64, error)
}

// A snapshot is text: a header, a line for each document, and an end with a
// checksum over all lines before it. Everything is in it but who leads.

// snapshotHeader begins a snapshot.
type snapshotHeader struct {
	Kind     string    `json:"kind"`
	Version  int       `json:"version"`
	Revision int64     `json:"revision"`
	Taken    time.Time `json:"taken"`
	// Count is the number of documents in snapshots of early builds, which have no
	// end.
	Count *int `json:"count,omitempty"`
}

const snapshotKind = "bos-snapshot"

// snapshotLine is a document, or the end.
type snapshotLine struct {
	Key    string `json:"key,omitempty"`
	Value  []byte `json:"value,omitempty"`
	End    bool   `json:"end,omitempty"`
	Count  int    `json:"count,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// maxSnapshotLine bounds a line in bytes: the largest document, encoded.
const maxSnapshotLine = 2*MaxBytes + 4096

// SnapshotInfo is what a snapshot says of itself.
type SnapshotInfo struct {
	// Version is that of the schema, Revision that of the store when it was taken.
	Version  int
	Revision int64
	Taken    time.Time
	// Count is the number of documents.
	Count int
}

// Snapshot writes every document as it was at one revision. It can be restored
// into any engine.
func (s *Store) Snapshot(ctx context.Context, w io.Writer, now time.Time) (SnapshotInfo, error) {
	info := SnapshotInfo{Version: SchemaVersion, Taken: now.UTC()}
	sum := sha256.New()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(io.MultiWriter(out, sum))
	begun := false
	page := func(kvs []KV, revision, _ int64) error {
		if !begun {
			begun, info.Revision = true, revision
			header := snapshotHeader{Kind: snapshotKind, Version: info.Version, Revision: revision, Taken: info.Taken}
			if err := enc.Encode(header); err != nil {
				return fmt.Errorf("write the snapshot: %w", err)
			}
		}
		for _, kv := range kvs {
			if strings.HasPrefix(kv.Key, PrefixLeaders) {
				// Who leads is nothing to bring back.
				continue
			}
			if err := enc.Encode(snapshotLine{Key: kv.Key, Value: kv.Value}); err != nil {
				return fmt.Errorf("write the snapshot: %w", err)
			}
			info.Count++
		}
		return nil
	}
	if err := s.pages(ctx, page); err != nil {
		return info, err
	}
	end := snapshotLine{End: true, Count: info.Count, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if err := json.NewEncoder(out).Encode(end); err != nil {
		return info, fmt.Errorf("write the snapshot: %w", err)
	}
	if err := out.Flush(); err != nil {
		return info, fmt.Errorf("write the snapshot: %w", err)
	}
	return info, nil
}

func (s *Store) pages(ctx context.Context, each func([]KV, int64, int64) error) error {
	if pager, ok := s.Engine.(Pager); ok {
		if _, err := pager.Pages(ctx, Root, each); err != nil {
			return fmt.Errorf("read the store for a snapshot: %w", err)
		}
		return nil
	}
	kvs, revision, err := s.List(ctx, Root)
	if err != nil {
		return fmt.Errorf("read the store for a snapshot: %w", err)
	}
	return each(kvs, revision, 0)
}

// Verify reads a snapshot to its end and reports whether it is whole. Its errors
// have CodeInvalid, but for those of r.
func Verify(r io.Reader) (SnapshotInfo, error) {
	return readSnapshot(r, func(Op) error { return nil })
}

// Restore fills an empty store from a snapshot. A snapshot that is not whole or
// holds what is not BOS's, or a store that is not empty, is an error; it shows
// at the end only, so that [Verify] is for before.
func (s *Store) Restore(ctx context.Context, r io.Reader) (int, error) {
	if there, _, err := s.List(ctx, Root); err != nil {
		return 0, fmt.Errorf("read the store: %w", err)
	} else if len(there) > 0 {
		return 0, bos.Errorf(bos.CodeConflict, "the store is not empty; a snapshot is restored into an empty one")
	}
	var txn Txn
	size := 0
	flush := func() error {
		if len(txn.Ops) == 0 {
			return nil
		}
		_, err := s.Commit(ctx, txn)
		txn, size = Txn{}, 0
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		return nil
	}
	info, err := readSnapshot(r, func(op Op) error {
		bytes := len(op.Key) + len(op.Value)
		if len(txn.Ops) == MaxOps || size+bytes > MaxBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		txn.Ops = append(txn.Ops, op)
		size += bytes
		return nil
	})
	if err == nil {
		err = flush()
	}
	return info.Count, err
}

// snapshotReader reads lines and sums them up.
type snapshotReader struct {
	lines *bufio.Scanner
	sum   hash.Hash
}

// next returns the next line, without its end, or false.
func (r *snapshotReader) next() ([]byte, bool) {
	for r.lines.Scan() {
		if line := r.lines.Bytes(); len(bytes.TrimSpace(line)) > 0 {
			return line, true
		}
	}
	return nil, false
}

func (r *snapshotReader) add(line []byte) {
	r.sum.Write(line)
	r.sum.Write([]byte{'\n'})
}

// failed says why there is no next line.
func (r *snapshotReader) failed(info SnapshotInfo) error {
	err := r.lines.Err()
	if err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("read the snapshot: %w", err)
	}
	return &bos.Error{
		Code: bos.CodeInvalid, Err: err,
		Message: fmt.Sprintf("the snapshot is cut short or damaged after %d documents", info.Count),
	}
}

// readSnapshot reads a snapshot and hands its documents on. Errors come with how
// many there were.
func readSnapshot(from io.Reader, each func(Op) error) (SnapshotInfo, error) {
	r := &snapshotReader{lines: bufio.NewScanner(from), sum: sha256.New()}
	r.lines.Buffer(make([]byte, 0, 64<<10), maxSnapshotLine)
	var info SnapshotInfo
	first, ok := r.next()
	if err := r.lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return info, fmt.Errorf("read the snapshot: %w", err)
	}
	var header snapshotHeader
	if err := json.Unmarshal(first, &header); !ok || err != nil || header.Kind != snapshotKind || header.Count != nil && *header.Count < 0 {
		return info, &bos.Error{Code: bos.CodeInvalid, Message: "this is no snapshot of BOS", Err: err}
	}
	if header.Version > SchemaVersion+1 {
		return info, bos.Errorf(bos.CodeInvalid, "the snapshot has schema version %d; this build reads up to %d", header.Version, SchemaVersion+1)
	}
	r.add(first)
	info.Version, info.Revision, info.Taken = header.Version, header.Revision, header.Taken
	seen := map[string]bool{}
	for header.Count == nil || info.Count < *header.Count {
		text, ok := r.next()
		if !ok {
			return info, r.failed(info)
		}
		var line snapshotLine
		if err := json.Unmarshal(text, &line); err != nil {
			return info, &bos.Error{
				Code: bos.CodeInvalid, Message: fmt.Sprintf("the snapshot is cut short or damaged after %d documents", info.Count), Err: err,
			}
		}
		if line.End && header.Count == nil {
			if line.Count != info.Count || line.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
				return info, bos.Errorf(bos.CodeInvalid, "the snapshot is damaged: its checksum is not that of its %d documents", info.Count)
			}
			break
		}
		r.add(text)
		if !strings.HasPrefix(line.Key, Root) || len(line.Key) == len(Root) || seen[line.Key] {
			return info, bos.Errorf(bos.CodeInvalid,
				"document %d of the snapshot has the key %.100q, which is not BOS's or not the only one", info.Count+1, line.Key)
		}
		seen[line.Key] = true
		if err := each(Op{Key: line.Key, Value: line.Value, Expect: Absent}); err != nil {
			return info, err
		}
		info.Count++
	}
	if _, more := r.next(); more {
		return info, bos.Errorf(bos.CodeInvalid, "there is more after the end of the snapshot")
	}
	return info, r.lines.Err()
}

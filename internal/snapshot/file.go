// SPDX-License-Identifier: MIT

// Package snapshot keeps copies of the store in files: it writes them so that a
// file is whole or not there, reads them back, and makes new ones from time to
// time.
package snapshot

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bos/internal/store"
)

// compressed ends the name of a file that is compressed.
const compressed = ".gz"

// Write writes a snapshot of the store, compressed or not.
func Write(ctx context.Context, s *store.Store, w io.Writer, compress bool, now time.Time) (store.SnapshotInfo, error) {
	if !compress {
		return s.Snapshot(ctx, w, now)
	}
	zip := gzip.NewWriter(w)
	info, err := s.Snapshot(ctx, zip, now)
	if err != nil {
		return info, err
	}
	if err := zip.Close(); err != nil {
		return info, fmt.Errorf("write the snapshot: %w", err)
	}
	return info, nil
}

// Save writes a snapshot of the store into a file that only its owner can read,
// compressed if its name ends in .gz. The file appears under its name once it is
// whole and on the disk; one that is there is replaced.
func Save(ctx context.Context, s *store.Store, path string, now time.Time) (info store.SnapshotInfo, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), unfinished+"*")
	if err != nil {
		return info, fmt.Errorf("make a file for the snapshot: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	info, err = Write(ctx, s, f, strings.HasSuffix(path, compressed), now)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = fmt.Errorf("write the snapshot: %w", err)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return info, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return info, fmt.Errorf("name the snapshot: %w", err)
	}
	return info, syncFolder(filepath.Dir(path))
}

// syncFolder makes what happened in a folder last.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("keep the snapshot: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("keep the snapshot: %w", err)
	}
	return nil
}

// Reader reads a snapshot, compressed or not.
func Reader(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	begin, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	if !bytes.Equal(begin, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	zip, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	return zip, nil
}

// Verify reads a snapshot to its end and reports whether it is whole.
func Verify(r io.Reader) (store.SnapshotInfo, error) {
	plain, err := Reader(r)
	if err != nil {
		return store.SnapshotInfo{}, err
	}
	return store.Verify(plain)
}

// Restore checks a snapshot, and fills an empty store from it if it is whole.
func Restore(ctx context.Context, s *store.Store, from io.ReadSeeker) (store.SnapshotInfo, error) {
	info, err := Verify(from)
	if err != nil {
		return info, err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return info, fmt.Errorf("read the snapshot: %w", err)
	}
	plain, err := Reader(from)
	if err != nil {
		return info, err
	}
	_, err = s.Restore(ctx, plain)
	return info, err
}

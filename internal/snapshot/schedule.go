// SPDX-License-Identifier: MIT

package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"bos/internal/store"
)

const (
	// prefix and suffix are around the time in the names of the files.
	prefix = "bos-"
	suffix = ".snapshot" + compressed
	// stamp is how the time stands there: files sort by age.
	stamp = "20060102T150405Z"
	// unfinished begins the name of a file that is being written.
	unfinished = ".bos-snapshot-"
	// retryPause is how long to wait after a copy that failed.
	retryPause = time.Minute
	// longUnfinished is the age of a file that nobody can be writing any more.
	longUnfinished = time.Hour
)

// Schedule makes copies of a store from time to time. It must not be copied.
type Schedule struct {
	Store *store.Store
	// Dir is where the copies go; it is made if it is missing. Other files there
	// are left alone.
	Dir string
	// Every is the time from one copy to the next, Keep how many are kept.
	Every time.Duration
	Keep  int
	Log   *slog.Logger

	mu     sync.Mutex
	status Status
}

// Status is how the copies are going.
type Status struct {
	// Last is when the newest copy was made, the zero time for none; Bytes is its
	// size.
	Last  time.Time
	Bytes int64
	// Failures counts copies that could not be made.
	Failures int
}

// Status returns how the copies are going.
func (s *Schedule) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run makes copies until ctx ends. The first one is due when the newest one in
// the folder is old enough, so that restarts make no more of them.
func (s *Schedule) Run(ctx context.Context) {
	due := time.Now()
	if files, err := s.files(); err == nil && len(files) > 0 {
		newest := files[len(files)-1]
		s.note(newest.taken, newest.bytes)
		due = newest.taken.Add(s.Every)
	}
	for {
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := s.once(ctx, time.Now()); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.Log.Error("the store could not be copied", slog.String("folder", s.Dir), slog.Any("error", err))
			s.mu.Lock()
			s.status.Failures++
			s.mu.Unlock()
			due = time.Now().Add(min(retryPause, s.Every))
			continue
		}
		due = time.Now().Add(s.Every)
	}
}

// once makes a copy and deletes those that are too many.
func (s *Schedule) once(ctx context.Context, now time.Time) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	path := filepath.Join(s.Dir, prefix+now.UTC().Format(stamp)+suffix)
	info, err := Save(ctx, s.Store, path, now)
	if err != nil {
		return err
	}
	size := int64(0)
	if file, err := os.Stat(path); err == nil {
		size = file.Size()
	}
	s.note(now, size)
	s.Log.Info("the store was copied", slog.String("file", path), slog.Int("documents", info.Count),
		slog.Int64("bytes", size), slog.Duration("took", time.Since(now)))
	return s.thin(now)
}

func (s *Schedule) note(last time.Time, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Last, s.status.Bytes = last, bytes
}

// thin deletes the oldest copies that are too many, and what was left of copies
// that were never finished.
func (s *Schedule) thin(now time.Time) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	var faults []error
	for _, f := range files[:max(0, len(files)-s.Keep)] {
		faults = append(faults, os.Remove(filepath.Join(s.Dir, f.name)))
	}
	all, err := os.ReadDir(s.Dir)
	faults = append(faults, err)
	for _, f := range all {
		if !strings.HasPrefix(f.Name(), unfinished) {
			continue
		}
		if info, err := f.Info(); err == nil && now.Sub(info.ModTime()) > longUnfinished {
			faults = append(faults, os.Remove(filepath.Join(s.Dir, f.Name())))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("delete old copies: %w", err)
	}
	return nil
}

// file is a copy in the folder.
type file struct {
	name  string
	taken time.Time
	bytes int64
}

// files returns the copies in the folder, oldest first. A folder that is not
// there has none.
func (s *Schedule) files() ([]file, error) {
	all, err := os.ReadDir(s.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for copies: %w", err)
	}
	var files []file
	for _, f := range all {
		text, isOurs := strings.CutPrefix(f.Name(), prefix)
		text, ends := strings.CutSuffix(text, suffix)
		taken, err := time.Parse(stamp, text)
		if !isOurs || !ends || err != nil {
			continue
		}
		size := int64(0)
		if info, err := f.Info(); err == nil {
			size = info.Size()
		}
		files = append(files, file{f.Name(), taken, size})
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return files, nil
}

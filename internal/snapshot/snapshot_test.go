// SPDX-License-Identifier: MIT

package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bos/internal/bos"
	"bos/internal/snapshot"
	"bos/internal/store"
	"bos/internal/store/mem"
)

func newStore(t *testing.T, documents int) *store.Store {
	t.Helper()
	s := store.New(mem.New())
	t.Cleanup(func() { _ = s.Close() })
	for i := range documents {
		if _, err := s.PutDoc(context.Background(), store.TemplateKey(bos.TemplateKey{Name: fmt.Sprint(i)}), "doc", nil); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSaveAndRestore(t *testing.T) {
	for _, name := range []string{"a.snapshot", "a.snapshot.gz"} {
		path := filepath.Join(t.TempDir(), name)
		info, err := snapshot.Save(t.Context(), newStore(t, 300), path, time.Now())
		if err != nil || info.Count != 300 {
			t.Fatalf("%s: %+v, %v", name, info, err)
		}
		file, err := os.Stat(path)
		if err != nil || file.Mode().Perm() != 0o600 {
			t.Errorf("%s: others may read it: %v, %v", name, file.Mode(), err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if zipped := !bytes.Contains(data, []byte("bos-snapshot")); zipped != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s: compressed: %v", name, zipped)
		}
		to := newStore(t, 0)
		if info, err := snapshot.Restore(t.Context(), to, bytes.NewReader(data)); err != nil || info.Count != 300 {
			t.Errorf("%s: restored %+v, %v", name, info, err)
		}
		// A damaged one is found out before anything is written.
		for _, bad := range [][]byte{data[:len(data)-7], append(bytes.Clone(data[:len(data)/2]), data[len(data)/2+1:]...)} {
			empty := newStore(t, 0)
			if _, err := snapshot.Restore(t.Context(), empty, bytes.NewReader(bad)); err == nil {
				t.Errorf("%s: damaged, and restored", name)
			}
			if kvs, _, err := empty.List(t.Context(), ""); err != nil || len(kvs) != 0 {
				t.Errorf("%s: damaged, and %d documents written, %v", name, len(kvs), err)
			}
		}
	}
}

// A copy that fails leaves the former file as it was, and nothing beside it.
func TestSaveFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.snapshot")
	if _, err := snapshot.Save(t.Context(), newStore(t, 1), path, time.Now()); err != nil {
		t.Fatal(err)
	}
	engine := mem.New()
	engine.Fail(errors.New("away"))
	s := store.New(engine)
	defer func() { _ = s.Close() }()
	if _, err := snapshot.Save(t.Context(), s, path, time.Now()); !bos.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if f, err := os.Open(path); err != nil {
		t.Error(err)
	} else if info, err := snapshot.Verify(f); err != nil || info.Count != 1 {
		t.Errorf("the former file: %+v, %v", info, err)
	}
}

func TestSchedule(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copies")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"notes.txt", "bos-x.snapshot.gz"} {
		if err := os.WriteFile(filepath.Join(dir, other), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		files, err := filepath.Glob(filepath.Join(dir, "bos-2*.snapshot.gz"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	synctest.Test(t, func(t *testing.T) {
		engine := mem.New()
		s := store.New(engine)
		defer func() { _ = s.Close() }()
		run := func(d time.Duration) *snapshot.Schedule {
			schedule := &snapshot.Schedule{Store: s, Dir: dir, Every: time.Hour, Keep: 3, Log: slog.New(slog.DiscardHandler)}
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			schedule.Run(ctx)
			return schedule
		}
		run(90 * time.Minute)
		if got := count(); got != 2 {
			t.Errorf("%d copies after one and a half hours", got)
		}
		// A restart makes no copy before it is due.
		if run(15 * time.Minute); count() != 2 {
			t.Errorf("%d copies after a restart", count())
		}
		last := run(5 * time.Hour).Status()
		if got := count(); got != 3 {
			t.Errorf("%d copies are kept, not 3", got)
		}
		if age := time.Since(last.Last); age < 0 || age > time.Hour || last.Bytes == 0 || last.Failures != 0 {
			t.Errorf("%+v", last)
		}
		engine.Fail(errors.New("away"))
		if got := run(2 * time.Hour).Status(); got.Failures < 30 {
			t.Errorf("%+v", got)
		}
		engine.Fail(nil)
	})
	for _, other := range []string{"notes.txt", "bos-x.snapshot.gz"} {
		if _, err := os.Stat(filepath.Join(dir, other)); err != nil {
			t.Errorf("somebody else's file is gone: %v", err)
		}
	}
}

// SPDX-License-Identifier: MIT

package app

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	for _, c := range []struct {
		file, text string
		limit      int64
		ok         bool
	}{
		{"memory.max", "1073741824\n", 1 << 30, true},
		{"memory.max", "max\n", 0, false},
		{"memory.max", "much\n", 0, false},
		{"memory/memory.limit_in_bytes", "1073741824\n", 1 << 30, true},
		{"memory/memory.limit_in_bytes", "9223372036854771712\n", 0, false},
		{"other", "1\n", 0, false},
	} {
		root := t.TempDir()
		path := filepath.Join(root, c.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if limit, ok := containerMemory(root); limit != c.limit || ok != c.ok {
			t.Errorf("%s %q: %d, %v", c.file, c.text, limit, ok)
		}
	}
}

func TestLimitMemory(t *testing.T) {
	former := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(former)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "memory.max"), []byte("1000000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	limitMemory(root, slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got != 800000000 {
		t.Errorf("limit %d", got)
	}
	// What somebody has set stays.
	debug.SetMemoryLimit(123456789)
	limitMemory(root, slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got != 123456789 {
		t.Errorf("limit %d", got)
	}
}

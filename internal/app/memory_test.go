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

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, mostGCPercent},
		{4 * mib, mostGCPercent},
		{garbage / 3, 300},
		{garbage / 2, 200},
		{garbage, leastGCPercent},
		{2 * garbage, leastGCPercent},
		{1 << 40, leastGCPercent},
	} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("%d MiB: %d", c.live/mib, got)
		}
	}
}

// A pace that is set already is not set again: that stops the whole process for a
// moment. GOGC is left alone.
func TestPaceOfTheCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	now := func() int {
		percent := debug.SetGCPercent(-1)
		debug.SetGCPercent(percent)
		return percent
	}
	const mib = 1 << 20
	left := trimmer{}
	left.pace(garbage / 2)
	if got := now(); got != 100 {
		t.Errorf("set to %d in spite of GOGC", got)
	}
	own := trimmer{paced: true}
	for _, step := range []struct {
		live uint64
		want int
	}{{32 * mib, 200}, {31 * mib, 200}, {25 * mib, 256}, {400 * mib, leastGCPercent}} {
		own.pace(step.live)
		if got := now(); got != step.want {
			t.Errorf("%d MiB alive: %d, not %d", step.live/mib, got, step.want)
		}
	}
}

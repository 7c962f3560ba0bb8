// SPDX-License-Identifier: MIT

package app

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestWorthTrimming(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name        string
		before, now heapUse
		since       time.Duration
		want        bool
	}{
		{"after a burst", heapUse{1000 * mib, 0, 0}, heapUse{1001 * mib, 280 * mib, 500 * mib}, trimRest, true},
		{"in the midst of one", heapUse{1000 * mib, 0, 0}, heapUse{1100 * mib, 280 * mib, 500 * mib}, trimRest, false},
		{"right after a trim", heapUse{1000 * mib, 0, 0}, heapUse{1001 * mib, 280 * mib, 500 * mib}, trimRest - 1, false},
		{"nothing to give", heapUse{1000 * mib, 0, 0}, heapUse{1001 * mib, 280 * mib, 300 * mib}, trimRest, false},
		{"a small fleet's garbage", heapUse{100 * mib, 0, 0}, heapUse{101 * mib, 20 * mib, 45 * mib}, trimRest, false},
		{"a small fleet's burst", heapUse{100 * mib, 0, 0}, heapUse{101 * mib, 20 * mib, 60 * mib}, trimRest, true},
		{"a large fleet at rest", heapUse{1000 * mib, 0, 0}, heapUse{1012 * mib, 280 * mib, 500 * mib}, trimRest, true},
		{"less is held than lived", heapUse{1000 * mib, 0, 0}, heapUse{1001 * mib, 280 * mib, 270 * mib}, trimRest, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := worthTrimming(c.before, c.now, c.since); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// What a burst leaves behind is given back once it is over.
func TestTrim(t *testing.T) {
	// A collection in the midst would find it alive.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	garbage := make([][]byte, 0, 256)
	for range cap(garbage) {
		garbage = append(garbage, make([]byte, 1<<20))
	}
	runtime.KeepAlive(garbage)
	full := readHeap()
	if full.held < 256<<20 {
		t.Fatalf("the burst is not in the heap: %+v", full)
	}
	at := time.Now()
	rest := trimmer{before: full}
	if !rest.look(at) {
		t.Fatalf("nothing is given back of %+v", full)
	}
	if left := readHeap().held; left > full.held-128<<20 {
		t.Errorf("of %d bytes %d are still held", full.held, left)
	}
	if rest.look(at.Add(trimRest - 1)) {
		t.Error("memory is given back again at once")
	}
}

// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"os"
	"runtime/debug"
	heap "runtime/metrics"
	"time"
)

const (
	// trimLook is how often it is looked whether there is memory to give back.
	trimLook = 500 * time.Millisecond
	// trimRest is how long after memory was given back nothing more is: steady
	// work makes as much garbage again.
	trimRest = 30 * time.Second
	// busyBytes is what is allocated between two looks, in bytes, by a process
	// that is at work. busyShare is the same as a share of what lives, for large
	// fleets: to ask after them takes more.
	busyBytes = 8 << 20
	busyShare = 0.05
	// trimBytes is the least that is worth a collection, in bytes, and trimShare
	// the same as a share of what lives.
	trimBytes = 32 << 20
	trimShare = 0.25
)

// heapUse is what the Go heap has at a moment, in bytes.
type heapUse struct {
	// allocated is all that was ever allocated.
	allocated uint64
	// live is what the last collection found alive, held what the process keeps
	// of the system's memory for the heap.
	live, held uint64
}

// spare is what a collection would give back, about: what has died, or may have.
func (h heapUse) spare() uint64 {
	if h.held < h.live {
		return 0
	}
	return h.held - h.live
}

// worthTrimming decides whether memory is to be given back: the process has little
// to do, and holds much that it does not need.
func worthTrimming(before, now heapUse, sinceTrim time.Duration) bool {
	busy := max(busyBytes, uint64(busyShare*float64(now.live)))
	worth := max(trimBytes, uint64(trimShare*float64(now.live)))
	return sinceTrim >= trimRest && now.allocated-before.allocated < busy && now.spare() >= worth
}

// TendMemory looks after the heap until ctx ends. Unless GOGC says how much garbage
// may pile up, that follows the size of what lives. And what a burst of work has
// left behind, such as the boot of a whole fleet, is given back to the system as
// soon as it is over: Go itself does it in the course of minutes, and keeps what has
// died since the last collection until the next, which at rest is long to come.
func TendMemory(ctx context.Context) {
	ticker := time.NewTicker(trimLook)
	defer ticker.Stop()
	t := trimmer{before: readHeap(), paced: os.Getenv("GOGC") == ""}
	t.pace(t.before.live)
	for {
		select {
		case <-ticker.C:
			t.look(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// trimmer gives memory back, and sets the collector's pace if it is paced.
type trimmer struct {
	before  heapUse
	trimmed time.Time
	paced   bool
	percent int
}

// look gives memory back if that is worth it, and reports whether it was.
func (t *trimmer) look(at time.Time) bool {
	now := readHeap()
	worth := worthTrimming(t.before, now, at.Sub(t.trimmed))
	if worth {
		debug.FreeOSMemory()
		t.trimmed = at
		now = readHeap()
	}
	t.before = now
	t.pace(now.live)
	return worth
}

// pace sets how much garbage may pile up with so many bytes alive.
func (t *trimmer) pace(live uint64) {
	percent := gcPercent(live)
	if change := percent - t.percent; t.paced && (change >= gcStep || change <= -gcStep) {
		debug.SetGCPercent(percent)
		t.percent = percent
	}
}

func readHeap() heapUse {
	s := []heap.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	heap.Read(s)
	return heapUse{
		allocated: s[0].Value.Uint64(), live: s[1].Value.Uint64(),
		held: s[2].Value.Uint64() + s[3].Value.Uint64() + s[4].Value.Uint64(),
	}
}

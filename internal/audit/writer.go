// SPDX-License-Identifier: MIT

package audit

import (
	"log/slog"
	"slices"
	"time"
)

// mostAtOnce bounds the lines that are written at once.
const mostAtOnce = 512

// writer writes the lines of a trail, one goroutine.
type writer struct {
	trail *Trail
	file  file
	// torn says that the file may end in a part of a line.
	torn bool
	// dirty says that something was written that is not durable yet.
	dirty bool
	// pausing says that a write failed and is not tried again yet.
	pausing bool
}

// run writes until the trail is closed.
func (w *writer) run() {
	defer close(w.trail.done)
	sync, retry := stopped(), stopped()
	defer sync.Stop()
	defer retry.Stop()
	for {
		select {
		case <-w.trail.wake:
		case <-sync.C:
			w.sync()
		case <-retry.C:
			w.pausing = false
			w.openAnew()
		}
		reopen, closed := w.orders()
		if reopen && w.openAnew() {
			w.trail.cfg.Log.Info("the audit trail was opened anew", slog.String("path", w.trail.cfg.Path))
		}
		wasDirty := w.dirty
		if (!w.pausing || reopen || closed) && !w.flush() {
			w.pausing = true
			retry.Reset(retryPause)
		}
		if w.dirty && !wasDirty {
			sync.Reset(SyncEvery)
		}
		if closed {
			w.sync()
			if err := w.file.Close(); err != nil {
				w.trail.cfg.Log.Warn("the audit trail could not be closed", slog.Any("error", err))
			}
			return
		}
	}
}

// stopped returns a timer that does not fire before it is set.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// orders returns what the trail wants beside lines.
func (w *writer) orders() (reopen, closed bool) {
	t := w.trail
	t.mu.Lock()
	defer t.mu.Unlock()
	reopen, t.reopen = t.reopen, false
	return reopen, t.closed
}

// flush writes the lines that wait. It reports whether that went well.
func (w *writer) flush() bool {
	t := w.trail
	for {
		t.mu.Lock()
		lines := slices.Clone(t.waiting[:min(len(t.waiting), mostAtOnce)])
		t.mu.Unlock()
		if len(lines) == 0 {
			return true
		}
		written, err := w.write(lines)
		t.mu.Lock()
		for _, line := range lines[:written] {
			t.bytes -= len(line)
		}
		t.waiting = slices.Delete(t.waiting, 0, written)
		t.stats.Written += uint64(written)
		t.mu.Unlock()
		w.dirty = w.dirty || written > 0
		w.outcome(err)
		if err != nil {
			return false
		}
	}
}

// write writes lines and returns how many of them are there as a whole. A line
// of which a part was written is written again, on a line of its own.
func (w *writer) write(lines [][]byte) (written int, err error) {
	var data []byte
	if w.torn {
		data = append(data, '\n')
	}
	lead := len(data)
	for _, line := range lines {
		data = append(data, line...)
	}
	n, err := w.file.Write(data)
	if err == nil {
		w.torn = false
		return len(lines), nil
	}
	if n > 0 {
		w.torn = false
	}
	rest := n - lead
	for _, line := range lines {
		// One that lacks nothing but its end is there.
		if rest < len(line)-1 {
			break
		}
		w.torn = rest == len(line)-1
		rest -= len(line)
		written++
	}
	w.torn = w.torn || rest > 0
	return written, err
}

// sync makes what was written durable.
func (w *writer) sync() {
	if !w.dirty {
		return
	}
	w.dirty = false
	if err := w.file.Sync(); err != nil {
		w.outcome(err)
	}
}

// openAnew opens the path anew. What can't be opened leaves what is open.
func (w *writer) openAnew() bool {
	f, err := w.trail.open()
	if err != nil {
		w.outcome(err)
		return false
	}
	w.sync()
	if err := w.file.Close(); err != nil {
		w.outcome(err)
	}
	w.file = f
	return true
}

// outcome notes whether the trail can be written, and tells the log when that
// changes.
func (w *writer) outcome(err error) {
	t := w.trail
	t.mu.Lock()
	failing := t.stats.Failing
	t.stats.Failing = err != nil
	if err != nil {
		t.stats.Faults++
	}
	waiting, lost := len(t.waiting), t.stats.Lost
	t.mu.Unlock()
	switch {
	case err != nil && !failing:
		t.cfg.Log.Error("the audit trail can't be written; requests are served all the same, and lines wait",
			slog.String("path", t.cfg.Path), slog.Any("error", err))
	case err == nil && failing:
		t.cfg.Log.Warn("the audit trail can be written again",
			slog.String("path", t.cfg.Path), slog.Int("waiting", waiting), slog.Uint64("lost_so_far", lost))
	}
}

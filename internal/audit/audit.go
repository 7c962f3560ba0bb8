// SPDX-License-Identifier: MIT

// Package audit writes down who has changed what, and who was not let: one line
// of JSON for each request, apart from the log.
//
// Lines are written by a goroutine of their own, so that a disk that is slow,
// full or gone never keeps the service from answering. Lines that can't be
// written wait; if too many wait, new ones are lost, which is logged, counted
// and said in the next line. A line is on its way to the file within
// milliseconds of the answer and is made durable (fsync) within [SyncEvery].
package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// SyncEvery is how long a line may be written and not yet durable.
	SyncEvery = time.Second
	// mostWaiting bounds the lines that wait, and maxWaiting their bytes.
	mostWaiting = 16384
	maxWaiting  = 16 << 20
	// retryPause is between two tries to write to a disk that refuses.
	retryPause = time.Second
)

// Stdout names the standard output in place of a file.
const Stdout = "stdout"

// Config says where lines go.
type Config struct {
	// Path is a file that is made if need be and appended to, or Stdout.
	Path string
	// Stdout is what Stdout names; nil means that of the process.
	Stdout io.Writer
	// Log is told when lines can't be written, and when they can again.
	Log *slog.Logger
}

// Trail is an audit trail. It may be used by many goroutines and must be closed.
type Trail struct {
	cfg Config
	// open opens the file; tests have other files.
	open func() (file, error)

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	closed  bool
	reopen  bool
	stats   Stats
	// unsaid is how many lost lines no line has told of yet.
	unsaid uint64

	wake chan struct{}
	done chan struct{}

	denials denials
}

// Stats are numbers for metrics.
type Stats struct {
	// Written, Lost and Suppressed count lines: those that were written, those
	// for which there was no room, and those of denied requests that were left
	// out because there were too many.
	Written, Lost, Suppressed uint64
	// Waiting is how many lines wait now. Failing says that the last try to
	// write failed, Faults counts such tries.
	Waiting int
	Failing bool
	Faults  uint64
}

// file is what lines are written to.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// New opens the trail. The error names the file.
func New(cfg Config) (*Trail, error) {
	t := &Trail{cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{})}
	t.open = t.openPath
	return t, t.start()
}

func (t *Trail) start() error {
	if t.cfg.Log == nil {
		t.cfg.Log = slog.New(slog.DiscardHandler)
	}
	f, err := t.open()
	if err != nil {
		return err
	}
	w := &writer{trail: t, file: f}
	go w.run()
	return nil
}

// openPath opens what the configuration names.
func (t *Trail) openPath() (file, error) {
	if t.cfg.Path == Stdout {
		out := t.cfg.Stdout
		if out == nil {
			out = os.Stdout
		}
		return stream{out}, nil
	}
	f, err := os.OpenFile(t.cfg.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit trail: %w", err)
	}
	return f, nil
}

// stream is a file that is neither made durable nor closed.
type stream struct{ io.Writer }

func (stream) Sync() error  { return nil }
func (stream) Close() error { return nil }

// Write takes an entry. It never waits for the disk.
func (t *Trail) Write(e Entry) {
	if e.Status == statusUnauthenticated && !t.denials.allow(e.Time) {
		t.mu.Lock()
		t.stats.Suppressed++
		t.mu.Unlock()
		return
	}
	line, err := e.line()
	if err != nil {
		// Texts and numbers always have a form in JSON.
		t.cfg.Log.Error("an audit line could not be made", slog.Any("error", err))
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.waiting) >= mostWaiting || t.bytes+len(line) > maxWaiting {
		t.stats.Lost++
		t.unsaid++
		return
	}
	if t.unsaid > 0 {
		line = append(t.lostLine(e.Time), line...)
	}
	t.waiting = append(t.waiting, line)
	t.bytes += len(line)
	t.signal()
}

// lostLine tells of the lines that were lost; the lock must be held.
func (t *Trail) lostLine(at time.Time) []byte {
	line, err := json.Marshal(struct {
		Time time.Time `json:"time"`
		Lost uint64    `json:"lost"`
	}{at.UTC(), t.unsaid})
	if err != nil {
		return nil
	}
	t.unsaid = 0
	return append(line, '\n')
}

// signal wakes the writer.
func (t *Trail) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Reopen closes the file and opens its path anew, as whoever renamed it wants.
func (t *Trail) Reopen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reopen = true
	t.signal()
}

// Stats returns the numbers as they are now.
func (t *Trail) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Waiting = len(t.waiting)
	return s
}

// Close writes what waits, once, and closes the file. The error says how much
// was lost.
func (t *Trail) Close() error {
	t.mu.Lock()
	t.closed = true
	t.signal()
	t.mu.Unlock()
	<-t.done
	if s := t.Stats(); s.Waiting > 0 {
		return fmt.Errorf("%d lines of the audit trail could not be written", s.Waiting)
	}
	return nil
}

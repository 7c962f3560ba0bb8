// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/view"
)

// witness sees every change of the broken nodes while a session drives them.
// Who asks the API once in a while misses what is over soon, and attempts are
// no longer counted once a node is where it shall be.
type witness struct {
	session string
	broken  map[string]sim.Fault
	// feed is signalled when a session changed: its end is not to be missed.
	feed *view.Feed

	mu   sync.Mutex
	seen map[string]*testimony
}

// testimony is what was seen of one node.
type testimony struct {
	// on and force are the most attempts that were counted.
	on, force int
	// texts are the errors that it showed, in their order.
	texts []string
}

// witness begins to watch a session; it must be closed.
func (d *Demo) witness(session string) *witness {
	w := &witness{session: session, broken: d.faults, seen: map[string]*testimony{}}
	w.feed = d.app.View().Subscribe(view.Interest{Sessions: true, Node: func(_, next *view.Node) bool {
		if next != nil {
			w.see(&next.Record.Component)
		}
		return false
	}})
	w.feed.Take()
	return w
}

func (w *witness) close() { w.feed.Close() }

// pause waits, but not when a session has changed meanwhile.
func (w *witness) pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-w.feed.C():
		w.feed.Take()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *witness) see(c *bos.Component) {
	if _, broken := w.broken[c.ID]; !broken || c.Session.Value() != w.session {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.seen[c.ID]
	if t == nil {
		t = &testimony{}
		w.seen[c.ID] = t
	}
	stats := c.EventStats.Value()
	t.on = max(t.on, stats.Attempts(bos.ActionPoweringOn))
	t.force = max(t.force, stats.Attempts(bos.ActionPoweringOffForcefully))
	if text := c.Error.Value(); text != "" && !slices.Contains(t.texts, text) {
		t.texts = append(t.texts, text)
	}
}

// remark says what was unusual about a node that succeeded.
func (w *witness) remark(node string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.seen[node]
	if t == nil {
		return ""
	}
	var parts []string
	if t.on > 1 {
		parts = append(parts, fmt.Sprintf("with %d power-ons", t.on))
	}
	if t.force > 0 {
		parts = append(parts, "with a forced power-off")
	}
	if len(t.texts) > 0 {
		parts = append(parts, "after "+strings.Join(t.texts, "; "))
	}
	return strings.Join(parts, " and ")
}

// SPDX-License-Identifier: MIT

package invariants_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/store"
	"bos/test/lab"
)

// maxRecordAge is how old the record of a command may be when it goes out.
const maxRecordAge = 5 * time.Second

// version is a component as it was from one revision on.
type version struct {
	at  time.Time
	rec *bos.Record
}

// attempted is an attempt as it was from one revision on.
type attempted struct {
	at       time.Time
	revision int64
	doc      bos.Attempt
}

// referee reads the whole history of the store and holds it against what the
// services of the site received.
type referee struct {
	mu       sync.Mutex
	nodes    map[string][]version
	attempts map[string][]attempted
	faults   []string
}

// watch has a referee read along until ctx ends.
func watch(ctx context.Context, l *lab.Lab) (*referee, error) {
	r := &referee{nodes: map[string][]version{}, attempts: map[string][]attempted{}}
	w, err := l.Engine.Watch(ctx, store.Root, 0)
	if err != nil {
		return nil, err
	}
	go func() {
		for batch := range w.C() {
			r.note(batch)
		}
	}()
	return r, nil
}

func (r *referee) note(batch store.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, e := range batch.Events {
		if e.Deleted {
			continue
		}
		if id, ok := strings.CutPrefix(e.Key, store.PrefixComponents); ok {
			rec, err := store.DecodeRecord(e.KV, id, nil)
			if err != nil {
				r.fault("component %s can't be read: %v", id, err)
				continue
			}
			r.nodes[id] = append(r.nodes[id], version{now, rec})
		}
		if id, ok := strings.CutPrefix(e.Key, store.PrefixAttempts); ok {
			doc, err := store.Decode[bos.Attempt](e.KV)
			if err != nil {
				r.fault("attempt %s can't be read: %v", id, err)
				continue
			}
			r.attempts[id] = append(r.attempts[id], attempted{now, e.Revision, doc})
		}
	}
}

// fault notes what is wrong; the lock is held.
func (r *referee) fault(format string, args ...any) {
	if len(r.faults) < 20 {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

// commands judges every effect that carries an attempt: it was recorded on each
// of its nodes before, not long before, for a node that BOS drives, and for a
// goal that had not been replaced when the record was made or renewed.
func (r *referee) commands(calls []sim.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range calls {
		if c.Service == "pcs" && c.Operation != "" && c.Attempt == "" {
			r.fault("%s went to %v without an attempt", c.Operation, c.Nodes)
		}
		if c.Attempt == "" {
			continue
		}
		for _, id := range c.Nodes {
			r.command(c, id)
		}
	}
}

func (r *referee) command(c sim.Call, id string) {
	what := fmt.Sprintf("%s %s %s%s for %s at %s", c.Service, c.Method, c.Path, " "+c.Operation, id, c.Time.Format(time.TimeOnly))
	versions := r.nodes[id]
	i := slices.IndexFunc(versions, func(v version) bool {
		return v.rec.Sealed.Attempt != nil && v.rec.Sealed.Attempt.ID == c.Attempt
	})
	if i < 0 || versions[i].at.After(c.Time) {
		r.fault("%s: it was not recorded before", what)
		return
	}
	recorded := versions[i]
	last, revision := recorded.at, recorded.rec.Revision
	for _, a := range r.attempts[c.Attempt] {
		if a.at.After(c.Time) {
			break
		}
		if a.doc.RecordedWall.After(last) {
			last, revision = a.doc.RecordedWall, max(revision, a.revision)
		}
	}
	if age := c.Time.Sub(last); age > maxRecordAge {
		r.fault("%s: its record was %s old", what, age)
	}
	if !recorded.rec.Component.Enabled.Value() {
		r.fault("%s: the node was not enabled", what)
	}
	if want := recorded.rec.Component.DesiredState.Value().BootArtifacts.Value().Kernel.Value(); c.Kernel != "" && c.Kernel != want {
		r.fault("%s: it says %s; %s was recorded", what, c.Kernel, want)
	}
	for _, v := range versions[i+1:] {
		if v.rec.Revision > revision {
			break
		}
		was, is := recorded.rec.Component.DesiredState.Value(), v.rec.Component.DesiredState.Value()
		if was.BootArtifacts != is.BootArtifacts || was.Configuration != is.Configuration || !v.rec.Component.Enabled.Value() {
			r.fault("%s: the goal was replaced %s before, and the record renewed after that", what, c.Time.Sub(v.at))
			return
		}
	}
}

// attemptsPerGoal judges how often a node got an operation for one goal.
// forgiven are commands that may come on top: one for each crash.
func (r *referee) attemptsPerGoal(calls []sim.Call, limit, forgiven int, skip func(id string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	type key struct{ id, operation string }
	counts := map[key]int{}
	goals := map[key]int{}
	for _, c := range calls {
		if c.Service != "pcs" || c.Operation == "" {
			continue
		}
		for _, id := range c.Nodes {
			if skip(id) {
				continue
			}
			k := key{id, c.Operation}
			if goal := r.goalAt(id, c.Time); goal != goals[k] {
				goals[k], counts[k] = goal, 0
			}
			counts[k]++
			if counts[k] == limit+forgiven+1 {
				r.fault("%s got %s %d times for one goal", id, c.Operation, counts[k])
			}
		}
	}
}

// goalAt numbers the goals that a node has had: the counters of attempts begin
// anew with each.
func (r *referee) goalAt(id string, at time.Time) int {
	goal := 0
	zero := bos.ZeroEventStats()
	for i, v := range r.nodes[id] {
		if v.at.After(at) {
			break
		}
		if i > 0 && v.rec.Component.EventStats.Value() == zero && r.nodes[id][i-1].rec.Component.EventStats.Value() != zero ||
			i > 0 && v.rec.Component.DesiredState.Value().LastUpdated != r.nodes[id][i-1].rec.Component.DesiredState.Value().LastUpdated {
			goal++
		}
	}
	return goal
}

// never returns the ids that were ever in a state that some test excludes.
func (r *referee) never(what string, bad func(*bos.Record) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, versions := range r.nodes {
		for _, v := range versions {
			if bad(v.rec) {
				r.fault("%s: %s at %s: %s", id, what, v.at.Format(time.TimeOnly), v.rec.Component.Error.Value())
				break
			}
		}
	}
}

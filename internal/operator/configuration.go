// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/store"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
	"bos/internal/view"
)

// maxConfigurationBatch is how many nodes one change in CFS names.
const maxConfigurationBatch = 1000

// configurationOperator tells CFS what nodes are to be configured with that run
// what they shall run.
type configurationOperator struct{ *Deps }

// configurationTerm is the operator while it leads.
type configurationTerm struct {
	*Deps
	l     store.Leadership
	loop  *loop
	gates *gates
	// told is the number of the last look that began before CFS was told, for
	// each node: looks up to that one show what was before.
	told map[string]int64
}

// lead implements [role].
func (o *configurationOperator) lead(ctx context.Context, l store.Leadership) error {
	if o.CFS == nil {
		<-ctx.Done()
		return nil
	}
	configuring := func(n *view.Node) bool { return enabled(n) && n.Status == bos.StatusConfiguring }
	feed := o.View.Subscribe(view.Interest{
		Node:    func(old, next *view.Node) bool { return configuring(old) || configuring(next) },
		Options: true,
	})
	defer feed.Close()
	t := &configurationTerm{
		Deps: o.Deps, l: l, loop: newLoop(o.Deps, decide.RoleConfiguration, feed),
		gates: newGates(o.Clock, func(string) time.Duration { return 0 }), told: map[string]int64{},
	}
	t.loop.all = func() []string { return o.View.InStatus(bos.StatusConfiguring) }
	t.loop.pass = t.pass
	defer o.recovered.subscribe(func(service string) {
		t.gates.retry(service)
		t.loop.markAll()
	})()
	watching(ctx, t.loop, o.Config)
	defer o.Config.ForgetAll(decide.RoleConfiguration)
	t.loop.run(ctx)
	return nil
}

// pass tells CFS about the nodes for which it has another configuration.
func (t *configurationTerm) pass(ctx context.Context, ids []string) (map[string]bos.Instant, error) {
	due := map[string]bos.Instant{}
	if _, groups := t.decide(ids); len(groups) == 0 {
		return due, nil
	}
	// What others wrote before must be seen before CFS is told: it is told what
	// the nodes are to have now.
	begun := time.Now()
	if err := t.View.Sync(ctx, t.Store); err != nil {
		return due, fmt.Errorf("catch up with the store: %w", err)
	}
	nodes, groups := t.decide(ids)
	on := true
	for _, g := range groups {
		if away, isAway := t.away(); isAway {
			if err := t.await(ctx, nodes, g.Nodes, away, due); err != nil {
				return due, err
			}
			continue
		}
		change := cfs.Change{
			DesiredConfig: &g.Configuration, Enabled: &on, Tags: map[string]string{"bos_session": g.Session},
		}
		r := t.CFS.Patches().Bisect(ctx, g.Nodes, func(ctx context.Context, part []string) error {
			if err := t.leave(part, g.Configuration); err != nil {
				return err
			}
			return t.CFS.Patch(call.SendBefore(ctx, begun.Add(maxRecordAge), func(ctx context.Context) (time.Time, error) {
				now := time.Now()
				if err := t.View.Sync(ctx, t.Store); err != nil {
					return now, fmt.Errorf("catch up with the store: %w", err)
				}
				return now.Add(maxRecordAge), t.leave(part, g.Configuration)
			}), part, change, "")
		})
		text := fmt.Sprintf("cfs was told to apply the configuration '%s'", g.Configuration)
		for _, ids := range r.Accepted {
			t.tell(happenings{{Type: bos.EventAction, Text: text}: t.View.Records(ids)})
		}
		if err := t.note(ctx, nodes, r, due); err != nil {
			return due, err
		}
	}
	return due, nil
}

// leave says why CFS must not be told that nodes are to have a configuration;
// nil if nothing is known against it.
func (t *configurationTerm) leave(ids []string, configuration string) error {
	if !t.l.Alive() {
		return errNotLeading
	}
	records := t.View.Records(ids)
	if len(records) < len(ids) || slices.ContainsFunc(records, func(rec *bos.Record) bool {
		c := &rec.Component
		return !c.Enabled.Value() || t.View.Stopped(rec) || c.DesiredState.Value().Configuration.Value() != configuration
	}) {
		return errGoalReplaced
	}
	return nil
}

// decide decides which nodes CFS is to be told about, and has those looked at
// of which that is not known.
func (t *configurationTerm) decide(ids []string) ([]decide.StatusNode, []decide.ConfigGroup) {
	nodes := t.nodes(ids)
	groups, look := decide.Configuration(nodes, t.View.Options().BatchSize(maxConfigurationBatch))
	needs := make([]observe.Need, len(look))
	for i, rec := range t.View.Records(look) {
		needs[i] = observe.Need{ID: rec.Component.ID, Since: rec.Revision}
	}
	t.Config.Ask(decide.RoleConfiguration, needs)
	return nodes, groups
}

// away reports whether CFS must not be told anything yet.
func (t *configurationTerm) away() (decide.Away, bool) {
	shut, _ := t.gates.now(t.Clock.Now())
	away, isAway := shut[decide.ServiceCFS]
	return away, isAway
}

// await has nodes wait for CFS.
func (t *configurationTerm) await(
	ctx context.Context, nodes []decide.StatusNode, ids []string, away decide.Away, due map[string]bos.Instant,
) error {
	waits := map[string]bos.Wait{}
	t.later(due, ids, away.Next)
	for _, id := range ids {
		waits[id] = bos.Wait{By: decide.RoleConfiguration, On: away.Service, Due: away.Next, Text: away.Text}
	}
	return t.write(ctx, nodes, waits)
}

// nodes gathers those of some components that are configuring, but those that
// CFS was told about and has not been looked at since.
func (t *configurationTerm) nodes(ids []string) []decide.StatusNode {
	var nodes []decide.StatusNode
	var turn []string
	concerned := make(bos.Set, len(ids))
	for _, rec := range t.View.Records(ids) {
		if id := rec.Component.ID; rec.Component.Enabled.Value() && rec.Component.StatusNow() == bos.StatusConfiguring {
			concerned.Add(id)
			turn = append(turn, id)
			nodes = append(nodes, decide.StatusNode{Record: rec, Stopped: t.View.Stopped(rec)})
		}
	}
	var gone []string
	for _, id := range ids {
		if !concerned.Has(id) {
			delete(t.told, id)
			gone = append(gone, id)
		}
	}
	t.Config.Forget(decide.RoleConfiguration, gone...)
	newer := make([]bool, len(nodes))
	t.Config.Each(turn, func(i int, seen observe.Seen[decide.Config]) {
		config := seen.Value
		config.Seen, config.Since = true, seen.Since
		nodes[i].Config = config
		newer[i] = seen.Look > t.told[turn[i]]
	})
	left := nodes[:0]
	for i, n := range nodes {
		if _, told := t.told[turn[i]]; !told || newer[i] {
			left = append(left, n)
		}
	}
	return left
}

// note takes note of what CFS made of a change. What it refuses is shown on the
// node and tried again: nobody but CFS can say when it will do.
func (t *configurationTerm) note(ctx context.Context, nodes []decide.StatusNode, r call.Result, due map[string]bos.Instant) error {
	key := gateKey{decide.ServiceCFS, true}
	began := t.Config.Begun()
	// A wait without On is one that is over.
	waits := map[string]bos.Wait{}
	for _, ids := range r.Accepted {
		t.gates.answered(key, time.Now())
		for _, id := range ids {
			t.told[id], waits[id] = began, bos.Wait{}
		}
		t.Config.Watch(decide.RoleConfiguration, observe.Now, ids...)
	}
	now := t.Clock.Now()
	for id, refusal := range r.Refused {
		next := now.Add(t.View.Options().Polling())
		due[id] = next
		waits[id] = bos.Wait{By: decide.RoleConfiguration, On: decide.ServiceCFS, Due: next, Text: bos.UserText(refusal)}
	}
	if err := t.write(ctx, nodes, waits); err != nil {
		return err
	}
	switch {
	case call.IsAway(r.Away):
		t.Log.Warn("configuration waits for a service", slog.String("operator", decide.RoleConfiguration),
			slog.String("service", decide.ServiceCFS), slog.Int("nodes", len(r.Untried)), slog.Any("error", r.Away))
		return t.await(ctx, nodes, r.Untried, t.gates.failed(key, time.Now(), r.Away), due)
	case r.Away != nil:
		t.later(due, r.Untried, now.Add(firstBackoff))
	default:
		t.later(due, r.Untried, now)
	}
	return nil
}

func (t *configurationTerm) later(due map[string]bos.Instant, ids []string, at bos.Instant) {
	for _, id := range ids {
		due[id] = at
	}
}

// write notes on nodes what they wait for, or that they no longer do, where that
// is new.
func (t *configurationTerm) write(ctx context.Context, nodes []decide.StatusNode, waits map[string]bos.Wait) error {
	decided := map[string]int64{}
	for _, n := range nodes {
		wait, ok := waits[n.Record.Component.ID]
		if !ok {
			continue
		}
		had := bos.Wait{}
		if w := n.Record.Sealed.Wait; w != nil && w.By == decide.RoleConfiguration {
			had = *w
		}
		if had.On != wait.On {
			decided[n.Record.Component.ID] = n.Record.Revision
		}
	}
	written, err := t.change(ctx, t.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
		if waits[id].On == "" {
			return t.Deps.write().EndWait(old), true
		}
		return t.Deps.write().Await(old, waits[id]), true
	})
	t.tellWaits(written, func(id string) bos.Wait { return waits[id] })
	return err
}

// SPDX-License-Identifier: MIT

package operator

import (
	"context"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/store"
	"bos/internal/view"
)

// statusOperator looks at every enabled component and says whose turn it is.
type statusOperator struct {
	*Deps
	l store.Leadership
}

// lead implements [role].
func (o *statusOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{
		Node:    func(old, next *view.Node) bool { return enabled(old) || enabled(next) },
		Options: true,
	})
	defer feed.Close()
	term := &statusOperator{Deps: o.Deps, l: l}
	loop := newLoop(o.Deps, decide.RoleStatus, feed)
	loop.all, loop.pass = o.View.EnabledIDs, term.pass
	defer o.recovered.subscribe(func(string) { loop.markAll() })()
	watching(ctx, loop, o.Power)
	defer o.Power.ForgetAll(decide.RoleStatus)
	if o.Config != nil {
		watching(ctx, loop, o.Config)
		defer o.Config.ForgetAll(decide.RoleStatus)
	}
	loop.run(ctx)
	return nil
}

func enabled(n *view.Node) bool { return n != nil && n.Record.Component.Enabled.Value() }

// watching has a loop look at the nodes that look different, until ctx ends.
func watching[T comparable](ctx context.Context, l *loop, o *observe.Observer[T]) {
	sub := o.Subscribe()
	go func() {
		defer sub.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-sub.C():
				l.mark(sub.Take()...)
			}
		}
	}()
}

// pass decides about components and writes what changed.
func (o *statusOperator) pass(ctx context.Context, ids []string) (map[string]bos.Instant, error) {
	in := o.input(ids)
	due := map[string]bos.Instant{}
	sets := map[string]decide.StatusOutcome{}
	decided := map[string]int64{}
	for i, result := range decide.Status(in) {
		rec := in.Nodes[i].Record
		due[result.ID] = result.Due
		switch outcome := result.Outcome.(type) {
		case decide.Look:
			o.look(result.ID, outcome)
			continue
		case decide.Set, decide.Hold:
			sets[result.ID], decided[result.ID] = outcome, rec.Revision
		case decide.Rest:
		}
		o.pace(rec)
	}
	_, err := o.change(ctx, o.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
		w := o.write()
		switch outcome := sets[id].(type) {
		case decide.Set:
			if outcome.EndWait {
				old = w.EndWait(old)
			}
			return w.Operate(old, outcome.Patch), true
		case decide.Hold:
			return w.Await(old, outcome.Wait), true
		case decide.Look, decide.Rest:
		}
		return old, false
	})
	return due, err
}

// input gathers what is known of the enabled ones of some components, and
// forgets the others.
func (o *statusOperator) input(ids []string) decide.StatusInput {
	in := decide.StatusInput{
		Now: o.Clock.Now(), Options: o.View.Options(), NoCFS: o.CFS == nil, Away: decide.Services{},
	}
	if away, is := o.Power.Away(); is {
		in.Away[decide.ServicePCS] = away
	}
	if o.Config != nil {
		if away, is := o.Config.Away(); is {
			in.Away[decide.ServiceCFS] = away
		}
	}
	for _, id := range ids {
		rec := o.View.Record(id)
		if rec == nil || !rec.Component.Enabled.Value() {
			o.Power.Forget(decide.RoleStatus, id)
			if o.Config != nil {
				o.Config.Forget(decide.RoleStatus, id)
			}
			continue
		}
		n := decide.StatusNode{Record: rec, Power: o.power(id), Config: o.config(id), Open: o.open(rec)}
		in.Nodes = append(in.Nodes, n)
	}
	return in
}

// open reports whether the transition of a node's last command is not completed.
func (d *Deps) open(rec *bos.Record) bool {
	mark := rec.Sealed.Attempt
	if mark == nil {
		return false
	}
	_, open := d.View.Attempt(mark.ID)
	return open
}

func (d *Deps) power(id string) decide.Power {
	seen, ok := d.Power.Get(id)
	if !ok {
		return decide.Power{}
	}
	power := seen.Value
	power.Seen, power.Since, power.At = true, seen.Since, seen.At
	return power
}

func (d *Deps) config(id string) decide.Config {
	if d.Config == nil {
		return decide.Config{}
	}
	seen, ok := d.Config.Get(id)
	if !ok {
		return decide.Config{}
	}
	config := seen.Value
	config.Seen, config.Since = true, seen.Since
	return config
}

// look asks for the observations that a decision lacks.
func (o *statusOperator) look(id string, look decide.Look) {
	if look.Power {
		o.Power.Watch(decide.RoleStatus, id, observe.Now)
	}
	if look.Config && o.Config != nil {
		o.Config.Watch(decide.RoleStatus, id, observe.Now)
	}
}

// pace sets how often a component is looked at, by what is expected of it.
func (o *statusOperator) pace(rec *bos.Record) {
	power, configuring := observe.Seldom, false
	switch rec.Component.StatusNow() {
	case bos.StatusPowerOnCalled, bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled, bos.StatusOnHold:
		power = observe.Often
	case bos.StatusConfiguring:
		configuring = true
	case bos.StatusPowerOnPending, bos.StatusPowerOffPending, bos.StatusFailed, bos.StatusStable:
	}
	id := rec.Component.ID
	o.Power.Watch(decide.RoleStatus, id, power)
	switch {
	case o.Config == nil:
	case configuring:
		o.Config.Watch(decide.RoleStatus, id, observe.Often)
	default:
		o.Config.Forget(decide.RoleStatus, id)
	}
}

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
	due := make(map[string]bos.Instant, len(in.Nodes))
	sets := map[string]decide.StatusOutcome{}
	decided := map[string]int64{}
	var looks looks
	for i, result := range decide.Status(in) {
		rec := in.Nodes[i].Record
		due[result.ID] = result.Due
		switch outcome := result.Outcome.(type) {
		case decide.Look:
			looks.ask(rec, outcome)
			continue
		case decide.Set, decide.Hold:
			sets[result.ID], decided[result.ID] = outcome, rec.Revision
		case decide.Rest:
		}
		looks.pace(&in.Nodes[i])
	}
	looks.hand(o.Deps)
	written, err := o.change(ctx, o.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
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
	told := happenings{}
	for i := range in.Nodes {
		rec := in.Nodes[i].Record
		if written[rec.Component.ID] != nil {
			told.add(decide.StatusHappening(rec, sets[rec.Component.ID]), rec)
		}
	}
	o.tell(told)
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
	driven := make([]string, 0, len(ids))
	in.Nodes = make([]decide.StatusNode, 0, len(ids))
	for _, rec := range o.View.Records(ids) {
		if rec.Component.Enabled.Value() {
			driven = append(driven, rec.Component.ID)
			in.Nodes = append(in.Nodes, decide.StatusNode{Record: rec, Open: o.open(rec), Stopped: o.View.Stopped(rec)})
		}
	}
	if len(driven) < len(ids) {
		o.forget(ids, driven)
	}
	o.Power.Each(driven, func(i int, seen observe.Seen[decide.Power]) {
		power := seen.Value
		power.Seen, power.Since, power.At = true, seen.Since, seen.At
		in.Nodes[i].Power = power
	})
	o.configs(driven, func(i int, config decide.Config) { in.Nodes[i].Config = config })
	return in
}

// forget ends the looks at components that are not driven any more.
func (o *statusOperator) forget(ids, driven []string) {
	still := bos.NewSet(driven...)
	var gone []string
	for _, id := range ids {
		if !still.Has(id) {
			gone = append(gone, id)
		}
	}
	o.Power.Forget(decide.RoleStatus, gone...)
	if o.Config != nil {
		o.Config.Forget(decide.RoleStatus, gone...)
	}
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

// configs tells the last looks at the configuration of nodes.
func (d *Deps) configs(ids []string, tell func(i int, config decide.Config)) {
	if d.Config == nil {
		return
	}
	d.Config.Each(ids, func(i int, seen observe.Seen[decide.Config]) {
		config := seen.Value
		config.Seen, config.Since = true, seen.Since
		tell(i, config)
	})
}

// looks are the looks that a pass wants, all at once.
type looks struct {
	power, config []observe.Need
	// How often components are to be looked at, by what is expected of them.
	powerOften, powerSeldom  []string
	configOften, configNever []string
}

// ask notes which observations a decision lacks.
func (l *looks) ask(rec *bos.Record, look decide.Look) {
	need := observe.Need{ID: rec.Component.ID, Since: rec.Revision}
	if look.Power {
		l.power = append(l.power, need)
	}
	if look.Config {
		l.config = append(l.config, need)
	}
}

// pace notes how often a component is to be looked at. One that was seen on
// after its power-on has a report to send; that its power stays on is not news.
func (l *looks) pace(n *decide.StatusNode) {
	id, status := n.Record.Component.ID, n.Record.Component.StatusNow()
	switch {
	case status == bos.StatusPowerOnCalled && n.Power.Off(), status == bos.StatusOnHold,
		status == bos.StatusPowerOffGracefullyCalled, status == bos.StatusPowerOffForcefullyCalled:
		l.powerOften = append(l.powerOften, id)
	default:
		l.powerSeldom = append(l.powerSeldom, id)
	}
	if status == bos.StatusConfiguring {
		l.configOften = append(l.configOften, id)
	} else {
		l.configNever = append(l.configNever, id)
	}
}

// hand tells the observers.
func (l *looks) hand(d *Deps) {
	d.Power.Ask(decide.RoleStatus, l.power)
	d.Power.Watch(decide.RoleStatus, observe.Often, l.powerOften...)
	d.Power.Watch(decide.RoleStatus, observe.Seldom, l.powerSeldom...)
	if d.Config == nil {
		return
	}
	d.Config.Ask(decide.RoleStatus, l.config)
	d.Config.Watch(decide.RoleStatus, observe.Often, l.configOften...)
	d.Config.Forget(decide.RoleStatus, l.configNever...)
}

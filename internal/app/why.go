// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/observe"
)

// lookTime bounds how long a service may take that is asked about one component
// for an explanation.
const lookTime = time.Second

// explain gathers what is known of a component and has it explained.
func (a *App) explain(ctx context.Context, rec *bos.Record, session *bos.SessionRecord) bos.Why {
	in := decide.WhyInput{
		Record: rec, Session: session, Options: a.view.Options(), NoCFS: a.services.cfs == nil,
		Now: a.clock.Now(), Wall: a.wall(), Rate: a.clock.Rate(), Away: a.away(),
	}
	if mark := rec.Sealed.Attempt; mark != nil {
		in.Open, _ = a.view.Attempt(mark.ID)
	}
	a.look(ctx, rec, &in)
	return decide.Why(in)
}

// look asks the services about a component, side by side, as far as it matters.
func (a *App) look(ctx context.Context, rec *bos.Record, in *decide.WhyInput) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	id, c := rec.Component.ID, &rec.Component
	// What was under way for a node that was cancelled goes on.
	left := rec.CancelledIn(rec.OwnSession()) && !c.Enabled.Value()
	var asked sync.WaitGroup
	defer asked.Wait()
	if c.Enabled.Value() || left {
		asked.Go(func() {
			if p, ok := glance(ctx, a, a.services.power, id); ok {
				in.Power = p.Value
				in.Power.Seen, in.Power.Since, in.Power.At = true, p.Since, p.At
			}
		})
	}
	configured := c.Enabled.Value() && c.StatusNow() == bos.StatusConfiguring ||
		left && c.Status.Value().Phase.Value() == bos.PhaseConfiguring
	if a.services.config != nil && configured {
		asked.Go(func() {
			if c, ok := glance(ctx, a, a.services.config, id); ok {
				in.Config, in.ConfigAt = c.Value, c.At
				in.Config.Seen, in.Config.Since = true, c.Since
			}
		})
	}
	if decide.AsksScript(rec) {
		asked.Go(func() { in.Script = a.bootScript(ctx, id) })
	}
}

// sameClock is how far a service's clock, of which only seconds are known, may
// be from this machine's to count as right.
const sameClock = 2 * time.Second

// bootScript asks BSS when a node last fetched its boot script.
func (a *App) bootScript(ctx context.Context, id string) decide.BootScript {
	out := decide.BootScript{Asked: true}
	fetched, err := a.services.bss.ScriptFetched(ctx, id)
	var known *bos.Error
	switch {
	case errors.As(err, &known):
		out.Problem = bos.UserText(err)
		return out
	case err != nil:
		out.Problem = fmt.Sprintf("bss did not answer within %v", lookTime)
		return out
	}
	if out.At = fetched.At; out.At.IsZero() {
		return out
	}
	if ahead := fetched.Now.Sub(a.wall()); ahead.Abs() > sameClock {
		out.At = out.At.Add(-ahead.Round(time.Second))
	}
	return out
}

// glance returns the last look at a node. A process that does not lead the
// operators looks at none; it asks then.
func glance[T comparable](ctx context.Context, a *App, o *observe.Observer[T], id string) (observe.Seen[T], bool) {
	if seen, ok := o.Get(id); ok {
		return seen, true
	}
	now := a.clock.Now()
	value, err := o.Question(ctx, id)
	return observe.Seen[T]{Value: value, Since: a.view.Revision(), At: now}, err == nil
}

// away are the services that do not answer, as this process has found.
func (a *App) away() decide.Services {
	out := decide.Services{}
	for name, service := range a.services.all {
		h := service.Health()
		if !h.Away() {
			continue
		}
		text := observe.AwayText(name, h.Since, bos.Errorf(bos.CodeUnavailable, "%s", h.LastError))
		wait := time.Duration(float64(max(0, time.Until(h.NextProbe))) * a.clock.Rate())
		out[name] = decide.Away{Service: name, Text: text, Next: a.clock.Now().Add(wait)}
	}
	return out
}

// SPDX-License-Identifier: MIT

package decide

import (
	"slices"
	"strings"
	"time"

	"bos/internal/bos"
)

// StatusInput is what the status operator knows of enabled components.
type StatusInput struct {
	Now     bos.Instant
	Options bos.Options
	// NoCFS says that the site has no CFS: configuration is always done.
	NoCFS bool
	// Away are the services whose looks fail.
	Away  Services
	Nodes []StatusNode
}

// StatusNode is an enabled component and the last looks at it.
type StatusNode struct {
	Record *bos.Record
	Power  Power
	Config Config
	// Open says that the transition of its last power command is not completed.
	Open bool
	// Stopped says that its session is paused or cancelled: it is looked at, but
	// no time runs out for it, and nobody is waited for.
	Stopped bool
}

// StatusResult is what is to be done with one component now, and when to look
// again at the latest although nothing was observed (0: not before that).
type StatusResult struct {
	ID      string
	Outcome StatusOutcome
	Due     bos.Instant
}

// StatusOutcome is one of [Look], [Set], [Hold] and [Rest].
type StatusOutcome interface{ statusOutcome() }

// Look says that the decision needs a look at the node's power or
// configuration that is newer than the last one.
type Look struct{ Power, Config bool }

// Set writes what changed. EndWait ends a wait of the component, with the error
// text that went with it.
type Set struct {
	Patch   bos.Component
	EndWait bool
}

// Hold notes that a service is away and keeps the node from its next step.
type Hold struct{ Wait bos.Wait }

// Rest says that nothing changed.
type Rest struct{}

func (Look) statusOutcome() {}
func (Set) statusOutcome()  {}
func (Hold) statusOutcome() {}
func (Rest) statusOutcome() {}

// Texts that users of this API know.
const (
	textNotInPCS     = "Component information was not returned by pcs"
	textNotInCFS     = "Component information was not returned by cfs"
	textConfigFailed = "cfs configuration failed"
	textConfigOdd    = "cfs is not reporting a valid configuration status for this component: "
)

// Status decides the phase of enabled components: from what PCS and CFS say
// and what the node reported, whose turn it is next, and which components are
// done or failed.
func Status(in StatusInput) []StatusResult {
	out := make([]StatusResult, len(in.Nodes))
	for i := range in.Nodes {
		out[i] = in.decide(&in.Nodes[i])
	}
	return out
}

// verdict is what a component shall look like.
type verdict struct {
	phase    bos.Phase
	override bos.StatusName
	disable  bool
	// err is a new error text; done says that the node made it.
	err  string
	done bool
	// failed is what last_action.failed shall be.
	failed bos.Opt[bool]
	// matches says that the node runs what it shall run.
	matches bool
	due     bos.Instant
	// awaits is the service whose next look is waited for.
	awaits string
	// look is a look without which nothing can be decided.
	look Look
}

func (in *StatusInput) decide(n *StatusNode) StatusResult {
	if look := in.missing(n); look != (Look{}) {
		return in.look(n, look)
	}
	v := in.verdict(n)
	if v.look != (Look{}) {
		return in.look(n, v.look)
	}
	away, isAway := in.Away[v.awaits]
	isAway = isAway && waitsForLook(&n.Record.Component)
	isAway = isAway && !n.Stopped
	result := StatusResult{ID: n.Record.Component.ID, Outcome: v.changes(n, isAway)}
	if !v.disable {
		result.Due = v.due
	}
	if _, rests := result.Outcome.(Rest); rests && isAway {
		return result.held(n, away)
	}
	return result
}

// look asks for an observation, or notes that the service for it is away.
func (in *StatusInput) look(n *StatusNode, look Look) StatusResult {
	result := StatusResult{ID: n.Record.Component.ID, Outcome: look}
	var names []string
	if look.Power {
		names = append(names, ServicePCS)
	}
	if look.Config {
		names = append(names, ServiceCFS)
	}
	if away, isAway := in.Away.first(names...); isAway && !n.Stopped {
		return result.held(n, away)
	}
	return result
}

// waitsForLook reports whether it is nobody's turn until a look says otherwise.
func waitsForLook(c *bos.Component) bool {
	switch c.StatusNow() {
	case bos.StatusPowerOnCalled, bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled,
		bos.StatusConfiguring, bos.StatusOnHold:
		return true
	case bos.StatusPowerOnPending, bos.StatusPowerOffPending, bos.StatusFailed, bos.StatusStable:
	}
	return false
}

// held makes a result say that a service is away, unless the component does
// already. What another operator waits for is its own to say, but while a
// component is on hold no other has a say.
func (r StatusResult) held(n *StatusNode, away Away) StatusResult {
	r.Due = earlier(r.Due, away.Next)
	w := n.Record.Sealed.Wait
	others := w != nil && w.By != RoleStatus && n.Record.Component.StatusNow() != bos.StatusOnHold
	if !others && (w == nil || w.On != away.Service) {
		r.Outcome = Hold{bos.Wait{By: RoleStatus, On: away.Service, Due: away.Next, Text: away.Text}}
	}
	return r
}

// missing says which looks are needed before anything can be decided. While a
// component is on hold, nobody acts on what was seen before it was held.
func (in *StatusInput) missing(n *StatusNode) Look {
	if n.Record.Component.StatusNow() != bos.StatusOnHold {
		return Look{Power: !n.Power.Seen}
	}
	return Look{
		Power:  !n.Power.Seen || n.Power.Since < n.Record.Revision,
		Config: !in.NoCFS && (!n.Config.Seen || n.Config.Since < n.Record.Revision),
	}
}

// verdict decides from what was seen.
func (in *StatusInput) verdict(n *StatusNode) verdict {
	rec := n.Record
	c := &rec.Component
	if !n.Power.Found {
		return verdict{override: bos.StatusOnHold, disable: true, err: textNotInPCS}
	}
	if !in.NoCFS && n.Config.Seen && n.Config.Since >= rec.Revision && !n.Config.Found {
		return verdict{override: bos.StatusOnHold, disable: true, err: textNotInCFS}
	}
	var v verdict
	if c.StatusNow() == bos.StatusFailed {
		v.override, v.disable = bos.StatusFailed, true
	}
	poweredOn := c.LastAction.Value().Action.Value() == bos.ActionPoweringOn
	switch {
	case n.Power.Off() && c.WantsOff():
		if v.override == "" && in.mayBeOn(n) {
			return in.undecided(n)
		}
		v.finish()
	case n.Power.Off():
		v.phase, v.awaits = bos.PhasePoweringOn, ServicePCS
		if poweredOn {
			in.awaitPowerOn(&v, n)
		}
	case c.WantsOff():
		v.phase, v.awaits = bos.PhasePoweringOff, ServicePCS
	case in.runs(n):
		if v.override == "" && in.mayBeOff(n) {
			return in.undecided(n)
		}
		v.matches = true
		in.configured(&v, n)
	case poweredOn && (n.Stopped || in.Now < rec.Sealed.ActionAt.Add(in.Options.MaxBootWait())):
		v.phase = bos.PhasePoweringOn
		if !n.Stopped {
			v.due = rec.Sealed.ActionAt.Add(in.Options.MaxBootWait())
		}
		// It came on after all: no further power-on for it.
		v.failed = bos.Some(false)
	default:
		v.phase, v.awaits = bos.PhasePoweringOff, ServicePCS
	}
	return v
}

// runs reports whether a node reported what it shall run. One that is to be
// restarted has not until it was off, whatever its former system still says.
func (in *StatusInput) runs(n *StatusNode) bool {
	c := &n.Record.Component
	return !n.Record.Sealed.Restart && bos.SameArtifacts(c.ActualState.Value().BootArtifacts.Value(), c.DesiredArtifacts())
}

// Staleness is how old what PCS says of power may be: it asks the hardware 30 s
// after the former round of questions has ended, and a BMC that does not answer
// makes a round take 30 s more.
const Staleness = 95 * time.Second

// mayBeOn reports whether a node that shows as off may have been switched on,
// or may still come on: nobody is done with one that is about to change. A site
// that says that its nodes take less time is believed.
func (in *StatusInput) mayBeOn(n *StatusNode) bool {
	return in.doubts(n, min(Staleness, in.Options.MaxPowerOnWait()), bos.ActionPoweringOn)
}

// mayBeOff reports whether a node that shows as on may have been shut down.
func (in *StatusInput) mayBeOff(n *StatusNode) bool {
	return in.doubts(n, min(Staleness, in.Options.MaxPowerOffWait()), bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully)
}

func (in *StatusInput) doubts(n *StatusNode, d time.Duration, actions ...bos.Action) bool {
	mark := n.Record.Sealed.Attempt
	return mark != nil && slices.Contains(actions, mark.Action) && (n.Open || in.Now < mark.At.Add(d))
}

// doubtPause is how soon a node is looked at again that may be about to change.
const doubtPause = 5 * time.Second

// undecided leaves a component as it is for a while.
func (in *StatusInput) undecided(n *StatusNode) verdict {
	before := n.Record.Component.Status.Value()
	return verdict{
		phase: before.Phase.Value(), override: bos.StatusName(before.StatusOverride.Value()),
		due: in.Now.Add(doubtPause), awaits: ServicePCS,
	}
}

// awaitPowerOn decides whether a node that was powered on, and is off, has had
// its time. Only a look that began after it says so: while PCS is away, nodes
// come on unseen.
func (in *StatusInput) awaitPowerOn(v *verdict, n *StatusNode) {
	end := n.Record.Sealed.ActionAt.Add(in.Options.MaxPowerOnWait())
	switch {
	case n.Stopped:
		// Its time begins anew with the end of the pause.
	case end > in.Now:
		v.due = end
	case n.Power.At < end:
		v.look = Look{Power: true}
	default:
		v.failed = bos.Some(true)
	}
}

// finish says that the node is where it shall be.
func (v *verdict) finish() {
	v.phase, v.disable, v.done = bos.PhaseNone, true, v.override == ""
}

// configured decides about a node that runs what it shall run.
func (in *StatusInput) configured(v *verdict, n *StatusNode) {
	want := n.Record.Component.DesiredState.Value().Configuration.Value()
	if in.NoCFS {
		v.finish()
		return
	}
	if !n.Config.Seen || n.Config.Since < n.Record.Revision {
		// A failed node is disabled without waiting for CFS.
		v.phase = n.Record.Component.Status.Value().Phase.Value()
		if v.override != bos.StatusFailed {
			v.look = Look{Config: true}
		}
		return
	}
	v.phase = bos.PhaseConfiguring
	switch status := strings.ToLower(n.Config.Status); {
	case n.Config.Desired != want:
		v.awaits = ServiceCFS
	case want == "" || status == "configured":
		v.finish()
	case status == "pending":
		v.awaits = ServiceCFS
	case status == "failed":
		v.override, v.disable, v.err = bos.StatusFailed, true, textConfigFailed
	default:
		v.override, v.disable, v.err = bos.StatusFailed, true, textConfigOdd+status
	}
}

// changes turns a verdict into what has to be written: only what differs. away
// says that a service is away whose look is waited for.
func (v *verdict) changes(n *StatusNode, away bool) StatusOutcome {
	rec, c := n.Record, &n.Record.Component
	before := c.Status.Value()
	status := bos.Status{StatusOverride: bos.Some(string(v.override))}
	patch := bos.Component{}
	update := before.StatusOverride.Value() != string(v.override)
	moved := before.Phase.Value() != v.phase
	if moved {
		update = true
		status.Phase = bos.Some(v.phase)
		if v.phase == bos.PhaseNone {
			patch.EventStats = bos.Some(bos.ZeroEventStats())
		}
		// Powering off is over: what ran then runs no more. A node that came up
		// late with what it shall run was not powered off at all.
		if before.Phase.Value() == bos.PhasePoweringOff && !v.matches {
			patch.ActualState = bos.Some(bos.EmptyActualState())
		}
	}
	if v.disable {
		update = true
		patch.Enabled = bos.Some(false)
	}
	text := c.Error.Value()
	switch {
	case v.err != "" && v.err != text:
		update = true
		patch.Error = bos.Some(v.err)
	case v.done && text != "":
		update = true
		patch.Error = bos.Some("")
	}
	if failed, ok := v.failed.Get(); ok && failed != c.LastAction.Value().Failed.Value() {
		update = true
		patch.LastAction = bos.Some(bos.LastAction{Failed: v.failed})
	}
	// A wait of this operator is over once it could decide and the service
	// answers; a wait of another one when the node's turn changes.
	wait := rec.Sealed.Wait
	paused := n.Stopped && wait != nil && wait.On == bos.OnResume
	endWait := wait != nil && (v.disable || !paused && (moved || wait.By == RoleStatus && !away))
	if !update && !endWait {
		return Rest{}
	}
	if update {
		patch.Status = bos.Some(status)
	}
	return Set{Patch: patch, EndWait: endWait}
}

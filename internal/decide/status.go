// SPDX-License-Identifier: MIT

package decide

import (
	"strings"

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
}

func (in *StatusInput) decide(n *StatusNode) StatusResult {
	id := n.Record.Component.ID
	if look := in.missing(n); look != (Look{}) {
		return in.look(n, look)
	}
	v, enough := in.verdict(n)
	if !enough {
		return in.look(n, Look{Config: true})
	}
	result := StatusResult{ID: id, Outcome: v.changes(n.Record)}
	if !v.disable {
		result.Due = v.due
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
	away, is := in.Away.first(names...)
	if !is {
		return result
	}
	result.Due = away.Next
	if w := n.Record.Sealed.Wait; w == nil || w.On != away.Service {
		result.Outcome = Hold{bos.Wait{By: RoleStatus, On: away.Service, Due: away.Next, Text: away.Text}}
	}
	return result
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

// verdict decides from what was seen. It returns false if the look at the
// configuration is older than the component's last write.
func (in *StatusInput) verdict(n *StatusNode) (verdict, bool) {
	rec := n.Record
	c := &rec.Component
	if !n.Power.Found {
		return verdict{override: bos.StatusOnHold, disable: true, err: textNotInPCS}, true
	}
	if !in.NoCFS && n.Config.Seen && n.Config.Since >= rec.Revision && !n.Config.Found {
		return verdict{override: bos.StatusOnHold, disable: true, err: textNotInCFS}, true
	}
	var v verdict
	if c.StatusNow() == bos.StatusFailed {
		v.override, v.disable = bos.StatusFailed, true
	}
	poweredOn := c.LastAction.Value().Action.Value() == bos.ActionPoweringOn
	switch {
	case n.Power.Off() && c.WantsOff():
		v.finish()
	case n.Power.Off():
		v.phase = bos.PhasePoweringOn
		if poweredOn {
			v.due = rec.Sealed.ActionAt.Add(in.Options.MaxPowerOnWait())
			if v.due <= in.Now {
				v.failed, v.due = bos.Some(true), 0
			}
		}
	case c.WantsOff():
		v.phase = bos.PhasePoweringOff
	case bos.SameArtifacts(c.ActualState.Value().BootArtifacts.Value(), c.DesiredArtifacts()):
		v.matches = true
		enough := in.configured(&v, n)
		return v, enough
	case poweredOn && in.Now < rec.Sealed.ActionAt.Add(in.Options.MaxBootWait()):
		v.phase = bos.PhasePoweringOn
		v.due = rec.Sealed.ActionAt.Add(in.Options.MaxBootWait())
		// It came on after all: no further power-on for it.
		v.failed = bos.Some(false)
	default:
		v.phase = bos.PhasePoweringOff
	}
	return v, true
}

// finish says that the node is where it shall be.
func (v *verdict) finish() {
	v.phase, v.disable, v.done = bos.PhaseNone, true, v.override == ""
}

// configured decides about a node that runs what it shall run. It returns false
// if the look at its configuration is too old to say.
func (in *StatusInput) configured(v *verdict, n *StatusNode) bool {
	want := n.Record.Component.DesiredState.Value().Configuration.Value()
	if in.NoCFS {
		v.finish()
		return true
	}
	if !n.Config.Seen || n.Config.Since < n.Record.Revision {
		// A failed node is disabled without waiting for CFS.
		v.phase = n.Record.Component.Status.Value().Phase.Value()
		return v.override == bos.StatusFailed
	}
	v.phase = bos.PhaseConfiguring
	switch status := strings.ToLower(n.Config.Status); {
	case n.Config.Desired != want:
	case want == "" || status == "configured":
		v.finish()
	case status == "pending":
	case status == "failed":
		v.override, v.disable, v.err = bos.StatusFailed, true, textConfigFailed
	default:
		v.override, v.disable, v.err = bos.StatusFailed, true, textConfigOdd+status
	}
	return true
}

// changes turns a verdict into what has to be written: only what differs.
func (v *verdict) changes(rec *bos.Record) StatusOutcome {
	c := &rec.Component
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
	// A wait of this operator is over once it could decide; a wait of another
	// one when the node's turn changes.
	endWait := rec.Sealed.Wait != nil && (moved || v.disable || rec.Sealed.Wait.By == RoleStatus)
	if !update && !endWait {
		return Rest{}
	}
	if update {
		patch.Status = bos.Some(status)
	}
	return Set{Patch: patch, EndWait: endWait}
}

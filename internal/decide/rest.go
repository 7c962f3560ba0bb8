// SPDX-License-Identifier: MIT

package decide

import (
	"time"

	"bos/internal/bos"
)

// Configuration decides which nodes get their configuration set in CFS: those
// that are configuring and for which CFS has another one. It returns them in
// groups, and the ids that need a newer look first.
func Configuration(nodes []StatusNode, batchSize int) (groups []ConfigGroup, look []string) {
	type key struct{ configuration, session string }
	byKey := map[key]*ConfigGroup{}
	for _, n := range nodes {
		c := &n.Record.Component
		if n.Stopped || !c.Enabled.Value() || c.StatusNow() != bos.StatusConfiguring {
			continue
		}
		if !n.Config.Seen || n.Config.Since < n.Record.Revision {
			look = append(look, c.ID)
			continue
		}
		want := c.DesiredState.Value().Configuration.Value()
		if !n.Config.Found || n.Config.Desired == want {
			continue
		}
		k := key{want, c.Session.Value()}
		g := group(byKey, k, func() ConfigGroup { return ConfigGroup{Configuration: k.configuration, Session: k.session} })
		g.Nodes = append(g.Nodes, c.ID)
	}
	for _, g := range byKey {
		sortIDs(g.Nodes)
	}
	for _, g := range ordered(byKey, func(g *ConfigGroup) string { return g.Nodes[0] }) {
		for _, batch := range batches(g.Nodes, batchSize) {
			groups = append(groups, ConfigGroup{Configuration: g.Configuration, Session: g.Session, Nodes: batch})
		}
	}
	return groups, look
}

// Discovery returns the nodes that HSM knows and BOS does not.
func Discovery(inHSM []string, known func(id string) bool) []string {
	var fresh []string
	seen := bos.Set{}
	for _, id := range inHSM {
		if !seen.Has(id) && !known(id) {
			seen.Add(id)
			fresh = append(fresh, id)
		}
	}
	sortIDs(fresh)
	return fresh
}

// cancelPatience is how long whoever asked for a cancellation has to carry it
// out.
const cancelPatience = 10 * time.Second

// Abandoned returns the sessions among some that are being cancelled and have
// been for so long that whoever does it must have died.
func Abandoned(now bos.Instant, sessions []*bos.SessionRecord) []*bos.SessionRecord {
	var out []*bos.SessionRecord
	for _, s := range sessions {
		if s.Sealed.Cancelled && s.Stopped() && s.Sealed.StoppedAt.Add(cancelPatience) <= now {
			out = append(out, s)
		}
	}
	return out
}

// SessionCompletion returns the running sessions that have nothing left to do:
// no enabled component of their own, and none that waits for their staged
// state. One that is being cancelled is completed by that.
func SessionCompletion(running []*bos.SessionRecord, busy func(bos.SessionKey) bool) []*bos.SessionRecord {
	var done []*bos.SessionRecord
	for _, s := range running {
		if s.Session.Status.Status == bos.SessionRunning && !s.Sealed.Cancelled && !busy(s.Session.Key()) {
			done = append(done, s)
		}
	}
	return done
}

// ActualStateCleanup decides about components with a reported state: those
// whose report is older than component_actual_state_ttl are to be emptied, the
// others are looked at when theirs will be. A node that BOS has just powered on
// is left alone.
func ActualStateCleanup(now bos.Instant, opts bos.Options, records []*bos.Record) (empty []string, due map[string]bos.Instant) {
	due = map[string]bos.Instant{}
	ttl := opts.ActualStateTTL()
	for _, r := range records {
		c := &r.Component
		if !reported(c) {
			continue
		}
		if when := r.Sealed.ActualAt.Add(ttl); when > now {
			due[c.ID] = when
			continue
		}
		if c.Enabled.Value() && c.LastAction.Value().Action.Value() == bos.ActionPoweringOn {
			// A later write of the node brings it back here.
			continue
		}
		empty = append(empty, c.ID)
	}
	sortIDs(empty)
	return empty, due
}

// reported reports whether any actual artifact is set.
func reported(c *bos.Component) bool {
	a := c.ActualState.Value().BootArtifacts.Value()
	return a.Kernel.Value() != "" || a.KernelParameters.Value() != "" || a.Initrd.Value() != ""
}

// CleanedUp is what the actual state cleanup writes.
func CleanedUp() bos.Component {
	return bos.Component{
		ActualState: bos.Some(bos.EmptyActualState()),
		LastAction:  bos.Some(bos.LastAction{Action: bos.Some(bos.ActionActualStateCleanup), Failed: bos.Some(false)}),
		Error:       bos.Some(""),
	}
}

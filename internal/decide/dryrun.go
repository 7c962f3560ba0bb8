// SPDX-License-Identifier: MIT

package decide

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/xname"
)

// DryRunInput is what is known about a session that nobody has created.
type DryRunInput struct {
	Session *bos.Session
	// Sets are the boot sets as set-up would resolve them, in template order.
	Sets     []BootSetPlan
	Warnings []string
	// Records are the components of the sets' nodes; Power and Config, by node,
	// are looks at those. A session that stages needs none.
	Records map[string]*bos.Record
	Power   map[string]Power
	Config  map[string]Config
	// Open says that the transition of a node's last command is not completed.
	Open func(*bos.Record) bool
	// Running reports whether a session is not complete.
	Running func(bos.SessionKey) bool
	Write   bos.Write
	Options bos.Options
	NoCFS   bool
}

// DryRun says what a session would do: as set-up sets its nodes up, and as the
// status operator decides about them then.
func DryRun(in DryRunInput) bos.SessionPlan {
	s := in.Session
	plan := bos.SessionPlan{
		Operation: s.Operation, TemplateName: s.TemplateName, Tenant: s.Tenant, Limit: s.Limit, Stage: s.Stage,
		IncludeDisabled: s.IncludeDisabled, BootSets: []bos.PlannedBootSet{}, TakenOver: []bos.TakenOver{},
		Warnings: append([]string{}, in.Warnings...),
	}
	included, excluded, repeated := in.sort()
	all := make([]string, 0, len(included))
	bySet := make([][]string, len(in.Sets))
	for id, set := range included {
		all = append(all, id)
		bySet[set] = append(bySet[set], id)
	}
	sortIDs(all)
	plan.Count, plan.Racks, plan.Nodes = len(all), racks(all), xname.Fold(all)
	for i, set := range in.Sets {
		planned := bos.PlannedBootSet{
			Name: set.Name, Count: len(bySet[i]), Nodes: xname.Fold(bySet[i]),
			BootArtifacts: bos.EmptyBootArtifacts(), Configuration: set.Target.Configuration,
		}
		if len(set.Nodes) > 0 {
			planned.BootArtifacts = set.Target.BootArtifacts
		}
		plan.BootSets = append(plan.BootSets, planned)
	}
	plan.Excluded = exclusions(excluded)
	plan.Included = in.actions(all, included)
	plan.TakenOver = in.takenOver(all)
	if len(bos.LimitNIDs(s.Limit)) > 0 {
		plan.Warnings = append(plan.Warnings, "the limit appears to contain NIDs; nodes are named by their xnames")
	}
	if repeated > 0 {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("nodes in several boot sets, which get the state of the last one: %d", repeated))
	}
	if len(all) == 0 {
		text := TextNoNodes
		if slices.ContainsFunc(in.Sets, func(set BootSetPlan) bool { return len(set.Nodes) > 0 }) {
			text = TextNoneKnown
		}
		plan.Warnings = append(plan.Warnings, "the session would end at once: "+text)
	}
	return plan
}

// sort puts every node that the boot sets name into one place: the boot set
// whose state it gets, or the reason why it is left out.
func (in *DryRunInput) sort() (included map[string]int, excluded map[string]bos.ExclusionReason, repeated int) {
	included, excluded = map[string]int{}, map[string]bos.ExclusionReason{}
	twice := bos.Set{}
	for i, set := range in.Sets {
		for _, out := range set.Excluded {
			if _, known := excluded[out.ID]; !known {
				excluded[out.ID] = out.Reason
			}
		}
		for _, id := range set.Nodes {
			if in.Records[id] == nil {
				excluded[id] = bos.ExcludedNoComponent
				continue
			}
			if _, before := included[id]; before {
				twice.Add(id)
			}
			included[id] = i
		}
	}
	for id := range included {
		delete(excluded, id)
	}
	return included, excluded, len(twice)
}

func exclusions(excluded map[string]bos.ExclusionReason) []bos.Exclusion {
	byReason := map[bos.ExclusionReason][]string{}
	for id, reason := range excluded {
		byReason[reason] = append(byReason[reason], id)
	}
	out := make([]bos.Exclusion, 0, len(byReason))
	for reason, ids := range byReason {
		out = append(out, bos.Exclusion{Reason: reason, Why: reason.Text(), Count: len(ids), Nodes: xname.Fold(ids)})
	}
	slices.SortFunc(out, func(a, b bos.Exclusion) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// next is what would be done to a node, and why.
type next struct {
	action bos.NextAction
	why    string
}

// actions says what would be done to the nodes.
func (in *DryRunInput) actions(ids []string, setOf map[string]int) []bos.PlannedAction {
	groups := map[next][]string{}
	if in.Session.Stage {
		if len(ids) > 0 {
			groups[next{bos.NextStage, "its staged state is set; it goes on when that is applied"}] = ids
		}
	} else {
		for id, n := range in.decideAll(ids, setOf) {
			groups[n] = append(groups[n], id)
		}
	}
	out := make([]bos.PlannedAction, 0, len(groups))
	for n, members := range groups {
		out = append(out, bos.PlannedAction{Action: n.action, Why: n.why, Count: len(members), Nodes: xname.Fold(members)})
	}
	slices.SortFunc(out, func(a, b bos.PlannedAction) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Why, b.Why))
	})
	return out
}

// decideAll sets nodes up, on paper, and has the status operator decide about
// them.
func (in *DryRunInput) decideAll(ids []string, setOf map[string]int) map[string]next {
	status := StatusInput{Now: in.Write.Instant, Options: in.Options, NoCFS: in.NoCFS}
	records := make([]bos.Record, len(ids))
	for i, id := range ids {
		old := in.Records[id]
		records[i] = SetUp(in.Write, in.Session, "", in.Sets[setOf[id]].Target, *old)
		n := StatusNode{Record: &records[i], Power: in.Power[id], Config: in.Config[id], Open: in.Open(old)}
		n.Power.Seen, n.Power.Since, n.Power.At = true, math.MaxInt64, in.Write.Instant
		n.Config.Seen, n.Config.Since = true, math.MaxInt64
		status.Nodes = append(status.Nodes, n)
	}
	out := make(map[string]next, len(ids))
	for i, result := range Status(status) {
		after := records[i]
		if set, ok := result.Outcome.(Set); ok {
			after = in.Write.Operate(after, set.Patch)
		}
		out[result.ID] = in.next(&status.Nodes[i], &after)
	}
	return out
}

// next reads what would be done to a node from the status that it would have.
func (in *DryRunInput) next(n *StatusNode, after *bos.Record) next {
	c := &after.Component
	switch c.StatusNow() {
	case bos.StatusPowerOnPending:
		return next{bos.NextPowerOn, "its power is off, and it shall boot"}
	case bos.StatusPowerOffPending:
		switch {
		case c.WantsOff():
			return next{bos.NextPowerOffGraceful, "its power is on, and it shall be off"}
		case after.Sealed.Restart:
			return next{bos.NextPowerOffGraceful, "its power is on, and it shall restart"}
		}
		return next{bos.NextPowerOffGraceful, "its power is on, and it is not known to run what it shall boot"}
	case bos.StatusConfiguring:
		if n.Config.Desired == c.DesiredState.Value().Configuration.Value() {
			return next{bos.NextConfigure, "it runs what it shall boot, and CFS is configuring it"}
		}
		return next{bos.NextConfigure, "it runs what it shall boot, and CFS is to configure it"}
	case bos.StatusPowerOnCalled:
		return next{bos.NextWaitForReport, "it was switched on, and has not reported what it runs"}
	case bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled:
		return next{bos.NextPowerOffForceful, "it was told to shut down"}
	case bos.StatusStable:
		if c.WantsOff() {
			return next{bos.NextNone, "its power is off already"}
		}
		return next{bos.NextNone, "it runs what it shall boot already"}
	case bos.StatusOnHold, bos.StatusFailed:
	}
	if text := c.Error.Value(); text != "" {
		return next{bos.NextNone, text}
	}
	return next{bos.NextNone, "its power may be about to change; it is looked at again soon"}
}

// takenOver are the nodes that other sessions drive.
func (in *DryRunInput) takenOver(ids []string) []bos.TakenOver {
	if in.Session.Stage {
		return []bos.TakenOver{}
	}
	groups := map[bos.SessionKey][]string{}
	for _, id := range ids {
		rec := in.Records[id]
		by := rec.OwnSession()
		if by.Name == "" || !rec.Component.Enabled.Value() || !in.Running(by) {
			continue
		}
		groups[by] = append(groups[by], id)
	}
	hidden := groups[bos.SessionKey{}]
	for by, members := range groups {
		// A tenant is told no names that are not its own.
		if in.Session.Tenant != "" && by.Tenant != in.Session.Tenant {
			hidden = append(hidden, members...)
			delete(groups, by)
		}
	}
	if len(hidden) > 0 {
		groups[bos.SessionKey{}] = hidden
	}
	out := make([]bos.TakenOver, 0, len(groups))
	for by, members := range groups {
		out = append(out, bos.TakenOver{Session: by.Name, Tenant: by.Tenant, Count: len(members), Nodes: xname.Fold(members)})
	}
	slices.SortFunc(out, func(a, b bos.TakenOver) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Session, b.Session))
	})
	return out
}

// racks counts the cabinets that nodes are in.
func racks(ids []string) int {
	seen := bos.Set{}
	for _, id := range ids {
		if cabinet, _, ok := strings.Cut(id, "c"); ok && xname.IsNode(id) {
			seen.Add(cabinet)
		}
	}
	return len(seen)
}

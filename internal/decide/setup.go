// SPDX-License-Identifier: MIT

package decide

import (
	"fmt"
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/xname"
)

// The errors with which set-up ends a session that has no nodes.
const (
	TextNoNodes     = "No nodes were found to act upon."
	TextNoneKnown   = "All nodes found to act upon do not exist as BOS components"
	textForeignNode = "The session template includes nodes which do not exist or are not available to this tenant: "
)

// Site is what set-up asked the services about the nodes of a session.
type Site struct {
	Inventory bos.Inventory
	// Nodes are the candidates that HSM knows.
	Nodes map[string]HSMNode
	// Locked are the nodes locked in HSM.
	Locked bos.Set
	// Tenant are the nodes of the session's tenant; nil if it has none.
	Tenant bos.Set
}

// HSMNode is what HSM says of a node.
type HSMNode struct {
	Arch    string
	Enabled bool
}

// Candidates returns the nodes that a boot set names, before any filter:
// node_list, the members of its groups, and the nodes with one of its roles.
// Unknown groups and roles are warnings; a node of the list that is not the
// tenant's is an error.
func Candidates(set *bos.BootSet, site Site) (nodes bos.Set, warnings []string, err error) {
	nodes = bos.Set{}
	var foreign []string
	for _, id := range set.NodeList.Value() {
		if site.Tenant != nil && !site.Tenant.Has(id) && !slices.Contains(foreign, id) {
			foreign = append(foreign, id)
		}
		nodes.Add(id)
	}
	if foreign != nil {
		slices.SortFunc(foreign, xname.Compare)
		return nil, nil, bos.Errorf(bos.CodeInvalid, "%s%s", textForeignNode, strings.Join(foreign, ","))
	}
	add := func(kind string, known map[string]bos.Set, names []string) {
		for _, name := range names {
			members, ok := known[name]
			if !ok {
				warnings = append(warnings, fmt.Sprintf("HSM knows no %s %q", kind, name))
			}
			for id := range members {
				nodes.Add(id)
			}
		}
	}
	add("group", site.Inventory.Groups, set.NodeGroups.Value())
	add("role", site.Inventory.Roles, set.NodeRolesGroups.Value())
	return nodes, warnings, nil
}

// Excluded is a node that a boot set names and on which the session does not
// act.
type Excluded struct {
	ID     string
	Reason bos.ExclusionReason
}

// Sift sorts the candidates of a boot set into the nodes that a session acts
// upon and those that it leaves out, which is why: those within the limit, known
// to HSM and not locked there, the tenant's, of the boot set's architecture, and
// enabled in HSM unless the session includes others. Both come in order.
func Sift(s *bos.Session, set *bos.BootSet, limit bos.Limit, candidates bos.Set, site Site) (nodes []string, out []Excluded) {
	within := limit.Apply(candidates, site.Inventory)
	for id := range candidates {
		info, known := site.Nodes[id]
		var reason bos.ExclusionReason
		switch {
		case !within.Has(id):
			reason = bos.ExcludedNotInLimit
		case !known:
			reason = bos.ExcludedNotInHSM
		case site.Locked.Has(id):
			reason = bos.ExcludedLocked
		case site.Tenant != nil && !site.Tenant.Has(id):
			reason = bos.ExcludedOtherTenant
		case !matchesArch(set.ArchOrDefault(), info.Arch):
			reason = bos.ExcludedWrongArch
		case !info.Enabled && !s.IncludeDisabled:
			reason = bos.ExcludedDisabled
		default:
			nodes = append(nodes, id)
			continue
		}
		out = append(out, Excluded{id, reason})
	}
	sortIDs(nodes)
	slices.SortFunc(out, func(a, b Excluded) int { return xname.Compare(a.ID, b.ID) })
	return nodes, out
}

// matchesArch compares a boot set's architecture with a node's: X86 also takes
// nodes of unknown architecture (missing, empty, or the word in any letter
// case), Unknown takes only those, the others are exact.
func matchesArch(want bos.Arch, arch string) bool {
	unknown := arch == "" || strings.EqualFold(arch, string(bos.ArchUnknown))
	switch want {
	case bos.ArchX86:
		return unknown || arch == string(bos.ArchX86)
	case bos.ArchUnknown:
		return unknown
	case bos.ArchARM, bos.ArchOther:
	}
	return arch == string(want)
}

// BootSetPlan are the nodes of a boot set, the state that they shall get, and
// the nodes that are left out. One without nodes has no target.
type BootSetPlan struct {
	Name     string
	Nodes    []string
	Target   bos.Target
	Excluded []Excluded
}

// planChunk is how many nodes one chunk of a stored plan names.
const planChunk = 2000

// Plan joins the boot sets of a session, in template order: a node in several
// gets the last one's state. It comes in chunks that fit into the store.
func Plan(uid string, sets []BootSetPlan) []bos.PlanChunk {
	target := map[string]int{}
	for i, set := range sets {
		for _, id := range set.Nodes {
			target[id] = i
		}
	}
	all := make([]string, 0, len(target))
	for id := range target {
		all = append(all, id)
	}
	sortIDs(all)
	var chunks []bos.PlanChunk
	for _, ids := range batches(all, planChunk) {
		chunk := bos.PlanChunk{UID: uid}
		index := map[int]int{}
		for _, id := range ids {
			i, ok := index[target[id]]
			if !ok {
				i = len(chunk.Targets)
				index[target[id]] = i
				chunk.Targets = append(chunk.Targets, sets[target[id]].Target)
			}
			chunk.Nodes = append(chunk.Nodes, bos.PlannedNode{ID: id, Target: i})
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

// OffTarget is the state that a shutdown gives to its nodes.
func OffTarget() bos.Target { return bos.Target{BootArtifacts: bos.EmptyBootArtifacts()} }

// SetUp writes a session's target on a node: as its desired state, or, for a
// staged session, as its staged state. The record carries the session's UID, by
// which a set-up that is carried on knows what it has done.
func SetUp(w bos.Write, s *bos.Session, uid string, target bos.Target, old bos.Record) bos.Record {
	w.Tenant = s.Tenant
	patch := bos.Component{Error: bos.Some("")}
	if s.Stage {
		patch.StagedState = bos.Some(bos.StagedState{
			BootArtifacts: bos.Some(target.BootArtifacts),
			Configuration: bos.Some(target.Configuration),
			Session:       bos.Some(s.Name),
		})
		rec := w.Patch(old, patch)
		rec.Sealed.StagedOwner, rec.Sealed.StagedOperation = s.Tenant, s.Operation
		rec.Sealed.Plan = uid
		rec.Join(s.Key())
		return rec
	}
	desired := bos.DesiredState{
		BootArtifacts: bos.Some(target.BootArtifacts),
		Configuration: bos.Some(target.Configuration),
	}
	if s.Operation == bos.OperationShutdown {
		desired = bos.EmptyDesiredState()
	}
	if s.Operation == bos.OperationReboot {
		patch.ActualState = bos.Some(bos.EmptyActualState())
	}
	patch.DesiredState = bos.Some(desired)
	patch.Session = bos.Some(s.Name)
	patch.Enabled = bos.Some(true)
	patch.LastAction = bos.Some(bos.LastAction{Action: bos.Some(bos.ActionSessionSetup)})
	rec := w.Patch(old, patch)
	rec.Sealed.Owner = s.Tenant
	rec.Sealed.Plan = uid
	rec.Sealed.Restart = s.Operation == bos.OperationReboot
	rec.Sealed.Wait = nil
	w.Leave(&old, &rec)
	rec.Join(s.Key())
	return rec
}

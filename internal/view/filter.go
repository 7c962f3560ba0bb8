// SPDX-License-Identifier: MIT

package view

import (
	"slices"
	"strings"

	"bos/internal/bos"
)

// Filter narrows lists of components; conditions are ANDed, zero values filter
// nothing.
type Filter struct {
	// IDs are the only ids wanted, if it is present; it may be empty.
	IDs bos.Opt[[]string]
	// Session and StagedSession are bare names, of any tenant.
	Session, StagedSession string
	Enabled                bos.Opt[bool]
	Phase                  bos.Phase
	Statuses               []string
	// Within are the only nodes that may be shown, if it is not nil.
	Within bos.Set
	// StartAfter and PageSize page through the list; a page size of 0 is all.
	StartAfter string
	PageSize   int
}

// Components returns the components that pass a filter, by id, as they were at
// one revision.
func (v *View) Components(f Filter) []*Node {
	nodes, _ := v.ComponentsAt(f)
	return nodes
}

// ComponentsAt is Components that also returns the tag of what the components
// were at the time.
func (v *View) ComponentsAt(f Filter) ([]*Node, Tag) {
	q := newQuery(f)
	v.mu.RLock()
	if v.nodes.sorted() {
		defer v.mu.RUnlock()
		return v.answer(q), v.tag(v.changed.components)
	}
	v.mu.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nodes.sort()
	return v.answer(q), v.tag(v.changed.components)
}

// query is a filter prepared for looking at many nodes.
type query struct {
	Filter
	ids  bos.Set
	open bool
}

func newQuery(f Filter) query {
	q := query{Filter: f, open: f.isOpen()}
	if wanted, ok := f.IDs.Get(); ok {
		q.ids = bos.NewSet(wanted...)
	}
	return q
}

// scanShare is how much smaller than the fleet an index must be to be worth the
// sorting: a look at all in their order is quick.
const scanShare = 4

// answer returns the page of nodes that a query asks for; they are in order and
// the lock is held. A query that is confined to some nodes never looks at the
// whole fleet: what others have is not to cost who asks.
func (v *View) answer(q query) []*Node {
	c := v.nodes.narrowest(q)
	if q.Within == nil && c.size >= len(v.nodes.order)/scanShare {
		v.visit(len(v.nodes.order))
		return v.nodes.scan(q)
	}
	v.visit(len(c.sets) + c.size)
	return page(q, v.nodes.collect(c, q))
}

// collect returns those of a choice that match, in order.
func (n *nodes) collect(c choice, q query) []*slot {
	var out []*slot
	for _, set := range c.sets {
		for s := range set {
			if q.matches(s.node) {
				out = append(out, s)
			}
		}
	}
	for id := range c.ids {
		if s := n.byID[id]; s != nil && q.matches(s.node) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *slot) int { return a.rank - b.rank })
	return out
}

// page cuts a list in order down to the page asked for.
func page(q query, all []*slot) []*Node {
	if q.StartAfter != "" {
		all = all[after(all, q.StartAfter):]
	}
	if q.PageSize > 0 && len(all) > q.PageSize {
		all = all[:q.PageSize]
	}
	out := make([]*Node, len(all))
	for i, s := range all {
		out[i] = s.node
	}
	return out
}

// scan picks a page from all nodes in order.
func (n *nodes) scan(q query) []*Node {
	if q.open {
		return page(q, n.order)
	}
	order := n.order
	if q.StartAfter != "" {
		order = order[after(order, q.StartAfter):]
	}
	var out []*Node
	for _, s := range order {
		if q.matches(s.node) {
			out = append(out, s.node)
		}
		if q.PageSize > 0 && len(out) == q.PageSize {
			break
		}
	}
	return out
}

// after returns the index of the first node behind an id.
func after(sorted []*slot, id string) int {
	i, found := slices.BinarySearchFunc(sorted, id, func(s *slot, id string) int { return strings.Compare(s.node.ID(), id) })
	if found {
		i++
	}
	return i
}

// isOpen reports whether every node passes.
func (f Filter) isOpen() bool {
	return !f.IDs.IsSet() && f.Session == "" && f.StagedSession == "" && !f.Enabled.IsSet() &&
		f.Phase == "" && len(f.Statuses) == 0 && f.Within == nil
}

// choice is where all nodes are that can pass: in some indexes, or among some
// ids.
type choice struct {
	sets []slots
	ids  bos.Set
	size int
}

// narrowest returns the smallest choice that a query allows; one as large as the
// fleet, with nothing in it, if that is all nodes.
func (n *nodes) narrowest(q query) choice {
	best := choice{size: len(n.order)}
	if q.Within != nil {
		best = choice{ids: q.Within, size: len(q.Within)}
	}
	offer := func(sets ...slots) {
		total := 0
		for _, s := range sets {
			total += len(s)
		}
		if total < best.size {
			best = choice{sets: sets, size: total}
		}
	}
	// A name that many tenants use may have more owners than the one who asks
	// has nodes.
	few := func(owners int) bool { return q.Within == nil || owners <= len(q.Within) }
	if q.Session != "" && few(len(n.sessionNames[q.Session])) {
		offer(setsOf(n.bySession, n.sessionNames, q.Session)...)
	}
	if q.StagedSession != "" && few(len(n.stageNames[q.StagedSession])) {
		offer(setsOf(n.byStage, n.stageNames, q.StagedSession)...)
	}
	if on, ok := q.Enabled.Get(); ok && on {
		offer(n.enabled)
	} else if ok {
		offer(n.disabled)
	}
	if len(q.Statuses) > 0 {
		var sets []slots
		for _, s := range slices.Compact(slices.Sorted(slices.Values(q.Statuses))) {
			if set := n.byStatus[bos.StatusName(s)]; set != nil {
				sets = append(sets, set)
			}
		}
		offer(sets...)
	}
	if q.ids != nil && len(q.ids) < best.size {
		best = choice{ids: q.ids, size: len(q.ids)}
	}
	return best
}

func setsOf(index map[bos.SessionKey]slots, known names, name string) []slots {
	var sets []slots
	for key := range known[name] {
		sets = append(sets, index[key])
	}
	return sets
}

func (q query) matches(n *Node) bool {
	c := &n.Record.Component
	if q.Within != nil && !q.Within.Has(c.ID) {
		return false
	}
	if q.ids != nil {
		if !q.ids.Has(c.ID) {
			return false
		}
	}
	if want, ok := q.Enabled.Get(); ok {
		if on, set := c.Enabled.Get(); !set || on != want {
			return false
		}
	}
	if q.Session != "" && c.Session.Value() != q.Session {
		return false
	}
	if q.StagedSession != "" && c.StagedSession() != q.StagedSession {
		return false
	}
	if q.Phase != "" && c.Status.Value().Phase.Value() != q.Phase {
		return false
	}
	return len(q.Statuses) == 0 || slices.Contains(q.Statuses, string(n.Status))
}

// SPDX-License-Identifier: MIT

package view

import (
	"slices"
	"strings"

	"bos/internal/bos"
)

// Node is a component at one revision. It never changes.
type Node struct {
	Record *bos.Record
	Status bos.StatusName
	// JSON is the component as GET shows it.
	JSON []byte
}

// ID returns the component's id.
func (n *Node) ID() string { return n.Record.Component.ID }

// nodes holds the components and their indexes. An index holds ids, so that a
// change touches only those in which the node changes place.
type nodes struct {
	byID map[string]*Node
	// order is by id (bytes); stale says that nodes came or went since.
	order []*Node
	stale bool

	bySession map[bos.SessionKey]ids
	byStage   map[bos.SessionKey]ids
	// driven counts the enabled components of each session, awaited those that
	// wait for its staged state to be applied.
	driven, awaited map[bos.SessionKey]int
	byStatus        map[bos.StatusName]ids
	enabled         ids
	disabled        ids
	// sessionNames and stageNames find the owners of a bare session name.
	sessionNames names
	stageNames   names
}

type ids map[string]struct{}

// names counts for each session name whose sessions of that name have nodes.
type names map[string]map[bos.SessionKey]struct{}

func newNodes() nodes {
	return nodes{
		byID:         map[string]*Node{},
		bySession:    map[bos.SessionKey]ids{},
		byStage:      map[bos.SessionKey]ids{},
		driven:       map[bos.SessionKey]int{},
		awaited:      map[bos.SessionKey]int{},
		byStatus:     map[bos.StatusName]ids{},
		enabled:      ids{},
		disabled:     ids{},
		sessionNames: names{},
		stageNames:   names{},
	}
}

// put replaces a node (nil takes it out) and returns what was there.
func (n *nodes) put(id string, next *Node) (old *Node) {
	old = n.byID[id]
	move(n.bySession, n.sessionNames, sessionOf(old), sessionOf(next), id)
	move(n.byStage, n.stageNames, stageOf(old), stageOf(next), id)
	if was, is := statusOf(old), statusOf(next); was != is || old == nil || next == nil {
		if old != nil {
			drop(n.byStatus, was, id)
		}
		if next != nil {
			add(n.byStatus, is, id)
		}
	}
	n.moveEnabled(old, next, id)
	count(n.driven, drivenBy(old), drivenBy(next))
	count(n.awaited, awaitedBy(old), awaitedBy(next))
	if next == nil {
		delete(n.byID, id)
	} else {
		n.byID[id] = next
	}
	n.reorder(old, next, id)
	return old
}

func (n *nodes) moveEnabled(old, next *Node, id string) {
	if old != nil {
		delete(n.enabled, id)
		delete(n.disabled, id)
	}
	if next == nil {
		return
	}
	if on, ok := next.Record.Component.Enabled.Get(); ok && on {
		n.enabled[id] = struct{}{}
	} else if ok {
		n.disabled[id] = struct{}{}
	}
}

func (n *nodes) reorder(old, next *Node, id string) {
	if n.stale {
		return
	}
	if old == nil || next == nil {
		n.stale = old != next
		return
	}
	if i, found := slices.BinarySearchFunc(n.order, id, compareID); found {
		n.order[i] = next
	}
}

func compareID(n *Node, id string) int { return strings.Compare(n.ID(), id) }

// sort restores the order by id; the view's lock is held for writing.
func (n *nodes) sort() {
	if !n.stale {
		return
	}
	n.order = make([]*Node, 0, len(n.byID))
	for _, node := range n.byID {
		n.order = append(n.order, node)
	}
	slices.SortFunc(n.order, func(a, b *Node) int { return strings.Compare(a.ID(), b.ID()) })
	n.stale = false
}

func sessionOf(n *Node) bos.SessionKey {
	if n == nil {
		return bos.SessionKey{}
	}
	return n.Record.OwnSession()
}

// stageOf returns the session that staged a state on the node, applied or not.
func stageOf(n *Node) bos.SessionKey {
	if n == nil {
		return bos.SessionKey{}
	}
	return bos.SessionKey{Tenant: n.Record.Sealed.StagedOwner, Name: n.Record.Component.StagedSession()}
}

// drivenBy returns the session that drives the node at the moment.
func drivenBy(n *Node) bos.SessionKey {
	if n == nil || !n.Record.Component.Enabled.Value() {
		return bos.SessionKey{}
	}
	return n.Record.OwnSession()
}

// awaitedBy returns the session that waits for its staged state to be applied
// on the node.
func awaitedBy(n *Node) bos.SessionKey {
	if n == nil {
		return bos.SessionKey{}
	}
	return n.Record.AwaitedStage()
}

// count moves one from a session's counter to another's. A session without a
// name is none.
func count(counters map[bos.SessionKey]int, from, to bos.SessionKey) {
	if from == to {
		return
	}
	if from.Name != "" {
		if counters[from]--; counters[from] == 0 {
			delete(counters, from)
		}
	}
	if to.Name != "" {
		counters[to]++
	}
}

func statusOf(n *Node) bos.StatusName {
	if n == nil {
		return ""
	}
	return n.Status
}

// move takes a node from one session's index to another's. A session without a
// name is none.
func move(index map[bos.SessionKey]ids, known names, from, to bos.SessionKey, id string) {
	if from == to {
		return
	}
	if from.Name != "" {
		drop(index, from, id)
		if index[from] == nil {
			delete(known[from.Name], from)
			if len(known[from.Name]) == 0 {
				delete(known, from.Name)
			}
		}
	}
	if to.Name != "" {
		add(index, to, id)
		if known[to.Name] == nil {
			known[to.Name] = map[bos.SessionKey]struct{}{}
		}
		known[to.Name][to] = struct{}{}
	}
}

func add[K comparable](index map[K]ids, key K, id string) {
	set := index[key]
	if set == nil {
		set = ids{}
		index[key] = set
	}
	set[id] = struct{}{}
}

func drop[K comparable](index map[K]ids, key K, id string) {
	set := index[key]
	delete(set, id)
	if len(set) == 0 {
		delete(index, key)
	}
}

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
	v.sortNodes()
	q := newQuery(f)
	v.mu.RLock()
	defer v.mu.RUnlock()
	if sets, ok := v.nodes.narrowest(q); ok {
		for _, set := range sets {
			v.visit(1 + len(set))
		}
		return q.page(v.nodes.pick(sets, q))
	}
	v.visit(len(v.nodes.byID))
	if v.nodes.stale {
		// A node came or went since it was sorted.
		all := make(ids, len(v.nodes.byID))
		for id := range v.nodes.byID {
			all[id] = struct{}{}
		}
		return q.page(v.nodes.pick([]ids{all}, q))
	}
	return q.scan(v.nodes.order)
}

// sortNodes restores the order of the nodes if one came or went.
func (v *View) sortNodes() {
	v.mu.RLock()
	stale := v.nodes.stale
	v.mu.RUnlock()
	if stale {
		v.mu.Lock()
		v.nodes.sort()
		v.mu.Unlock()
	}
}

// query is a filter prepared for looking at many nodes.
type query struct {
	Filter
	ids  ids
	open bool
}

func newQuery(f Filter) query {
	q := query{Filter: f, open: f.isOpen()}
	if wanted, ok := f.IDs.Get(); ok {
		q.ids = make(ids, len(wanted))
		for _, id := range wanted {
			q.ids[id] = struct{}{}
		}
	}
	return q
}

// scan picks a page from all nodes in order.
func (q query) scan(order []*Node) []*Node {
	if q.StartAfter != "" {
		order = order[after(order, q.StartAfter):]
	}
	if q.open {
		if q.PageSize > 0 {
			order = order[:min(len(order), q.PageSize)]
		}
		return slices.Clone(order)
	}
	var out []*Node
	for _, node := range order {
		if q.matches(node) {
			out = append(out, node)
		}
		if q.PageSize > 0 && len(out) == q.PageSize {
			break
		}
	}
	return out
}

// after returns the index of the first node behind an id.
func after(sorted []*Node, id string) int {
	i, found := slices.BinarySearchFunc(sorted, id, compareID)
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

// narrowest returns the index sets that hold every node that can pass, the
// smallest choice that the filter allows; false if no index helps.
func (n *nodes) narrowest(f query) ([]ids, bool) {
	var best []ids
	size := len(n.byID) + 1
	offer := func(sets ...ids) {
		total := 0
		for _, s := range sets {
			total += len(s)
		}
		if total < size {
			best, size = sets, total
		}
	}
	if f.ids != nil {
		offer(f.ids)
	}
	// A name that many tenants use may have more owners than the one who asks
	// has nodes.
	few := func(owners int) bool { return f.Within == nil || owners <= len(f.Within) }
	if f.Session != "" && few(len(n.sessionNames[f.Session])) {
		offer(setsOf(n.bySession, n.sessionNames, f.Session)...)
	}
	if f.StagedSession != "" && few(len(n.stageNames[f.StagedSession])) {
		offer(setsOf(n.byStage, n.stageNames, f.StagedSession)...)
	}
	if on, ok := f.Enabled.Get(); ok && on {
		offer(n.enabled)
	} else if ok {
		offer(n.disabled)
	}
	if len(f.Statuses) > 0 {
		var sets []ids
		for _, s := range slices.Compact(slices.Sorted(slices.Values(f.Statuses))) {
			if set := n.byStatus[bos.StatusName(s)]; set != nil {
				sets = append(sets, set)
			}
		}
		offer(sets...)
	}
	if f.Within != nil {
		offer(ids(f.Within))
	}
	return best, size <= len(n.byID)
}

func setsOf(index map[bos.SessionKey]ids, known names, name string) []ids {
	var sets []ids
	for key := range known[name] {
		sets = append(sets, index[key])
	}
	return sets
}

func (n *nodes) pick(sets []ids, f query) []*Node {
	var out []*Node
	for _, set := range sets {
		for id := range set {
			if node := n.byID[id]; node != nil && f.matches(node) {
				out = append(out, node)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Node) int { return strings.Compare(a.ID(), b.ID()) })
	return out
}

// page cuts a sorted list down to the page asked for.
func (q query) page(all []*Node) []*Node {
	if q.StartAfter != "" {
		all = all[after(all, q.StartAfter):]
	}
	if q.PageSize > 0 && len(all) > q.PageSize {
		all = all[:q.PageSize]
	}
	return all
}

func (q query) matches(n *Node) bool {
	c := &n.Record.Component
	if q.Within != nil && !q.Within.Has(c.ID) {
		return false
	}
	if q.ids != nil {
		if _, wanted := q.ids[c.ID]; !wanted {
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

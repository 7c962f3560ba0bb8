// SPDX-License-Identifier: MIT

package view

import (
	"slices"
	"strings"

	"bos/internal/bos"
)

// nodes holds the components and their indexes. An index holds slots, so that a
// change touches only those in which the node changes place.
type nodes struct {
	byID map[string]*slot
	// order is by id (bytes). fresh are those that came since it was last put in
	// order; gone says that others went.
	order []*slot
	fresh []*slot
	gone  bool

	bySession map[bos.SessionKey]slots
	byStage   map[bos.SessionKey]slots
	// driven counts the enabled components of each session, awaited those that
	// wait for its staged state to be applied.
	driven, awaited map[bos.SessionKey]int
	byStatus        map[bos.StatusName]slots
	enabled         slots
	disabled        slots
	// sessionNames and stageNames find the owners of a bare session name.
	sessionNames names
	stageNames   names
}

// slot is the place of one id for as long as there is a component.
type slot struct {
	// node is nil once the component is gone.
	node *Node
	// rank is the place in the order.
	rank int
}

type slots map[*slot]struct{}

// names counts for each session name whose sessions of that name have nodes.
type names map[string]map[bos.SessionKey]struct{}

func newNodes() nodes {
	return nodes{
		byID:         map[string]*slot{},
		bySession:    map[bos.SessionKey]slots{},
		byStage:      map[bos.SessionKey]slots{},
		driven:       map[bos.SessionKey]int{},
		awaited:      map[bos.SessionKey]int{},
		byStatus:     map[bos.StatusName]slots{},
		enabled:      slots{},
		disabled:     slots{},
		sessionNames: names{},
		stageNames:   names{},
	}
}

// get returns the node of an id, or nil.
func (n *nodes) get(id string) *Node {
	if s := n.byID[id]; s != nil {
		return s.node
	}
	return nil
}

// put replaces a node (nil takes it out) and returns what was there.
func (n *nodes) put(id string, next *Node) (old *Node) {
	s := n.byID[id]
	if s == nil {
		if next == nil {
			return nil
		}
		s = &slot{}
		n.byID[next.ID()] = s
		n.fresh = append(n.fresh, s)
	}
	old = s.node
	move(n.bySession, n.sessionNames, sessionOf(old), sessionOf(next), s)
	move(n.byStage, n.stageNames, stageOf(old), stageOf(next), s)
	if was, is := statusOf(old), statusOf(next); was != is || old == nil || next == nil {
		if old != nil {
			drop(n.byStatus, was, s)
		}
		if next != nil {
			add(n.byStatus, is, s)
		}
	}
	n.moveEnabled(old, next, s)
	count(n.driven, drivenBy(old), drivenBy(next))
	count(n.awaited, awaitedBy(old), awaitedBy(next))
	s.node = next
	if next == nil {
		delete(n.byID, id)
		n.gone = true
	}
	return old
}

func (n *nodes) moveEnabled(old, next *Node, s *slot) {
	was, is := n.enabledSet(old), n.enabledSet(next)
	if was != nil {
		delete(was, s)
	}
	if is != nil {
		is[s] = struct{}{}
	}
}

// enabledSet is the index that a node belongs to by its field enabled; nil if it
// has none.
func (n *nodes) enabledSet(node *Node) slots {
	if node == nil {
		return nil
	}
	on, ok := node.Record.Component.Enabled.Get()
	switch {
	case !ok:
		return nil
	case on:
		return n.enabled
	}
	return n.disabled
}

func compareIDs(a, b *slot) int { return strings.Compare(a.node.ID(), b.node.ID()) }

func (n *nodes) sorted() bool { return len(n.fresh) == 0 && !n.gone }

// sort restores the order by id; the view's lock is held for writing. Those that
// came are sorted and merged with the others.
func (n *nodes) sort() {
	if n.sorted() {
		return
	}
	there := func(s *slot) bool { return s.node == nil }
	former, fresh := slices.DeleteFunc(n.order, there), slices.DeleteFunc(n.fresh, there)
	slices.SortFunc(fresh, compareIDs)
	order := make([]*slot, 0, len(former)+len(fresh))
	for len(former) > 0 && len(fresh) > 0 {
		if compareIDs(former[0], fresh[0]) < 0 {
			order, former = append(order, former[0]), former[1:]
		} else {
			order, fresh = append(order, fresh[0]), fresh[1:]
		}
	}
	n.order = append(append(order, former...), fresh...)
	for i, s := range n.order {
		s.rank = i
	}
	n.fresh, n.gone = nil, false
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
func move(index map[bos.SessionKey]slots, known names, from, to bos.SessionKey, s *slot) {
	if from == to {
		return
	}
	if from.Name != "" {
		drop(index, from, s)
		if index[from] == nil {
			delete(known[from.Name], from)
			if len(known[from.Name]) == 0 {
				delete(known, from.Name)
			}
		}
	}
	if to.Name != "" {
		add(index, to, s)
		if known[to.Name] == nil {
			known[to.Name] = map[bos.SessionKey]struct{}{}
		}
		known[to.Name][to] = struct{}{}
	}
}

func add[K comparable](index map[K]slots, key K, s *slot) {
	set := index[key]
	if set == nil {
		set = slots{}
		index[key] = set
	}
	set[s] = struct{}{}
}

func drop[K comparable](index map[K]slots, key K, s *slot) {
	set := index[key]
	delete(set, s)
	if len(set) == 0 {
		delete(index, key)
	}
}

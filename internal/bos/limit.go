// SPDX-License-Identifier: MIT

package bos

import "strings"

// Set is a set of node ids.
type Set map[string]struct{}

// NewSet makes a set of ids.
func NewSet(ids ...string) Set {
	s := make(Set, len(ids))
	for _, id := range ids {
		s[id] = struct{}{}
	}
	return s
}

// Has reports whether an id is in the set.
func (s Set) Has(id string) bool {
	_, ok := s[id]
	return ok
}

// Add puts ids into the set.
func (s Set) Add(ids ...string) {
	for _, id := range ids {
		s[id] = struct{}{}
	}
}

// Inventory is what the names in a limit or a boot set stand for. Roles holds
// both Role and Role_SubRole.
type Inventory struct {
	Roles      map[string]Set
	Partitions map[string]Set
	Groups     map[string]Set
}

// Lookup returns the nodes that a name stands for: a role, else a partition,
// else a group. Letter case counts.
func (v Inventory) Lookup(name string) (Set, bool) {
	for _, kind := range []map[string]Set{v.Roles, v.Partitions, v.Groups} {
		if nodes, ok := kind[name]; ok {
			return nodes, true
		}
	}
	return nil, false
}

// Limit narrows a session to nodes, groups or roles. The zero value narrows
// nothing.
type Limit struct {
	items []limitItem
}

type limitItem struct {
	op   byte // '|', '&' or '!'
	name string
}

// ParseLimit reads a limit: comma-separated items, each one OR, with & in
// front AND, with ! in front NOT. One operator is read per item; blanks around
// items are dropped. An empty item is an error, an operator alone is not: it
// stands before a name that nothing has. An empty limit is none.
func ParseLimit(s string) (Limit, error) {
	if s == "" {
		return Limit{}, nil
	}
	var l Limit
	for item := range strings.SplitSeq(s, ",") {
		name := strings.TrimSpace(item)
		if name == "" {
			return Limit{}, Errorf(CodeInvalid, "limit: an item is empty; items are separated by single commas")
		}
		op := byte('|')
		if name[0] == '&' || name[0] == '!' {
			op, name = name[0], strings.TrimSpace(name[1:])
		}
		l.items = append(l.items, limitItem{op, name})
	}
	return l, nil
}

// LimitNIDs returns the items of a limit that look like node ids (nid000001):
// the API asks for xnames.
func LimitNIDs(s string) []string {
	var nids []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if strings.HasPrefix(strings.TrimLeft(item, "&!"), "nid") {
			nids = append(nids, item)
		}
	}
	return nids
}

// IsZero reports whether the limit narrows nothing.
func (l Limit) IsZero() bool { return len(l.items) == 0 }

// Apply returns the nodes of a boot set that the limit selects. Items are read
// left to right, beginning with nothing; unknown names are taken for nodes and
// select nothing unless the boot set has them.
func (l Limit) Apply(nodes Set, inventory Inventory) Set {
	if l.IsZero() {
		return nodes
	}
	selected := Set{}
	for _, item := range l.items {
		named := item.nodes(nodes, inventory)
		switch item.op {
		case '&':
			for id := range selected {
				if !named.Has(id) {
					delete(selected, id)
				}
			}
		case '!':
			for id := range named {
				delete(selected, id)
			}
		default:
			for id := range named {
				// Only the boot set's nodes are kept in the end.
				if nodes.Has(id) {
					selected[id] = struct{}{}
				}
			}
		}
	}
	return selected
}

func (i limitItem) nodes(all Set, inventory Inventory) Set {
	if i.name == "all" || i.name == "*" {
		return all
	}
	if nodes, ok := inventory.Lookup(i.name); ok {
		return nodes
	}
	return NewSet(i.name)
}

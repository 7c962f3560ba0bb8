// SPDX-License-Identifier: MIT

package view

import (
	"slices"

	"bos/internal/bos"
)

// maxTombstones bounds how many deletions are remembered.
const maxTombstones = 8192

// graves remember what was deleted, so that who knows an older revision can be
// told.
type graves struct {
	list []tombstone
	// floor is the revision from which on nothing is forgotten.
	floor int64
}

type tombstone struct {
	revision int64
	// node is a component, or else session is one.
	node    string
	session bos.SessionKey
}

func (g *graves) add(t tombstone) {
	if len(g.list) >= maxTombstones {
		half := len(g.list) / 2
		g.floor = max(g.floor, g.list[half-1].revision)
		g.list = slices.Clone(g.list[half:])
	}
	g.list = append(g.list, t)
}

// Since is what has changed since a revision: the components and sessions that
// were written or deleted after it.
type Since struct {
	Nodes    []string
	Sessions []bos.SessionKey
}

// ChangedSince returns what has changed since a revision; false if so much was
// forgotten since then that nobody can say.
func (v *View) ChangedSince(revision int64) (Since, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if revision < v.graves.floor || revision < v.events.floor || revision > v.revision {
		return Since{}, false
	}
	var out Since
	for id, s := range v.nodes.byID {
		if s.node != nil && s.node.Record.Revision > revision {
			out.Nodes = append(out.Nodes, id)
		}
	}
	for _, rec := range v.sessions.list("") {
		if rec.Revision > revision {
			out.Sessions = append(out.Sessions, rec.Session.Key())
		}
	}
	for _, t := range v.graves.list {
		switch {
		case t.revision <= revision:
		case t.node != "":
			out.Nodes = append(out.Nodes, t.node)
		default:
			out.Sessions = append(out.Sessions, t.session)
		}
	}
	return out, true
}

// Floor returns the oldest revision of which [View.ChangedSince] knows.
func (v *View) Floor() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return max(v.graves.floor, v.events.floor)
}

// ComponentsRevision returns the revision at which a component last changed.
func (v *View) ComponentsRevision() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.changed.components
}

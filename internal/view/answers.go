// SPDX-License-Identifier: MIT

package view

import (
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/store"
)

// Visits returns how many documents and index entries the lists and sums asked
// for so far have looked at: what a question costs, whatever the machine.
func (v *View) Visits() int64 { return v.visits.Load() }

func (v *View) visit(n int) { v.visits.Add(int64(n)) }

// Node returns one component.
func (v *View) Node(id string) (*Node, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := v.nodes.get(id)
	return n, n != nil
}

// NodeAt is Node that also returns the tag of the component.
func (v *View) NodeAt(id string) (*Node, Tag, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := v.nodes.get(id)
	if n == nil {
		return nil, Tag{}, false
	}
	return n, v.tag(n.Record.Revision), true
}

// Record returns the record of one component, or nil.
func (v *View) Record(id string) *bos.Record {
	if n, ok := v.Node(id); ok {
		return n.Record
	}
	return nil
}

// Len returns how many components there are.
func (v *View) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.nodes.byID)
}

// Records returns the records of those of the ids that exist.
func (v *View) Records(list []string) []*bos.Record {
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.visit(len(list))
	out := make([]*bos.Record, 0, len(list))
	for _, id := range list {
		if n := v.nodes.get(id); n != nil {
			out = append(out, n.Record)
		}
	}
	return out
}

// SessionsOf returns the sessions that drive components, one for each id; none
// for a component that does not exist.
func (v *View) SessionsOf(list []string) []bos.SessionKey {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]bos.SessionKey, len(list))
	for i, id := range list {
		out[i] = sessionOf(v.nodes.get(id))
	}
	return out
}

// InStatus returns the ids of enabled components with one of some statuses.
func (v *View) InStatus(statuses ...bos.StatusName) []string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []string
	for _, s := range statuses {
		for at := range v.nodes.byStatus[s] {
			if at.node.Record.Component.Enabled.Value() {
				out = append(out, at.node.ID())
			}
		}
	}
	return out
}

// EnabledIDs returns the ids of all enabled components.
func (v *View) EnabledIDs() []string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]string, 0, len(v.nodes.enabled))
	for s := range v.nodes.enabled {
		out = append(out, s.node.ID())
	}
	return out
}

// StatusCounts counts the components by status.
func (v *View) StatusCounts() map[bos.StatusName]int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[bos.StatusName]int, len(v.nodes.byStatus))
	for s, set := range v.nodes.byStatus {
		out[s] = len(set)
	}
	return out
}

// Driven returns the components whose session is the given one, and how many
// wait for its staged state to be applied: the same session of the same tenant,
// nobody else's of that name.
func (v *View) Driven(key bos.SessionKey) (active []*bos.Record, staged int) {
	active, staged = v.drivenBy(key)
	// Not under the lock: a large session takes its time.
	slices.SortFunc(active, func(a, b *bos.Record) int { return strings.Compare(a.Component.ID, b.Component.ID) })
	return active, staged
}

func (v *View) drivenBy(key bos.SessionKey) (active []*bos.Record, staged int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	set := v.nodes.bySession[key]
	v.visit(len(set) + len(v.nodes.byStage[key]))
	active = make([]*bos.Record, 0, len(set))
	for s := range set {
		active = append(active, s.node.Record)
	}
	for s := range v.nodes.byStage[key] {
		if s.node.Record.AwaitedStage() == key {
			staged++
		}
	}
	return active, staged
}

// Busy reports whether a session still drives a node or waits for one: an
// enabled component of its own, or one that its staged state waits on.
func (v *View) Busy(key bos.SessionKey) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.nodes.driven[key] > 0 || v.nodes.awaited[key] > 0
}

// Session returns one session.
func (v *View) Session(key bos.SessionKey) (*bos.SessionRecord, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.sessions.get(key)
}

// Sessions returns the sessions of a tenant, or all if tenant is empty, by
// tenant and name, nobody's first.
func (v *View) Sessions(tenant string) []*bos.SessionRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := v.sessions.list(tenant)
	v.visit(len(list))
	return list
}

// SessionsIn returns the sessions in a state, by tenant and name. It looks at
// those alone: a site keeps thousands of complete sessions, and asks all the time
// for the few that are not.
func (v *View) SessionsIn(state bos.SessionState) []*bos.SessionRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := v.inState[state].list("")
	v.visit(len(list))
	return list
}

// Templates returns the templates of a tenant, or all if tenant is empty, by
// tenant and name, nobody's first.
func (v *View) Templates(tenant string) []*bos.TemplateRecord {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := v.templates.list(tenant)
	v.visit(len(list))
	return list
}

// Template returns one session template.
func (v *View) Template(key bos.TemplateKey) (*bos.TemplateRecord, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.templates.get(key)
}

// SavedStatus returns the extended status that was saved for a session, as
// JSON.
func (v *View) SavedStatus(key bos.SessionKey) ([]byte, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.statuses[key]
	return s, ok
}

// OpenSession reports whether there is a session that is not complete.
func (v *View) OpenSession(key bos.SessionKey) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.sessions.get(key)
	return ok && s.Session.Status.Status != bos.SessionComplete
}

// Stopped reports whether the session that drives a component is paused or
// being cancelled, so that nobody may act for the component.
func (v *View) Stopped(rec *bos.Record) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(v.stopped) == 0 {
		return false
	}
	_, stopped := v.stopped[rec.OwnSession()]
	return stopped
}

// Result returns the result that was stored when a session completed; false if
// there is none of this very session.
func (v *View) Result(s *bos.SessionRecord) (bos.Result, bool) {
	v.mu.RLock()
	data := v.results[s.Session.Key()]
	v.mu.RUnlock()
	if data == nil {
		return bos.Result{}, false
	}
	// What can't be read was not kept.
	stored, err := store.Decode[bos.StoredResult](store.KV{Value: data})
	return stored.Result, err == nil && stored.UID == s.Sealed.UID
}

// Roster returns the nodes of a session, each once, in no order: those that it
// was set up on, and those that it drives or is staged on for another reason.
func (v *View) Roster(s *bos.SessionRecord) []bos.Member {
	key := s.Session.Key()
	v.mu.RLock()
	defer v.mu.RUnlock()
	var chunks map[int]*bos.PlanChunk
	if s.Sealed.Setup != bos.SetupNew {
		chunks = v.plans[s.Sealed.UID]
	}
	driven, staged := v.nodes.bySession[key], v.nodes.byStage[key]
	v.visit(s.Sealed.Nodes + len(driven) + len(staged))
	out := make([]bos.Member, 0, max(s.Sealed.Nodes, len(driven)+len(staged)))
	seen := make(map[string]struct{}, cap(out))
	add := func(id string, node *Node, unknown bool) {
		if _, twice := seen[id]; twice {
			return
		}
		seen[id] = struct{}{}
		m := bos.Member{ID: id, Unknown: unknown}
		if node != nil {
			m.Record = node.Record
		}
		out = append(out, m)
	}
	for n := 0; n < s.Sealed.Chunks && chunks[n] != nil; n++ {
		for _, planned := range chunks[n].Nodes {
			add(planned.ID, v.nodes.get(planned.ID), planned.Unknown)
		}
	}
	for slot := range driven {
		add(slot.node.ID(), slot.node, false)
	}
	for slot := range staged {
		if slot.node.Record.AwaitedStage() == key {
			add(slot.node.ID(), slot.node, false)
		}
	}
	return out
}

// Plan returns the chunks of a session's plan in order, as many as there are.
func (v *View) Plan(uid string) []*bos.PlanChunk {
	v.mu.RLock()
	defer v.mu.RUnlock()
	chunks := v.plans[uid]
	var out []*bos.PlanChunk
	for n := 0; chunks[n] != nil; n++ {
		out = append(out, chunks[n])
	}
	return out
}

// OrphanPlans returns the UIDs of plans whose session is gone, each with the
// number of its chunks.
func (v *View) OrphanPlans() map[string]int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(v.plans) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, s := range v.sessions.list("") {
		known[s.Sealed.UID] = true
	}
	orphans := map[string]int{}
	for uid, chunks := range v.plans {
		if !known[uid] {
			last := 0
			for n := range chunks {
				last = max(last, n)
			}
			orphans[uid] = last + 1
		}
	}
	return orphans
}

// Lost returns the components that a running session was set up on and that are
// not its own any more. A staged session loses none: its nodes belong to whom
// they are applied for.
func (v *View) Lost(s *bos.SessionRecord) []*bos.Record {
	if s.Session.Stage || s.Session.Status.Status != bos.SessionRunning {
		return nil
	}
	key := s.Session.Key()
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.visit(s.Sealed.Nodes)
	chunks := v.plans[s.Sealed.UID]
	var lost []*bos.Record
	for n := 0; chunks[n] != nil; n++ {
		for _, planned := range chunks[n].Nodes {
			node := v.nodes.get(planned.ID)
			if node != nil && !planned.Unknown && node.Record.OwnSession() != key {
				lost = append(lost, node.Record)
			}
		}
	}
	return lost
}

// Members returns the components that a session was set up on, as its field
// components shows them: comma-separated, empty until it runs. A client's own
// text goes before what set-up found.
func (v *View) Members(s *bos.SessionRecord) string {
	if s.Sealed.Edited || s.Sealed.Setup != bos.SetupApplied {
		return s.Session.Components
	}
	var list []string
	for _, chunk := range v.Plan(s.Sealed.UID) {
		for _, node := range chunk.Nodes {
			if !node.Unknown {
				list = append(list, node.ID)
			}
		}
	}
	return strings.Join(list, ",")
}

// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"
)

// hsmCreate is POST /State/Components: it adds components, or overwrites what
// HSM says of those it has. New ones are records without hardware.
func (s *Site) hsmCreate(w http.ResponseWriter, q *req) {
	type record struct {
		ID, Type, State, Flag, Role, SubRole, Arch, Class string
		NID                                               int32
		Enabled                                           *bool
	}
	var in struct{ Components []record }
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	s.mu.Lock()
	detail := ""
	for _, r := range in.Components {
		typ, normal, ok := xnameType(r.ID)
		if !ok {
			detail = "couldn't validate components: Argument was not a valid xname ID"
			break
		}
		i, known := s.index[normal]
		if !known {
			i = int32(len(s.comps))
			s.index[normal] = i
			s.comps = append(s.comps, component{id: normal, typ: typ, flag: "OK", enabled: true})
		}
		c := &s.comps[i]
		c.gone = false
		set := func(field *string, kind, word string) {
			if known, ok := hsmWord(kind, word); ok {
				*field = known
			}
		}
		set(&c.state, "state", r.State)
		set(&c.flag, "flag", r.Flag)
		set(&c.role, "role", r.Role)
		set(&c.subRole, "subrole", r.SubRole)
		set(&c.arch, "arch", r.Arch)
		set(&c.class, "class", r.Class)
		if typ == typeNode && c.role == "" {
			c.role = roleCompute
		}
		if r.NID != 0 {
			c.nid = r.NID
		}
		if r.Enabled != nil {
			c.enabled = *r.Enabled
		}
	}
	s.mu.Unlock()
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// stateAllowed reports whether HSM lets a component go from one state to
// another by request; it silently ignores all other steps.
func stateAllowed(from, to string) bool {
	switch to {
	case stateOn:
		return from != stateReady && from != "Standby"
	case "Standby":
		return from == stateReady || from == "Standby" || from == "Unknown"
	case "Halt":
		return from == stateOn || from == stateReady || from == "Standby" || from == "Halt"
	}
	return true
}

// targets decodes the body into in and returns the components that a change
// names: the one in the path, or those of ids. Unknown ones are left out.
func (s *Site) targets(w http.ResponseWriter, q *req, in any, ids *[]string) ([]int32, bool) {
	if err := json.Unmarshal(q.body, in); err != nil {
		undecodable(w, err)
		return nil, false
	}
	if len(q.args) == 1 {
		*ids = q.args
	}
	if len(*ids) == 0 {
		problem(w, http.StatusBadRequest, "Missing IDs")
		return nil, false
	}
	q.call.Nodes = *ids
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int32
	for _, id := range *ids {
		_, normal, _ := xnameType(id)
		if i, ok := s.index[normal]; ok && !s.comps[i].gone {
			found = append(found, i)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), true
}

// hsmBulkState is PATCH of State and Flag, of one component or of many.
func (s *Site) hsmBulkState(w http.ResponseWriter, q *req) {
	var in struct {
		ComponentIDs []string
		State, Flag  string
	}
	found, ok := s.targets(w, q, &in, &in.ComponentIDs)
	if !ok {
		return
	}
	state, known := hsmWord("state", in.State)
	if !known {
		problem(w, http.StatusBadRequest, "Argument was not a valid HMS State")
		return
	}
	s.mu.Lock()
	s.setStates(found, state)
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// setStates moves components to a state where HSM allows it, and tells the
// subscribers of those that changed. The lock must be held.
func (s *Site) setStates(found []int32, state string) {
	var changed []int32
	for _, i := range found {
		c := &s.comps[i]
		if c.gone || c.state == state || !stateAllowed(c.state, state) {
			continue
		}
		c.state, c.flag = state, "OK"
		changed = append(changed, i)
	}
	s.notify(change{state: state}, changed)
}

// hsmBulkEnabled is PATCH of Enabled, of one component or of many.
func (s *Site) hsmBulkEnabled(w http.ResponseWriter, q *req) {
	var in struct {
		ComponentIDs []string
		Enabled      *bool
	}
	found, ok := s.targets(w, q, &in, &in.ComponentIDs)
	if !ok {
		return
	}
	if in.Enabled == nil {
		problem(w, http.StatusBadRequest, "Missing Enabled flag")
		return
	}
	s.mu.Lock()
	var changed []int32
	for _, i := range found {
		if s.comps[i].enabled != *in.Enabled {
			s.comps[i].enabled = *in.Enabled
			changed = append(changed, i)
		}
	}
	s.notify(change{enabled: in.Enabled}, changed)
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// hsmBulkRole is PATCH of Role and SubRole, of one component or of many.
func (s *Site) hsmBulkRole(w http.ResponseWriter, q *req) {
	var in struct {
		ComponentIDs  []string
		Role, SubRole string
	}
	found, ok := s.targets(w, q, &in, &in.ComponentIDs)
	if !ok {
		return
	}
	role, known := hsmWord("role", in.Role)
	sub, subKnown := hsmWord("subrole", in.SubRole)
	if !known || in.SubRole != "" && !subKnown {
		problem(w, http.StatusBadRequest, "Argument was not a valid HMS "+pick(known, "SubRole", "Role"))
		return
	}
	s.mu.Lock()
	var changed []int32
	for _, i := range found {
		if s.comps[i].role != role || s.comps[i].subRole != sub {
			s.comps[i].role, s.comps[i].subRole = role, sub
			changed = append(changed, i)
		}
	}
	s.notify(change{role: role, subRole: sub}, changed)
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

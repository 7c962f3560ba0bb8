// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// memberList is how HSM shows members.
type memberList struct {
	IDs []string `json:"ids"`
}

// groupBody is a group as HSM shows it.
type groupBody struct {
	Label       string     `json:"label"`
	Description string     `json:"description"`
	Tags        []string   `json:"tags,omitempty"`
	Exclusive   string     `json:"exclusiveGroup,omitempty"`
	Members     memberList `json:"members"`
}

// partitionBody is a partition as HSM shows it: no empty description.
type partitionBody struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Members     memberList `json:"members"`
}

// membershipBody is what one component is a member of.
type membershipBody struct {
	ID        string   `json:"id"`
	Groups    []string `json:"groupLabels"`
	Partition string   `json:"partitionName"`
}

// hsmGroups is GET /groups: a partition narrows the members, not the groups.
func (s *Site) hsmGroups(w http.ResponseWriter, q *req) {
	query := q.URL.Query()
	labels, parts := query["group"], query["partition"]
	s.mu.Lock()
	out := []groupBody{}
	within := membersOf(s.partitions, parts)
	for _, g := range s.groups {
		if len(labels) == 0 || slices.Contains(labels, g.label) {
			out = append(out, s.groupBody(g, within))
		}
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

func (s *Site) groupBody(g *group, within memberSet) groupBody {
	members := g.members
	if within != nil {
		members = slices.DeleteFunc(slices.Clone(members), func(i int32) bool { return !within[i] })
	}
	return groupBody{
		Label: g.label, Description: g.description, Tags: g.tags, Exclusive: g.exclusive,
		Members: memberList{s.ids(members)},
	}
}

// findGroup returns the group of this name, nil for none. The lock must be held.
func findGroup(groups []*group, label string) *group {
	i := slices.IndexFunc(groups, func(g *group) bool { return g.label == label })
	if i < 0 {
		return nil
	}
	return groups[i]
}

// hsmGroup is GET /groups/{label}.
func (s *Site) hsmGroup(w http.ResponseWriter, q *req) {
	label := strings.ToLower(q.args[0])
	s.mu.Lock()
	g := findGroup(s.groups, label)
	var out groupBody
	if g != nil {
		out = s.groupBody(g, membersOf(s.partitions, q.URL.Query()["partition"]))
	}
	s.mu.Unlock()
	if g == nil {
		problem(w, http.StatusNotFound, "No such group: "+q.args[0])
		return
	}
	reply(w, http.StatusOK, typeJSON, out)
}

// hsmGroupLabels is GET /groups/labels.
func (s *Site) hsmGroupLabels(w http.ResponseWriter, _ *req) {
	s.mu.Lock()
	out := labelsOf(s.groups)
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

func labelsOf(groups []*group) []string {
	out := []string{}
	for _, g := range groups {
		out = append(out, g.label)
	}
	return out
}

// hsmCreateGroup is POST /groups.
func (s *Site) hsmCreateGroup(w http.ResponseWriter, q *req) {
	var in groupBody
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	in.Label = strings.ToLower(in.Label)
	if status, detail := s.createGroup(&in); status != 0 {
		problem(w, status, detail)
		return
	}
	uri := "/hsm/v2/groups/" + in.Label
	w.Header().Set("Location", uri)
	reply(w, http.StatusCreated, typeJSON, []map[string]string{{"URI": uri}})
}

// createGroup adds a group, or returns the status and text of the refusal.
func (s *Site) createGroup(in *groupBody) (status int, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Label == "" {
		return http.StatusBadRequest, "group label is required"
	}
	if findGroup(s.groups, in.Label) != nil {
		return http.StatusConflict, "operation would conflict with an existing group that has the same label."
	}
	g := &group{label: in.Label, description: in.Description, tags: in.Tags, exclusive: in.Exclusive}
	for _, id := range in.Members.IDs {
		_, normal, _ := xnameType(id)
		i, ok := s.index[normal]
		if !ok || s.comps[i].gone {
			return http.StatusBadRequest, "linked component does not exist"
		}
		g.members = append(g.members, i)
	}
	s.groups = append(s.groups, g)
	return 0, ""
}

// hsmDeleteGroup is DELETE /groups/{label}.
func (s *Site) hsmDeleteGroup(w http.ResponseWriter, q *req) {
	label := strings.ToLower(q.args[0])
	s.mu.Lock()
	before := len(s.groups)
	s.groups = slices.DeleteFunc(s.groups, func(g *group) bool { return g.label == label })
	found := len(s.groups) < before
	s.mu.Unlock()
	if !found {
		problem(w, http.StatusNotFound, "no such group.")
		return
	}
	replyBytes(w, http.StatusOK, typeJSON, []byte(`{"code":0,"message":"deleted 1 entry"}`))
}

// hsmPartitions is GET /partitions.
func (s *Site) hsmPartitions(w http.ResponseWriter, q *req) {
	names := q.URL.Query()["partition"]
	s.mu.Lock()
	out := []partitionBody{}
	for _, p := range s.partitions {
		if len(names) == 0 || slices.Contains(names, p.label) {
			out = append(out, partitionBody{p.label, p.description, memberList{s.ids(p.members)}})
		}
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// hsmPartition is GET /partitions/{name}.
func (s *Site) hsmPartition(w http.ResponseWriter, q *req) {
	s.mu.Lock()
	p := findGroup(s.partitions, q.args[0])
	var out partitionBody
	if p != nil {
		out = partitionBody{p.label, p.description, memberList{s.ids(p.members)}}
	}
	s.mu.Unlock()
	if p == nil {
		problem(w, http.StatusNotFound, "No such partition: "+q.args[0])
		return
	}
	reply(w, http.StatusOK, typeJSON, out)
}

// hsmPartitionNames is GET /partitions/names.
func (s *Site) hsmPartitionNames(w http.ResponseWriter, _ *req) {
	s.mu.Lock()
	out := labelsOf(s.partitions)
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// memberships returns what the components at these indexes are members of. The
// lock must be held.
func (s *Site) memberships(found []int32) []membershipBody {
	at := make(map[int32]int, len(found))
	out := make([]membershipBody, len(found))
	for k, i := range found {
		at[i] = k
		out[k] = membershipBody{ID: s.comps[i].id, Groups: []string{}}
	}
	for _, g := range s.groups {
		for _, i := range g.members {
			if k, ok := at[i]; ok {
				out[k].Groups = append(out[k].Groups, g.label)
			}
		}
	}
	for _, p := range s.partitions {
		for _, i := range p.members {
			if k, ok := at[i]; ok {
				out[k].Partition = p.label
			}
		}
	}
	return out
}

// hsmMemberships is GET /memberships.
func (s *Site) hsmMemberships(w http.ResponseWriter, q *req) {
	f, err := newHSMFilter(q.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, "bad query param: "+err.Error())
		return
	}
	found := s.filtered(f)
	s.mu.Lock()
	out := s.memberships(found)
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// hsmMembership is GET /memberships/{xname}.
func (s *Site) hsmMembership(w http.ResponseWriter, q *req) {
	_, normal, _ := xnameType(q.args[0])
	s.mu.Lock()
	i, ok := s.index[normal]
	ok = ok && !s.comps[i].gone
	var out []membershipBody
	if ok {
		out = s.memberships([]int32{i})
	}
	s.mu.Unlock()
	if !ok {
		problem(w, http.StatusNotFound, "no such xname.")
		return
	}
	reply(w, http.StatusOK, typeJSON, out[0])
}

// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// maxBindValues is how many values PostgreSQL takes in one statement: HSM fails
// on a query with more ids and filter values.
const maxBindValues = 65535

func (s *Site) addHSM(svc *service) {
	svc.prefixes = []string{"/hsm/v2"}
	if s.cfg.Flavour == OpenCHAMI {
		svc.notAllowed = func(w http.ResponseWriter, _ *req, allowed []string) {
			list := strings.Join(allowed, ",")
			w.Header().Set("Allow", list)
			problem(w, http.StatusMethodNotAllowed, "allow "+list)
		}
	}
	svc.routes = []route{
		{"GET", "/State/Components", s.hsmList},
		{"POST", "/State/Components", s.hsmCreate},
		{"POST", "/State/Components/Query", s.hsmQuery},
		{"GET", "/State/Components/Query/*", s.hsmQueryOne},
		{"PATCH", "/State/Components/BulkStateData", s.hsmBulkState},
		{"PATCH", "/State/Components/BulkEnabled", s.hsmBulkEnabled},
		{"PATCH", "/State/Components/BulkRole", s.hsmBulkRole},
		{"GET", "/State/Components/*", s.hsmOne},
		{"PATCH", "/State/Components/*/StateData", s.hsmBulkState},
		{"PATCH", "/State/Components/*/Enabled", s.hsmBulkEnabled},
		{"PATCH", "/State/Components/*/Role", s.hsmBulkRole},
		{"GET", "/groups", s.hsmGroups},
		{"POST", "/groups", s.hsmCreateGroup},
		{"GET", "/groups/labels", s.hsmGroupLabels},
		{"GET", "/groups/*", s.hsmGroup},
		{"DELETE", "/groups/*", s.hsmDeleteGroup},
		{"GET", "/partitions", s.hsmPartitions},
		{"GET", "/partitions/names", s.hsmPartitionNames},
		{"GET", "/partitions/*", s.hsmPartition},
		{"GET", "/memberships", s.hsmMemberships},
		{"GET", "/memberships/*", s.hsmMembership},
		{"GET", "/locks/status", s.hsmLockList},
		{"POST", "/locks/status", s.hsmLockQuery},
		{"POST", "/locks/lock", s.hsmLock},
		{"POST", "/locks/unlock", s.hsmUnlock},
		{"POST", "/locks/reservations", s.hsmReserve},
		{"POST", "/locks/reservations/remove", s.hsmUnreserve},
		{"POST", "/locks/service/reservations", s.hsmServiceReserve},
		{"POST", "/locks/service/reservations/release", s.hsmUnreserve},
		{"GET", "/Subscriptions/SCN", s.scnList},
		{"POST", "/Subscriptions/SCN", s.scnCreate},
		{"DELETE", "/Subscriptions/SCN", s.scnDeleteAll},
		{"GET", "/Subscriptions/SCN/*", s.scnOne},
		{"PUT", "/Subscriptions/SCN/*", s.scnReplace},
		{"PATCH", "/Subscriptions/SCN/*", s.scnPatch},
		{"DELETE", "/Subscriptions/SCN/*", s.scnDelete},
		{"GET", "/Inventory/EthernetInterfaces", s.hsmInterfaces},
		{"GET", "/service/ready", s.hsmReady},
		{"GET", "/service/liveness", func(w http.ResponseWriter, _ *req) { w.WriteHeader(http.StatusNoContent) }},
	}
}

// undecodable answers as HSM does where a body is no JSON: with 500.
func undecodable(w http.ResponseWriter, err error) {
	problem(w, http.StatusInternalServerError, "error decoding JSON "+err.Error())
}

// appendTo appends the record as HSM shows it: empty fields are left out.
func (c *component) appendTo(b []byte) []byte {
	b = append(b, `{"ID":`...)
	b = appendString(b, c.id)
	b = appendField(b, "Type", c.typ)
	b = appendField(b, "State", c.state)
	b = appendField(b, "Flag", c.flag)
	b = appendBool(b, "Enabled", c.enabled)
	b = appendField(b, "Role", c.role)
	b = appendField(b, "SubRole", c.subRole)
	if c.nid != 0 {
		b = appendInt(b, "NID", int64(c.nid))
	}
	b = append(b, `,"NetType":"Sling"`...)
	b = appendField(b, "Arch", c.arch)
	b = appendField(b, "Class", c.class)
	if c.locked {
		b = append(b, `,"Locked":true`...)
	}
	return append(b, '}')
}

// appendOnly appends the record reduced to the fields that a request asked for.
func (c *component) appendOnly(b []byte, only string) []byte {
	b = append(b, `{"ID":`...)
	b = appendString(b, c.id)
	b = appendField(b, "Type", c.typ)
	switch only {
	case "stateonly":
		b = appendField(b, "State", c.state)
		b = appendField(b, "Flag", c.flag)
	case "flagonly":
		b = appendField(b, "Flag", c.flag)
	case "roleonly":
		b = appendField(b, "Role", c.role)
		b = appendField(b, "SubRole", c.subRole)
	case "nidonly":
		b = appendInt(b, "NID", int64(c.nid))
	}
	return append(b, '}')
}

// componentList answers with the records at these indexes, last first: the real
// order is not defined, and nobody should come to rely on one.
func (s *Site) componentList(w http.ResponseWriter, f *hsmFilter, found []int32) {
	b := make([]byte, 0, 32+200*len(found))
	b = append(b, `{"Components":[`...)
	s.mu.Lock()
	for k := len(found) - 1; k >= 0; k-- {
		c := &s.comps[found[k]]
		if f.only != "" {
			b = c.appendOnly(b, f.only)
		} else {
			b = c.appendTo(b)
		}
		b = append(b, ',')
	}
	s.mu.Unlock()
	if len(found) > 0 {
		b = b[:len(b)-1]
	}
	replyBytes(w, http.StatusOK, typeJSON, append(b, "]}"...))
}

// hsmList is GET /State/Components.
func (s *Site) hsmList(w http.ResponseWriter, q *req) {
	f, err := newHSMFilter(q.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, "bad query param: "+err.Error())
		return
	}
	s.componentList(w, f, s.filtered(f))
}

// filtered returns the indexes of the components that pass the filter.
func (s *Site) filtered(f *hsmFilter) []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int32
	sets, now := s.memberSets(f), s.now()
	for i := range s.comps {
		if f.match(&s.comps[i], now) && sets.match(int32(i)) {
			found = append(found, int32(i))
		}
	}
	return found
}

// hsmQuery is POST /State/Components/Query.
func (s *Site) hsmQuery(w http.ResponseWriter, q *req) {
	type ComponentFilter struct { // exported for the names in decoding errors
		ComponentIDs  []string `json:"ComponentIDs"`
		Type          []string `json:"type"`
		State         []string `json:"state"`
		Flag          []string `json:"flag"`
		Enabled       []string `json:"enabled"`
		Role          []string `json:"role"`
		SubRole       []string `json:"subrole"`
		Arch          []string `json:"arch"`
		Class         []string `json:"class"`
		NID           []string `json:"nid"`
		Locked        []string `json:"locked"`
		Reserved      []string `json:"reserved"`
		Group         []string `json:"group"`
		Partition     []string `json:"partition"`
		StateOnly     bool     `json:"stateonly"`
		SoftwareState []string `json:"softwarestatus"`
	}
	var in ComponentFilter
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	if len(in.ComponentIDs) == 0 {
		problem(w, http.StatusBadRequest, "Missing IDs")
		return
	}
	values := map[string][]string{
		"type": in.Type, "state": in.State, "flag": in.Flag, "enabled": in.Enabled, "role": in.Role,
		"subrole": in.SubRole, "arch": in.Arch, "class": in.Class, "nid": in.NID, "locked": in.Locked,
		"reserved": in.Reserved, "group": in.Group, "partition": in.Partition,
	}
	if in.StateOnly {
		values["stateonly"] = []string{"true"}
	}
	f, err := newHSMFilter(values)
	if err != nil {
		problem(w, http.StatusBadRequest, "bad query param: "+err.Error())
		return
	}
	if len(in.ComponentIDs) >= maxBindValues || len(in.ComponentIDs)+f.values > maxBindValues {
		s.judgeTooBig("hsm", "a query with more values than a statement takes")
		problem(w, http.StatusInternalServerError, "failed to query DB.")
		return
	}
	s.componentList(w, f, s.queried(in.ComponentIDs, f))
}

// queried returns the indexes of those of the named components that pass the
// filter, each once; unknown names are left out.
func (s *Site) queried(ids []string, f *hsmFilter) []int32 {
	for _, id := range ids {
		if id == "all" || id == "s0" {
			return s.filtered(f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int32
	sets, now := s.memberSets(f), s.now()
	seen := make(map[int32]bool, len(ids))
	for _, id := range ids {
		_, normal, ok := xnameType(id)
		if !ok {
			continue
		}
		i, known := s.index[normal]
		if !known || seen[i] || !f.match(&s.comps[i], now) || !sets.match(i) {
			continue
		}
		seen[i] = true
		found = append(found, i)
	}
	return found
}

// hsmQueryOne is GET /State/Components/Query/{xname}.
func (s *Site) hsmQueryOne(w http.ResponseWriter, q *req) {
	f, err := newHSMFilter(q.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, "bad query param: "+err.Error())
		return
	}
	s.componentList(w, f, s.queried(q.args, f))
}

// hsmOne is GET /State/Components/{xname}.
func (s *Site) hsmOne(w http.ResponseWriter, q *req) {
	_, normal, _ := xnameType(q.args[0])
	s.mu.Lock()
	i, ok := s.index[normal]
	var b []byte
	if ok && !s.comps[i].gone {
		b = s.comps[i].appendTo(nil)
	}
	s.mu.Unlock()
	if b == nil {
		problem(w, http.StatusNotFound, "no such xname.")
		return
	}
	replyBytes(w, http.StatusOK, typeJSON, b)
}

// hsmInterfaces is GET /Inventory/EthernetInterfaces: the boot interfaces.
func (s *Site) hsmInterfaces(w http.ResponseWriter, q *req) {
	wanted := map[string]bool{}
	for _, id := range q.URL.Query()["ComponentID"] {
		_, normal, _ := xnameType(id)
		wanted[normal] = true
	}
	updated := s.t0.UTC().Format(time.RFC3339Nano)
	s.mu.Lock()
	b := []byte{'['}
	for i := range s.nodes {
		c := &s.comps[i]
		if c.gone || len(wanted) > 0 && !wanted[c.id] {
			continue
		}
		mac := macOf(int32(i))
		b = append(b, `{"ID":"`...)
		b = append(b, strings.ReplaceAll(mac, ":", "")...)
		b = append(b, `","Description":"","MACAddress":"`...)
		b = append(b, mac...)
		b = append(b, `","LastUpdate":"`...)
		b = append(b, updated...)
		b = append(b, `","ComponentID":"`...)
		b = append(b, c.id...)
		b = append(b, `","Type":"Node","IPAddresses":[]},`...)
	}
	s.mu.Unlock()
	if len(b) > 1 {
		b = b[:len(b)-1]
	}
	replyBytes(w, http.StatusOK, typeJSON, append(b, ']'))
}

// hsmReady is GET /service/ready.
func (s *Site) hsmReady(w http.ResponseWriter, _ *req) {
	replyBytes(w, http.StatusOK, typeJSON, []byte(`{"code":0,"message":"HSM is healthy"}`))
}

// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// pcsState is what PCS knows beside the power of the nodes.
type pcsState struct {
	transitions map[string]*transition
	// order is the transitions by age; forgotten ones are cut off the front.
	order []*transition
	tasks int
}

// PCS's words for what it can't show.
const (
	pcsUnknown   = "Component not found in component map."
	pcsPowerless = "Component can not have power state and managment state data"
)

func (s *Site) addPCS(svc *service) {
	svc.prefixes = []string{"/v1"}
	svc.notAllowed = func(w http.ResponseWriter, _ *req, allowed []string) {
		if s.cfg.Flavour == OpenCHAMI {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	alive := func(w http.ResponseWriter, _ *req) { w.WriteHeader(http.StatusNoContent) }
	svc.routes = []route{
		{"GET", "/power-status", s.pcsStatusGet},
		{"POST", "/power-status", s.pcsStatusPost},
		{"GET", "/transitions", s.pcsTransitions},
		{"POST", "/transitions", s.pcsCreate},
		{"GET", "/transitions/*", s.pcsTransition},
		{"DELETE", "/transitions/*", s.pcsAbort},
		{"GET", "/liveness", alive},
		{"GET", "/readiness", alive},
	}
}

// knownToPCS reports whether PCS has the node in its component map. The lock
// must be held.
func (s *Site) knownToPCS(i int32) bool {
	c := &s.comps[i]
	return !c.gone && c.state != "Empty" && !s.nodes[i].has(FaultMissingFromPCS)
}

// sample is what PCS reads when it asks the node's BMC now.
func (s *Site) sample(i int32) power {
	n := &s.nodes[i]
	switch {
	case n.has(FaultBMCHangs), n.has(FaultBMCRefuses):
		return powerUndefined
	case n.has(FaultPowerInvalid):
		return powerInvalid
	}
	return n.power
}

// shownPower is the power state that PCS believes in.
func (s *Site) shownPower(i int32) power {
	if s.cfg.LivePower {
		return s.sample(i)
	}
	return s.nodes[i].cached
}

// beginSweep asks all BMCs. Nothing is known before the last one has answered or
// timed out.
func (s *Site) beginSweep() {
	for i := range s.nodes {
		s.nodes[i].sampled = s.sample(int32(i))
	}
	d := s.cfg.Delays
	takes := d.SweepTime
	if !s.cfg.NoSweepStretch {
		if s.broken[FaultBMCRefuses] > 0 {
			takes = max(takes, d.Refusal)
		}
		if s.broken[FaultBMCHangs] > 0 {
			takes = max(takes, d.StatusTimeout)
		}
	}
	s.after(takes, s.endSweep)
}

// endSweep makes the answers of a sweep known and plans the next one.
func (s *Site) endSweep() {
	var on, off []int32
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.cached == n.sampled {
			continue
		}
		n.cached = n.sampled
		n.cachedSince = s.now()
		switch n.cached {
		case powerOn:
			on = append(on, int32(i))
		case powerOff:
			off = append(off, int32(i))
		case powerUndefined, powerInvalid:
		}
	}
	if s.cfg.HSMState == StateSweeps {
		s.setStates(on, stateOn)
		s.setStates(off, stateOff)
	}
	s.stats.Sweeps++
	s.after(s.cfg.Delays.Sweep, s.beginSweep)
}

// pcsFilter is the question of a power-status call.
type pcsFilter struct {
	names            []string
	power, available string
}

// newPCSFilter checks the words of a question.
func newPCSFilter(names []string, power, management string) (f pcsFilter, detail string) {
	f = pcsFilter{names: names, power: strings.ToLower(power), available: strings.ToLower(management)}
	switch f.power {
	case "", "on", "off", "undefined":
	default:
		return f, "invalid powerStateFilter type: " + power
	}
	switch f.available {
	case "", "available", "unavailable":
	default:
		return f, "invalid ManagementStateFilter type: " + management
	}
	var bad []string
	for _, x := range names {
		if !isLowerXname(x) {
			bad = append(bad, x)
		}
	}
	if bad != nil {
		return f, "invalid xnames detected: " + strings.Join(bad, ",")
	}
	return f, ""
}

// pcsStatusGet is GET /power-status.
func (s *Site) pcsStatusGet(w http.ResponseWriter, q *req) {
	query := q.URL.Query()
	s.judgeNames("pcs", query["xname"])
	f, detail := newPCSFilter(query["xname"], query.Get("powerStateFilter"), query.Get("managementStateFilter"))
	s.powerStatus(w, f, detail)
}

// pcsStatusPost is POST /power-status.
func (s *Site) pcsStatusPost(w http.ResponseWriter, q *req) {
	type PowerStatusParameter struct { // exported for the names in decoding errors
		Xname                 []string `json:"xname"`
		PowerStateFilter      string   `json:"powerStateFilter"`
		ManagementStateFilter string   `json:"managementStateFilter"`
	}
	var in PowerStatusParameter
	if err := json.Unmarshal(q.body, &in); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if len(in.Xname) == 0 {
		s.judgeEmpty("pcs", "POST power-status without xnames shows all components")
	}
	s.judgeNames("pcs", in.Xname)
	f, detail := newPCSFilter(in.Xname, in.PowerStateFilter, in.ManagementStateFilter)
	s.powerStatus(w, f, detail)
}

func (s *Site) powerStatus(w http.ResponseWriter, f pcsFilter, detail string) {
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return
	}
	b := make([]byte, 0, 64+260*len(f.names))
	b = append(b, `{"status":[`...)
	empty := len(b)
	s.mu.Lock()
	if len(f.names) == 0 {
		for i := range s.comps {
			b = s.appendPower(b, &f, int32(i))
		}
	}
	seen := make(map[string]bool, len(f.names))
	for _, x := range f.names {
		if seen[x] {
			continue
		}
		seen[x] = true
		if i, ok := s.index[x]; ok && s.hasPower(i) {
			b = s.appendPower(b, &f, i)
			continue
		}
		typ, _, _ := xnameType(x)
		b = append(b, `{"xname":`...)
		b = appendString(b, x)
		b = append(b, `,"powerState":"","managementState":"","error":"`...)
		b = append(b, pick(typ == "Cabinet", pcsPowerless, pcsUnknown)...)
		b = append(b, `","supportedPowerTransitions":null,"lastUpdated":""},`...)
	}
	s.mu.Unlock()
	if len(b) > empty {
		b = b[:len(b)-1]
	}
	replyBytes(w, http.StatusOK, typeJSON, append(b, "]}"...))
}

// hasPower reports whether PCS keeps a power state for the component.
func (s *Site) hasPower(i int32) bool {
	if int(i) < len(s.nodes) {
		return s.knownToPCS(i)
	}
	return s.comps[i].typ == typeBMC
}

const (
	nodeTransitions = `["On","Force-Off","Soft-Off","Off","Soft-Restart","Init","Hard-Restart"]`
	bmcTransitions  = `["Soft-Restart"]`
)

// appendPower appends what PCS knows of a component and a comma, nothing where
// the filter does not want it.
func (s *Site) appendPower(b []byte, f *pcsFilter, i int32) []byte {
	if !s.hasPower(i) {
		return b
	}
	state, since, supported := powerOn, time.Duration(0), bmcTransitions
	if int(i) < len(s.nodes) {
		state, since, supported = s.shownPower(i), s.nodes[i].cachedSince, nodeTransitions
	}
	word, managed := state.String(), pick(state == powerUndefined, "unavailable", "available")
	if f.power != "" && f.power != word || f.available != "" && f.available != managed {
		return b
	}
	b = append(b, `{"xname":"`...)
	b = append(b, s.comps[i].id...)
	b = append(b, `","powerState":"`...)
	b = append(b, word...)
	b = append(b, `","managementState":"`...)
	b = append(b, managed...)
	b = append(b, `","error":"","supportedPowerTransitions":`...)
	b = append(b, supported...)
	b = append(b, `,"lastUpdated":"`...)
	b = s.wall(since).AppendFormat(b, time.RFC3339Nano)
	return append(b, `"},`...)
}

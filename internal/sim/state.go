// SPDX-License-Identifier: MIT

package sim

import (
	"maps"
	"time"
)

// NodeState is the truth about a node.
type NodeState struct {
	ID string `json:"id"`
	// Power is "on" or "off", PCS what power-status shows.
	Power string `json:"power"`
	PCS   string `json:"pcs"`
	// Since is when the power last changed.
	Since time.Time `json:"since"`
	// HSM is State in HSM, Locked and Reserved what its locks say.
	HSM      string `json:"hsm"`
	Locked   bool   `json:"locked"`
	Reserved bool   `json:"reserved"`
	// Booting is true from the boot script to Up; Up means that the operating
	// system runs.
	Booting bool `json:"booting"`
	Up      bool `json:"up"`
	// Kernel, Initrd and Params are what the node booted: what BSS had at the
	// time.
	Kernel string `json:"kernel,omitempty"`
	Initrd string `json:"initrd,omitempty"`
	Params string `json:"params,omitempty"`
	// Token is the token on the kernel command line.
	Token string `json:"token,omitempty"`
	// Reported is the token that BOS last took, Reports how many reports it took
	// since the node was switched on.
	Reported string `json:"reported,omitempty"`
	Reports  int    `json:"reports"`
	// Config, ConfigStatus, ConfigEnabled and ConfigErrors are CFS's view.
	Config        string `json:"config,omitempty"`
	ConfigStatus  string `json:"config_status"`
	ConfigEnabled bool   `json:"config_enabled"`
	ConfigErrors  int    `json:"config_errors"`
	// Fault is the injected fault, nil without.
	Fault *Fault `json:"fault,omitempty"`
}

// Node returns the truth about a node, false for one that the site has not got.
func (s *Site) Node(x string) (NodeState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.lookup(x)
	if !ok {
		return NodeState{}, false
	}
	n, c := &s.nodes[i], &s.comps[i]
	out := NodeState{
		ID: c.id, Power: n.power.String(), PCS: s.shownPower(i).String(), Since: s.wall(n.changed),
		HSM: c.state, Locked: c.locked, Reserved: c.reserved(s.now()),
		Booting: n.boot.entry != nil && !n.boot.up, Up: n.boot.up, Token: n.boot.token,
		Reported: n.boot.accepted, Reports: int(n.boot.reports),
		Config: n.config.desired, ConfigStatus: s.cfsStatus(i), ConfigEnabled: n.config.enabled,
		ConfigErrors: int(n.config.errors),
	}
	if !s.knownToPCS(i) {
		out.PCS = ""
	}
	if e := n.boot.entry; e != nil {
		out.Kernel, out.Initrd, out.Params = e.kernel, e.initrd, e.params
	}
	if n.fault != nil {
		f := *n.fault
		out.Fault = &f
	}
	return out, true
}

// Working reports whether the hardware is still at work for one of these nodes,
// or the services around it: power that changes or that PCS does not show yet, a
// transition of PCS that holds the node, a boot, a late report, a CFS run.
// Unknown nodes are ignored.
func (s *Site) Working(nodes []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, x := range nodes {
		if i, ok := s.lookup(x); ok && s.working(i, now) {
			return true
		}
	}
	return false
}

func (s *Site) working(i int32, now time.Duration) bool {
	n := &s.nodes[i]
	if n.changing || s.shownPower(i) != n.power || s.comps[i].reserved(now) {
		return true
	}
	if n.power != powerOn {
		return false
	}
	return !n.boot.up || now < n.boot.at+s.reportDelay(i) || s.cfsStatus(i) == cfsPending
}

// Stats counts what happened at the site.
type Stats struct {
	// Calls counts requests by service.
	Calls map[string]int `json:"calls"`
	// Transitions counts those that PCS accepted, LockedTransitions the nodes in
	// them that were locked, Conflicts those that were reserved by others,
	// WithoutAttempt those without an attempt id.
	Transitions       int `json:"transitions"`
	LockedTransitions int `json:"locked_transitions"`
	Conflicts         int `json:"conflicts"`
	WithoutAttempt    int `json:"without_attempt"`
	// Sweeps counts finished sweeps of PCS.
	Sweeps int `json:"sweeps"`
	// Reports counts reports to BOS, ReportsFailed those that it did not take.
	Reports       int `json:"reports"`
	ReportsFailed int `json:"reports_failed"`
	// Violations counts violations by rule.
	Violations map[string]int `json:"violations"`
}

// Stats returns the counts so far.
func (s *Site) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Calls = maps.Clone(s.stats.Calls)
	out.Violations = maps.Clone(s.judge.counts)
	return out
}

// Counts is how many compute nodes are in which state.
type Counts struct {
	Nodes int `json:"nodes"`
	// On and Off are the truth about power.
	On  int `json:"on"`
	Off int `json:"off"`
	// Booting and Up are how far the nodes that are on are.
	Booting int `json:"booting"`
	Up      int `json:"up"`
	// Reported nodes have told BOS their token, Configured ones have what CFS
	// wants.
	Reported   int `json:"reported"`
	Configured int `json:"configured"`
	Locked     int `json:"locked"`
	Reserved   int `json:"reserved"`
	// OpenTransitions counts transitions of PCS that are under way.
	OpenTransitions int `json:"open_transitions"`
	// Faults counts the injected faults by kind.
	Faults map[string]int `json:"faults"`
}

// Counts returns how many compute nodes are in which state now.
func (s *Site) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Counts{Nodes: s.cfg.Nodes, Faults: s.brokenKinds()}
	now := s.now()
	add := func(n *int, cond bool) {
		if cond {
			*n++
		}
	}
	for i := range s.cfg.Nodes {
		n, c := &s.nodes[i], &s.comps[i]
		add(&out.On, n.power == powerOn)
		add(&out.Off, n.power == powerOff)
		add(&out.Booting, n.boot.entry != nil && !n.boot.up)
		add(&out.Up, n.boot.up)
		add(&out.Reported, n.boot.accepted != "")
		add(&out.Configured, n.config.present && s.cfsStatus(int32(i)) == cfsConfigured)
		add(&out.Locked, c.locked)
		add(&out.Reserved, c.reserved(now))
	}
	for _, t := range s.pcs.order {
		add(&out.OpenTransitions, !t.over())
	}
	return out
}

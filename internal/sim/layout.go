// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"strconv"
	"time"
)

// The HMS types of what the site holds.
const (
	typeNode    = "Node"
	typeBMC     = "NodeBMC"
	typeChassis = "Chassis"
)

// The words of HSM that the site sets by itself.
const (
	stateOff   = "Off"
	stateOn    = "On"
	stateReady = "Ready"

	archX86     = "X86"
	archARM     = "ARM"
	archUnknown = "UNKNOWN"

	roleCompute = "Compute"
)

// How many nodes a cabinet, chassis and slot hold.
const (
	nodesPerCabinet = 256
	nodesPerChassis = 32
)

// component is a record of HSM.
type component struct {
	id      string
	typ     string
	state   string
	flag    string
	role    string
	subRole string
	arch    string
	class   string
	nid     int32
	enabled bool
	locked  bool
	// gone hides the record, as if HSM had never seen the hardware.
	gone bool
	res  *reservation
}

// power is the state of a node's power, and what PCS makes of it.
type power uint8

// The power states. Nodes know off and on only.
const (
	powerOff power = iota
	powerOn
	powerUndefined
	powerInvalid
)

// String returns PCS's word for the state.
func (p power) String() string {
	switch p {
	case powerOn:
		return "on"
	case powerUndefined:
		return "undefined"
	case powerInvalid:
		return "invalid"
	case powerOff:
	}
	return "off"
}

// node is everything about one node that is not in its HSM record. The record
// of node i is component i.
type node struct {
	bmc   int32
	fault *Fault
	// faultSeq tells a fault's later steps whether it is still the same one.
	faultSeq uint32
	// failsLeft is how many more On commands power_on_fails_n_times swallows.
	failsLeft int32

	power power
	// life counts power changes: what was planned in an earlier life is void.
	life uint32
	// action counts commands of the BMC: a later one replaces an earlier one.
	action   uint32
	changing bool
	goingTo  power
	changed  time.Duration

	cached      power
	sampled     power
	cachedSince time.Duration

	boot   bootState
	config cfsRecord
	judged judgedNode
}

// bootState is what a node runs and what it told BOS.
type bootState struct {
	entry *bssEntry
	token string
	up    bool
	// reporter counts the starts of the program that reports to BOS.
	reporter uint32
	// failures counts reports in a row that did not reach BOS.
	failures int32
	reports  int32
	// accepted is the token that BOS last took from this life of the node.
	accepted string
	at       time.Duration
}

// bmc is a management controller and the range of nodes behind it.
type bmc struct {
	lo, hi int32
}

// group is a group or a partition of HSM.
type group struct {
	label       string
	description string
	tags        []string
	exclusive   string
	members     []int32
}

// computeXname returns the location of the i-th compute node.
func computeXname(i int) string {
	b := make([]byte, 0, 16)
	b = append(b, 'x')
	b = strconv.AppendInt(b, int64(1000+i/nodesPerCabinet), 10)
	rest := i % nodesPerCabinet
	return string(append(b,
		'c', byte('0'+rest/32), 's', byte('0'+rest/4%8), 'b', byte('0'+rest/2%2), 'n', byte('0'+rest%2)))
}

// chassisOf returns the chassis of an xname below one.
func chassisOf(x string) string {
	for i := 1; i < len(x); i++ {
		if x[i] == 's' {
			return x[:i]
		}
	}
	return x
}

// macOf returns the address of the network card that node i boots from.
func macOf(i int32) string {
	return fmt.Sprintf("b4:2e:99:%02x:%02x:%02x", byte(i>>16), byte(i>>8), byte(i))
}

// otherNodes are the nodes beyond the compute nodes: two user access nodes and
// three managers.
func otherNodes() []component {
	const base = 100001
	out := make([]component, 0, 5)
	for i, role := range []struct{ role, sub string }{
		{"Application", "UAN"},
		{"Application", "UAN"},
		{"Management", "Master"},
		{"Management", "Master"},
		{"Management", "Master"},
	} {
		out = append(out, component{
			id: fmt.Sprintf("x3000c0s%db0n0", i+1), role: role.role, subRole: role.sub,
			arch: archX86, class: "River", nid: int32(base + i),
		})
	}
	return out
}

// layOut builds the hardware: components and nodes first, then BMCs and
// chassis, which are components only.
func (s *Site) layOut() {
	others := otherNodes()
	n := s.cfg.Nodes + len(others)
	s.comps = make([]component, 0, n+n/2+n/nodesPerChassis+8)
	s.nodes = make([]node, n)
	s.bmcs = make([]bmc, 0, n/2+8)
	for i := range s.cfg.Nodes {
		s.comps = append(s.comps, component{
			id: computeXname(i), role: roleCompute, arch: s.archOf(i), class: "Mountain", nid: int32(i + 1),
		})
	}
	s.comps = append(s.comps, others...)
	for i := range s.comps {
		c := &s.comps[i]
		on := i >= s.cfg.Nodes && c.role == "Management" || s.cfg.PoweredOn
		c.typ, c.flag, c.enabled = typeNode, "OK", true
		c.state = pick(on, stateReady, stateOff)
		c.locked = c.role == "Management" && s.cfg.ManagementLocked
		s.nodes[i].power = pick(on, powerOn, powerOff)
		s.nodes[i].config = cfsRecord{present: true, enabled: true, retries: defaultRetryPolicy}
	}
	s.layOutControllers()
	s.index = make(map[string]int32, len(s.comps))
	for i := range s.comps {
		s.index[s.comps[i].id] = int32(i)
	}
}

// archOf returns HSM's Arch of the i-th compute node: the special ones are
// taken from the end.
func (s *Site) archOf(i int) string {
	fromEnd := s.cfg.Nodes - 1 - i
	switch {
	case fromEnd < s.cfg.ARMNodes:
		return archARM
	case fromEnd < s.cfg.ARMNodes+s.cfg.NodesWithoutArch:
		return ""
	case fromEnd < s.cfg.ARMNodes+s.cfg.NodesWithoutArch+s.cfg.NodesWithUnknownArch:
		return archUnknown
	}
	return archX86
}

// layOutControllers adds the BMC of every node and the chassis of every compute
// node to the components. Nodes of one BMC follow each other.
func (s *Site) layOutControllers() {
	lastBMC, lastChassis := "", ""
	var chassis []string
	for i := range s.nodes {
		id := s.comps[i].id
		name := id[:len(id)-2]
		if name != lastBMC {
			lastBMC = name
			s.bmcs = append(s.bmcs, bmc{lo: int32(i)})
		}
		s.nodes[i].bmc = int32(len(s.bmcs) - 1)
		s.bmcs[len(s.bmcs)-1].hi = int32(i + 1)
		if c := chassisOf(id); c != lastChassis && i < s.cfg.Nodes {
			lastChassis = c
			chassis = append(chassis, c)
		}
	}
	for _, b := range s.bmcs {
		of := &s.comps[b.lo]
		s.comps = append(s.comps, component{
			id: of.id[:len(of.id)-2], typ: typeBMC, state: stateReady, flag: "OK", enabled: true,
			arch: of.arch, class: of.class,
		})
	}
	for _, c := range chassis {
		s.comps = append(s.comps, component{
			id: c, typ: typeChassis, state: stateOn, flag: "OK", enabled: true, class: "Mountain",
		})
	}
}

// layOutGroups makes the groups (all compute nodes, two halves, one group per
// chassis) and the two partitions (every second compute node each).
func (s *Site) layOutGroups() {
	n := int32(s.cfg.Nodes)
	all := make([]int32, n)
	var odd, even []int32
	for i := range n {
		all[i] = i
		if i%2 == 0 {
			even = append(even, i)
		} else {
			odd = append(odd, i)
		}
	}
	half := (n + 1) / 2
	s.groups = []*group{
		{label: "compute-all", description: "all compute nodes", members: all},
		{label: "blue", description: "first half", tags: []string{"tenant"}, members: all[:half:half]},
		{label: "green", description: "second half", tags: []string{"tenant"}, members: all[half:n:n]},
	}
	for lo := int32(0); lo < n; lo += nodesPerChassis {
		hi := min(lo+nodesPerChassis, n)
		s.groups = append(s.groups, &group{label: chassisOf(s.comps[lo].id), members: all[lo:hi:hi]})
	}
	s.partitions = []*group{
		{label: "p1", description: "even", members: even},
		{label: "p2", members: odd},
	}
}

// lookup returns the index of the node with this exact name.
func (s *Site) lookup(x string) (int32, bool) {
	i, ok := s.index[x]
	if !ok || int(i) >= len(s.nodes) {
		return 0, false
	}
	return i, true
}

// ids turns indexes into names.
func (s *Site) ids(members []int32) []string {
	out := make([]string, 0, len(members))
	for _, i := range members {
		if !s.comps[i].gone {
			out = append(out, s.comps[i].id)
		}
	}
	return out
}

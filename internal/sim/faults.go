// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// FaultKind is a way in which a node can fail.
type FaultKind uint8

// The ways in which a node fails. Those of a BMC concern every node behind it.
const (
	// FaultNone is no fault.
	FaultNone FaultKind = iota
	// FaultNeverPowersOn swallows every On: the BMC accepts it, the node stays off.
	FaultNeverPowersOn
	// FaultSlowPowerOn takes Delay to power on.
	FaultSlowPowerOn
	// FaultPowerOnFails swallows the next Times Ons.
	FaultPowerOnFails
	// FaultSoftOffIgnored does not react to a graceful shutdown.
	FaultSoftOffIgnored
	// FaultForceOffIgnored does not react to any power off.
	FaultForceOffIgnored
	// FaultNeverReports boots, but no report ever reaches BOS.
	FaultNeverReports
	// FaultWrongToken reports a token that BOS can't know.
	FaultWrongToken
	// FaultReportsLate reports Delay after a healthy node would.
	FaultReportsLate
	// FaultBootsNothing never gets a boot script.
	FaultBootsNothing
	// FaultConfigurationFails fails in every CFS run.
	FaultConfigurationFails
	// FaultConfigurationNeverEnds stays pending in CFS for ever. Random levels do
	// not use it: a session rightly waits for such a node.
	FaultConfigurationNeverEnds
	// FaultMissingFromPCS is a node that PCS does not know.
	FaultMissingFromPCS
	// FaultMissingFromCFS is a node that CFS does not know.
	FaultMissingFromCFS
	// FaultLocked is locked in HSM for Delay, or for ever where Delay is 0.
	FaultLocked
	// FaultReserved is reserved by somebody else for Delay, or for ever where
	// Delay is 0.
	FaultReserved
	// FaultBMCHangs is behind a BMC that does not answer: its power is undefined,
	// commands end in a time-out, and each sweep waits for it.
	FaultBMCHangs
	// FaultBMCRefuses is behind a BMC that refuses connections: commands fail
	// after some seconds.
	FaultBMCRefuses
	// FaultBMCRejects is behind a BMC that answers each command with an error,
	// which PCS does not notice. Random levels do not use it.
	FaultBMCRejects
	// FaultPowerInvalid is behind a BMC that gives no power state at all. Random
	// levels do not use it.
	FaultPowerInvalid
	// FaultUnknownToHSM is a node that HSM, and with it PCS, does not know. Random
	// levels do not use it.
	FaultUnknownToHSM
	faultKinds
)

// names of the kinds, in their order.
func faultNames() []string {
	return []string{
		"none", "never_powers_on", "slow_power_on", "power_on_fails_n_times", "soft_off_ignored",
		"force_off_ignored_too", "never_reports", "wrong_token", "reports_late", "boots_nothing",
		"configuration_fails", "configuration_never_ends", "missing_from_pcs", "missing_from_cfs", "locked_for",
		"reserved_for", "bmc_hangs", "bmc_refuses", "bmc_rejects_commands", "power_state_invalid", "unknown_to_hsm",
	}
}

// FaultKinds returns all kinds but FaultNone.
func FaultKinds() []FaultKind {
	out := make([]FaultKind, 0, faultKinds-1)
	for k := FaultNone + 1; k < faultKinds; k++ {
		out = append(out, k)
	}
	return out
}

// String returns the kind in snake_case.
func (k FaultKind) String() string {
	if k < faultKinds {
		return faultNames()[k]
	}
	return fmt.Sprintf("fault_%d", uint8(k))
}

// MarshalText encodes the kind as its name.
func (k FaultKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes a name; an unknown one is an error.
func (k *FaultKind) UnmarshalText(b []byte) error {
	i := slices.Index(faultNames(), string(b))
	if i < 0 {
		return fmt.Errorf("unknown fault %q", b)
	}
	*k = FaultKind(i)
	return nil
}

// ofBMC reports whether the fault is one of the BMC.
func (k FaultKind) ofBMC() bool {
	return k == FaultBMCHangs || k == FaultBMCRefuses || k == FaultBMCRejects
}

// Fault is how a node fails. The zero value is a healthy node.
type Fault struct {
	// Kind is what goes wrong.
	Kind FaultKind
	// Delay is the time that the kinds with one take, before scaling.
	Delay time.Duration
	// Times is how many Ons FaultPowerOnFails swallows.
	Times int
	// After is how long after Inject FaultLocked and FaultReserved begin, before
	// scaling.
	After time.Duration
}

// faultBody is a Fault as JSON: durations are texts such as "1m30s".
type faultBody struct {
	Kind  FaultKind `json:"kind"`
	Delay string    `json:"delay,omitempty"`
	Times int       `json:"times,omitempty"`
	After string    `json:"after,omitempty"`
}

// MarshalJSON encodes the fault with durations as texts.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultBody{f.Kind, durationText(f.Delay), f.Times, durationText(f.After)})
}

// UnmarshalJSON decodes what MarshalJSON encodes. Negative durations and counts
// are errors.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var in faultBody
	err := json.Unmarshal(b, &in)
	if err != nil {
		return err
	}
	f.Kind, f.Times = in.Kind, in.Times
	if f.Delay, err = parseDuration("delay", in.Delay); err != nil {
		return err
	}
	if f.After, err = parseDuration("after", in.After); err != nil {
		return err
	}
	if f.Times < 0 {
		return fmt.Errorf("times is %d, must not be negative", f.Times)
	}
	return nil
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func parseDuration(what, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if d < 0 {
		return 0, fmt.Errorf("%s is %s, must not be negative", what, text)
	}
	return d, nil
}

// has reports whether the node has this fault.
func (n *node) has(k FaultKind) bool { return n.fault != nil && n.fault.Kind == k }

// Inject makes a node fail from now on, or heals it with the zero value; its
// former fault goes. A fault of a BMC goes to all nodes behind it, and heals
// with any of them. An unknown node or kind is an error.
func (s *Site) Inject(x string, f Fault) error {
	if f.Kind >= faultKinds {
		return fmt.Errorf("inject a fault into %s: unknown kind %d", x, f.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.lookup(x)
	if !ok {
		return fmt.Errorf("inject a fault into %q: no such node", x)
	}
	s.inject(i, f)
	return nil
}

// inject is Inject with the lock held.
func (s *Site) inject(i int32, f Fault) {
	n := &s.nodes[i]
	if f.Kind.ofBMC() || n.fault != nil && n.fault.Kind.ofBMC() {
		b := s.bmcs[n.bmc]
		for k := b.lo; k < b.hi; k++ {
			sibling := s.nodes[k].fault
			if f.Kind.ofBMC() || sibling != nil && sibling.Kind.ofBMC() {
				s.setFault(k, pick(k == i || f.Kind.ofBMC(), f, Fault{}))
			}
		}
		return
	}
	s.setFault(i, f)
}

// setFault replaces the fault of one node.
func (s *Site) setFault(i int32, f Fault) {
	s.clearFault(i)
	if f.Kind == FaultNone {
		return
	}
	n, c := &s.nodes[i], &s.comps[i]
	n.fault = &f
	s.broken[f.Kind]++
	seq := n.faultSeq
	later := func(d time.Duration, run func()) {
		s.after(s.scaled(d), func() {
			if s.nodes[i].faultSeq == seq {
				run()
			}
		})
	}
	switch f.Kind {
	case FaultPowerOnFails:
		n.failsLeft = int32(f.Times)
	case FaultMissingFromCFS:
		n.config.present = false
	case FaultUnknownToHSM:
		c.gone = true
	case FaultLocked, FaultReserved:
		begin := func() {
			s.hold(i, f.Kind)
			if f.Delay > 0 {
				later(f.Delay, func() { s.release(i, f.Kind) })
			}
		}
		if f.After > 0 {
			later(f.After, begin)
		} else {
			begin()
		}
	default:
		// The others show when something is asked of the node.
	}
}

// otherOwner is who holds the nodes with FaultReserved.
const otherOwner = "somebody else"

func (s *Site) hold(i int32, k FaultKind) {
	if k == FaultLocked {
		s.comps[i].locked = true
		return
	}
	s.comps[i].res = &reservation{owner: otherOwner, created: s.now()}
}

func (s *Site) release(i int32, k FaultKind) {
	c := &s.comps[i]
	if k == FaultLocked {
		c.locked = false
	} else if c.res != nil && c.res.owner == otherOwner {
		c.res = nil
	}
}

// clearFault heals a node.
func (s *Site) clearFault(i int32) {
	n := &s.nodes[i]
	n.faultSeq++
	if n.fault == nil {
		return
	}
	s.broken[n.fault.Kind]--
	kind := n.fault.Kind
	n.fault = nil
	switch kind {
	case FaultMissingFromCFS:
		n.config.present = true
	case FaultUnknownToHSM:
		s.comps[i].gone = false
	case FaultLocked, FaultReserved:
		s.release(i, kind)
	case FaultBootsNothing:
		if n.power == powerOn && n.boot.entry == nil {
			s.fetchScript(i, n.life)
		}
	case FaultNeverReports, FaultWrongToken, FaultReportsLate:
		s.startReporter(i, n.life)
	case FaultConfigurationNeverEnds:
		s.configure(i)
	default:
		// The others end by themselves.
	}
}

// InjectedFaults returns the faults of all nodes that have one.
func (s *Site) InjectedFaults() map[string]Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Fault{}
	for i := range s.nodes {
		if f := s.nodes[i].fault; f != nil {
			out[s.comps[i].id] = *f
		}
	}
	return out
}

// randomFaults are what the fault levels deal: after each of them a session
// still ends.
func randomFaults() []Fault {
	return []Fault{
		{Kind: FaultNeverPowersOn},
		{Kind: FaultNeverReports},
		{Kind: FaultPowerOnFails, Times: 1},
		{Kind: FaultSoftOffIgnored},
		{Kind: FaultConfigurationFails},
		{Kind: FaultBMCRefuses},
		{Kind: FaultSlowPowerOn, Delay: 45 * time.Second},
		{Kind: FaultWrongToken},
		{Kind: FaultReserved, Delay: 90 * time.Second},
		{Kind: FaultMissingFromPCS},
		{Kind: FaultReportsLate, Delay: time.Minute},
		{Kind: FaultForceOffIgnored},
		{Kind: FaultLocked, Delay: 2 * time.Minute},
		{Kind: FaultMissingFromCFS},
		{Kind: FaultBootsNothing},
		{Kind: FaultBMCHangs},
	}
}

// injectRandomFaults deals the random faults of the site's level: each kind in
// turn, to nodes that the seed chooses. The lock must be held.
func (s *Site) injectRandomFaults() {
	share := map[FaultLevel]float64{FaultsSome: 0.05, FaultsMany: 0.25}[s.cfg.Faults]
	if share == 0 {
		return
	}
	rng := rand.New(rand.NewPCG(s.cfg.Seed, mix(s.cfg.Seed^uint64(purposeFault))))
	faults := randomFaults()
	rng.Shuffle(len(faults), func(a, b int) { faults[a], faults[b] = faults[b], faults[a] })
	left := max(1, int(share*float64(s.cfg.Nodes)+0.5))
	dealt := 0
	for _, i := range rng.Perm(s.cfg.Nodes) {
		if left <= 0 {
			return
		}
		if s.nodes[i].fault != nil {
			continue
		}
		f := faults[dealt%len(faults)]
		if f.Kind.ofBMC() && s.siblingBroken(int32(i)) {
			// The BMC's fault would replace one that was dealt before.
			continue
		}
		dealt++
		s.inject(int32(i), f)
		left--
	}
}

func (s *Site) siblingBroken(i int32) bool {
	b := s.bmcs[s.nodes[i].bmc]
	return slices.ContainsFunc(s.nodes[b.lo:b.hi], func(n node) bool { return n.fault != nil })
}

// brokenKinds returns the kinds of fault that nodes have, and how many.
func (s *Site) brokenKinds() map[string]int {
	out := map[string]int{}
	for k, n := range maps.All(s.broken) {
		if n > 0 {
			out[k.String()] = n
		}
	}
	return out
}

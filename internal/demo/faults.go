// SPDX-License-Identifier: MIT

package demo

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
)

// Injection is a fault and the node that gets it.
type Injection struct {
	Node  string
	Fault sim.Fault
}

// manyShare is the part of the nodes that many faults break.
const manyShare = 0.25

// ways returns every way in which a node fails, once. Delays are those of the
// hardware, before scaling. held is how long somebody else has a node.
func ways(held time.Duration) []sim.Fault {
	var out []sim.Fault
	for _, kind := range sim.FaultKinds() {
		f := sim.Fault{Kind: kind}
		switch kind {
		case sim.FaultSlowPowerOn:
			f.Delay = 45 * time.Second
		case sim.FaultReportsLate:
			f.Delay = time.Minute
		case sim.FaultPowerOnFails:
			f.Times = 1
		case sim.FaultLocked, sim.FaultReserved:
			f.Delay = held
		default:
		}
		out = append(out, f)
	}
	return out
}

// ofBMC reports whether a fault breaks all nodes behind the same controller.
func ofBMC(kind sim.FaultKind) bool {
	return kind == sim.FaultBMCHangs || kind == sim.FaultBMCRefuses || kind == sim.FaultBMCRejects
}

// controller returns the name of the controller that a node is behind.
func controller(node string) string {
	if n := strings.LastIndexByte(node, 'n'); n > 0 {
		return node[:n]
	}
	return node
}

// Deal chooses which nodes break, and how: with some faults every way once,
// with many a quarter of the nodes but every way at least once, as far as there
// are nodes. The seed decides. A fault of a controller goes where no other node
// behind it is broken. held is how long nodes are locked or reserved by somebody
// else, before scaling.
func Deal(nodes []string, level sim.FaultLevel, seed uint64, held time.Duration) []Injection {
	faults := ways(held)
	count := 0 // of nodes to break beside one in every way
	switch level {
	case sim.FaultsNone:
		return nil
	case sim.FaultsSome:
	case sim.FaultsMany:
		count = int(math.Ceil(manyShare * float64(len(nodes))))
	}
	rng := rand.New(rand.NewPCG(seed, uint64(len(nodes))))
	rng.Shuffle(len(faults), func(a, b int) { faults[a], faults[b] = faults[b], faults[a] })
	// Those that need a whole controller choose first.
	slices.SortStableFunc(faults, func(a, b sim.Fault) int { return rank(a.Kind) - rank(b.Kind) })
	left := nodesBehind(nodes)
	whole := maps.Clone(left)
	free := make([]string, len(nodes))
	for i, n := range rng.Perm(len(nodes)) {
		free[i] = nodes[n]
	}
	var out []Injection
	for next := 0; (next < len(faults) || count > 0) && len(free) > 0; next++ {
		f := faults[next%len(faults)]
		i := 0
		if ofBMC(f.Kind) {
			i = slices.IndexFunc(free, func(n string) bool { return left[controller(n)] == whole[controller(n)] })
			if i < 0 {
				continue
			}
		}
		node, c, before := free[i], controller(free[i]), len(free)
		free = slices.DeleteFunc(free, func(n string) bool { return n == node || ofBMC(f.Kind) && controller(n) == c })
		left[c] -= before - len(free)
		count -= before - len(free)
		out = append(out, Injection{node, f})
	}
	return out
}

// nodesBehind counts the nodes behind each controller.
func nodesBehind(nodes []string) map[string]int {
	out := map[string]int{}
	for _, n := range nodes {
		out[controller(n)]++
	}
	return out
}

func rank(kind sim.FaultKind) int {
	if ofBMC(kind) {
		return 0
	}
	return 1
}

// CouldSucceed reports whether a node with a fault can get where an operation
// wants it. All start powered off, and the operations follow each other: boot,
// reboot, shutdown.
func CouldSucceed(f sim.Fault, op bos.Operation) bool {
	switch f.Kind {
	case sim.FaultNone, sim.FaultSlowPowerOn, sim.FaultPowerOnFails, sim.FaultSoftOffIgnored, sim.FaultReportsLate,
		sim.FaultReserved:
		return true
	case sim.FaultLocked:
		// A node that is locked when a session is set up does not belong to it.
		return op != bos.OperationBoot
	case sim.FaultNeverPowersOn, sim.FaultNeverReports, sim.FaultWrongToken, sim.FaultBootsNothing,
		sim.FaultConfigurationFails, sim.FaultConfigurationNeverEnds, sim.FaultBMCRejects:
		return op == bos.OperationShutdown
	case sim.FaultForceOffIgnored:
		return op == bos.OperationBoot
	case sim.FaultMissingFromPCS, sim.FaultMissingFromCFS, sim.FaultBMCHangs, sim.FaultBMCRefuses,
		sim.FaultPowerInvalid, sim.FaultUnknownToHSM:
		return false
	}
	return false
}

// describe says what a fault does, for people.
func describe(f sim.Fault) string {
	text := f.Kind.String()
	switch {
	case f.Kind == sim.FaultPowerOnFails:
		text += " (once)"
	case f.Delay > 0:
		text += " (" + short(f.Delay) + ")"
	}
	return text
}

// short writes 2m and not 2m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

// SPDX-License-Identifier: MIT

package demo_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/config"
	"bos/internal/demo"
	"bos/internal/sim"
	"bos/internal/xname"
)

// The reports that users of BOS know.
const (
	retryLimit = "The retry limit has been hit for this component, but no services have reported specific errors"
	cancelled  = `cancelled, since nothing had changed for longer than BOS waits for anything \(configuring\)`
)

// reports say for every way in which a node fails what BOS must report of it.
func reports() map[sim.FaultKind]string {
	return map[sim.FaultKind]string{
		sim.FaultNeverPowersOn:          "boot, reboot failed: " + retryLimit + "; shutdown succeeded",
		sim.FaultSlowPowerOn:            "boot, reboot, shutdown succeeded",
		sim.FaultPowerOnFails:           "boot succeeded with 2 power-ons; reboot, shutdown succeeded",
		sim.FaultSoftOffIgnored:         "boot succeeded; reboot, shutdown succeeded with a forced power-off",
		sim.FaultForceOffIgnored:        "boot succeeded; reboot, shutdown failed: " + retryLimit,
		sim.FaultNeverReports:           "boot, reboot failed: " + retryLimit + "; shutdown succeeded",
		sim.FaultWrongToken:             "boot, reboot failed: " + retryLimit + "; shutdown succeeded",
		sim.FaultReportsLate:            "boot, reboot, shutdown succeeded",
		sim.FaultBootsNothing:           "boot, reboot failed: " + retryLimit + "; shutdown succeeded",
		sim.FaultConfigurationFails:     "boot, reboot failed: cfs configuration failed; shutdown succeeded",
		sim.FaultConfigurationNeverEnds: "boot, reboot failed: " + cancelled + "; shutdown succeeded",
		sim.FaultMissingFromPCS:         "boot, reboot, shutdown failed: Component information was not returned by pcs",
		sim.FaultMissingFromCFS:         "boot, reboot, shutdown failed: Component information was not returned by cfs",
		sim.FaultLocked:                 "boot failed: left out of the session at set-up; reboot, shutdown succeeded",
		sim.FaultReserved: "boot succeeded after waiting for a lock or a reservation of this node in hsm to be released; " +
			"reboot, shutdown succeeded",
		sim.FaultBMCHangs:     "boot, reboot, shutdown failed: pcs failed to carry out Force-Off: .*: context deadline exceeded",
		sim.FaultBMCRefuses:   "boot, reboot, shutdown failed: pcs failed to carry out Force-Off: .*: connection refused",
		sim.FaultBMCRejects:   "boot, reboot failed: " + retryLimit + "; shutdown succeeded",
		sim.FaultPowerInvalid: "boot, reboot, shutdown failed: " + retryLimit,
		sim.FaultUnknownToHSM: "boot, reboot, shutdown failed: left out of the session at set-up",
	}
}

// What BOS reports of each broken node is held against what was injected: of
// --nodes 200 --faults many --seed 7, in virtual time, so that it does not
// matter how busy the machine is.
func TestInjectedAgainstReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const nodes = 200
		cfg := demo.Config{Nodes: nodes, Seed: 7, TimeScale: config.DemoTimeScale, Faults: sim.FaultsMany}
		compare(t, nodes, run(t, demo.InVirtualTime(cfg)))
	})
}

// On a few nodes not every fault has a place, but all the others are as they are
// on many.
func TestInjectedIntoFew(t *testing.T) {
	t.Parallel()
	for nodes := range 6 {
		synctest.Test(t, func(t *testing.T) {
			cfg := demo.Config{Nodes: nodes + 1, Seed: uint64(nodes), TimeScale: config.DemoTimeScale, Faults: sim.FaultsSome}
			report := run(t, demo.InVirtualTime(cfg))
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			check(t, report)
		})
	}
}

// compare holds what was injected against what was reported.
func compare(t *testing.T, nodes int, report demo.Report) {
	t.Helper()
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	seen := check(t, report)
	for _, kind := range sim.FaultKinds() {
		if !seen[kind.String()] {
			t.Errorf("no node has %s", kind)
		}
	}
	broken := map[string]bool{}
	for _, f := range report.Faults {
		broken[f.Node] = true
	}
	if len(broken) < nodes/4 {
		t.Errorf("only %d nodes were broken", len(broken))
	}
	for _, op := range report.Operations {
		if op.Succeeded+op.Failed != nodes || len(op.Outcomes) != nodes {
			t.Errorf("%s: %d succeeded and %d failed of %d, with %d outcomes", op.Operation, op.Succeeded, op.Failed, nodes, len(op.Outcomes))
		}
		for _, o := range op.Outcomes {
			if !broken[o.Node] && !o.OK {
				t.Errorf("%s: %s is not broken, but %s", op.Operation, o.Node, o)
			}
		}
	}
}

// check holds the report of each broken node against the table, and returns the
// names of the faults that there are.
func check(t *testing.T, report demo.Report) map[string]bool {
	t.Helper()
	want := reports()
	seen := map[string]bool{}
	for _, f := range report.Faults {
		name, _, _ := strings.Cut(f.Injected, " ")
		seen[name] = true
		var kind sim.FaultKind
		if err := kind.UnmarshalText([]byte(name)); err != nil {
			t.Fatalf("%s: %v", f.Node, err)
		}
		if !regexp.MustCompile("^" + want[kind] + "$").MatchString(f.Reported) {
			t.Errorf("%s with %s:\n got %s\nwant %s", f.Node, f.Injected, f.Reported, want[kind])
		}
	}
	return seen
}

func TestReportsCoverAllFaults(t *testing.T) {
	have := reports()
	for _, kind := range sim.FaultKinds() {
		if have[kind] == "" {
			t.Errorf("nothing says what is to be reported of %s", kind)
		}
	}
}

// nodeNames returns nodes in pairs behind controllers.
func nodeNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("x1c%ds%db%dn%d", i/32, i/4%8, i/2%2, i%2)
	}
	return out
}

func behind(node string) string { return node[:strings.LastIndexByte(node, 'n')] }

func wholeController(kind sim.FaultKind) bool {
	return kind == sim.FaultBMCHangs || kind == sim.FaultBMCRefuses || kind == sim.FaultBMCRejects
}

func TestDeal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := nodeNames(rapid.IntRange(1, 300).Draw(t, "nodes"))
		level := rapid.SampledFrom([]sim.FaultLevel{sim.FaultsNone, sim.FaultsSome, sim.FaultsMany}).Draw(t, "level")
		seed := rapid.Uint64().Draw(t, "seed")
		dealt := demo.Deal(nodes, level, seed, time.Minute)
		if diff := cmp.Diff(dealt, demo.Deal(nodes, level, seed, time.Minute)); diff != "" {
			t.Fatalf("the same seed deals differently:\n%s", diff)
		}
		if level == sim.FaultsNone {
			if len(dealt) > 0 {
				t.Fatalf("without faults %v are dealt", dealt)
			}
			return
		}
		broken := map[string]int{}
		kinds := map[sim.FaultKind]bool{}
		for _, in := range dealt {
			kinds[in.Fault.Kind] = true
			if !slices.Contains(nodes, in.Node) {
				t.Fatalf("%s is no node", in.Node)
			}
			for _, n := range nodes {
				if n == in.Node || wholeController(in.Fault.Kind) && behind(n) == behind(in.Node) {
					broken[n]++
				}
			}
		}
		for n, times := range broken {
			if times > 1 {
				t.Errorf("%s is broken %d times", n, times)
			}
		}
		all := len(sim.FaultKinds())
		if len(nodes) >= 2*all && len(kinds) != all {
			t.Errorf("of %d ways to fail only %d occur among %d nodes", all, len(kinds), len(nodes))
		}
		if level == sim.FaultsMany && len(broken) < len(nodes)/4 {
			t.Errorf("%d of %d nodes are broken", len(broken), len(nodes))
		}
	})
}

// The summary names the nodes of each reason and each fault in ranges.
func TestSummary(t *testing.T) {
	nodes := []string{"x1c0s0b0n0", "x1c0s0b0n1", "x1c0s1b0n0"}
	fault := func(i int) demo.Fault {
		return demo.Fault{Node: nodes[i], Injected: "bmc_hangs", Reported: "boot failed: a", Reports: []string{"boot failed: a"}}
	}
	report := demo.Report{
		Nodes: 3,
		Operations: []demo.Operation{{
			Operation: "boot", Succeeded: 1, Failed: 2, Seconds: 1.25, HardwareSeconds: 1,
			Outcomes: []demo.Outcome{{Node: nodes[0], Reason: "a"}, {Node: nodes[1], Reason: "a"}, {Node: nodes[2], OK: true}},
		}},
		Faults: []demo.Fault{fault(0), fault(1)},
	}
	var out strings.Builder
	if err := report.WriteSummary(&out); err != nil {
		t.Fatal(err)
	}
	want := `
operation     nodes  succeeded   failed   seconds   of which hardware
boot              3          1        2       1.2   1.0

boot failed for
  ` + xname.Fold(nodes[:2]) + `: a

What was injected, and what BOS reported
  ` + xname.Fold(nodes[:2]) + `: bmc_hangs
      boot failed: a
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestErrNamesUnexpectedFailures(t *testing.T) {
	expected := demo.Outcome{Node: "x1c0s0b0n0", Reason: "a", Expected: true}
	report := demo.Report{Operations: []demo.Operation{{Operation: "boot", Outcomes: []demo.Outcome{expected}}}}
	if err := report.Err(); err != nil {
		t.Errorf("a node that could not succeed: %v", err)
	}
	report.Operations[0].Outcomes = append(report.Operations[0].Outcomes, demo.Outcome{Node: "x1c0s0b0n1", Reason: "b"})
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "boot: 1 node") {
		t.Errorf("a node that could have succeeded: %v", err)
	}
	report.Operations = nil
	report.Violations = []sim.Violation{{Rule: sim.RuleNodeTwice, Node: "x1c0s0b0n0", Detail: "twice"}}
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), sim.RuleNodeTwice) {
		t.Errorf("a violation: %v", err)
	}
}

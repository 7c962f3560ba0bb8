// SPDX-License-Identifier: MIT

package scale_test

import (
	"testing"
	"time"

	"bos/internal/decide"
	"bos/internal/sim"
	"bos/test/lab"
)

// passes returns how many passes each operator has made.
func passes(t *testing.T, l *lab.Lab) map[string]int {
	t.Helper()
	families, err := l.App().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range families {
		if f.GetName() != "bos_operator_pass_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			out[m.GetLabel()[0].GetValue()] = int(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// 10,000 nodes that report within a second make few passes of each operator, and
// are all seen.
func TestStormOfReports(t *testing.T) {
	const nodes = 10_000
	site := sim.Config{Nodes: nodes, Delays: sim.Delays{BootMin: 60 * time.Second, BootMax: 61 * time.Second, BSSPerHost: -1}}
	lab.Virtual(t, lab.Config{Site: site}, func(l *lab.Lab) {
		l.StartProcess(decide.RoleDiscovery, decide.RoleSessionSetup, decide.RoleStatus, decide.RolePowerOn, decide.RoleSessionCompletion,
			decide.RoleActualStateCleanup)
		template(l)
		l.Session("boot", "all", "boot", nil)
		l.Until(time.Hour, "the first node is up", func() bool { return l.Site.Stats().Reports > 0 })
		before, begun := passes(t, l), time.Now()
		l.Until(time.Hour, "all nodes have reported", func() bool { return l.Site.Stats().Reports >= nodes })
		if took := time.Since(begun); took > 2*time.Second {
			t.Fatalf("the storm took %v", took)
		}
		l.Wait(100 * time.Millisecond)
		// As many as there are whiles of gathering in the time, a few more where
		// one pass is not about all; a thousandth of the reports.
		if n := passes(t, l)[decide.RoleStatus] - before[decide.RoleStatus]; n == 0 {
			t.Error("nobody looked at the reports")
		}
		for role, n := range passes(t, l) {
			if made := n - before[role]; made > 60 {
				t.Errorf("%s made %d passes for %d reports", role, made, nodes)
			}
		}
	})
}

// SPDX-License-Identifier: MIT

package sim

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestXnames(t *testing.T) {
	for _, c := range []struct {
		in, typ, normal string
		lower, node     bool
	}{
		{"x1000c0s0b0n0", typeNode, "x1000c0s0b0n0", true, true},
		{"X1000C0S0B0N0", typeNode, "x1000c0s0b0n0", false, false},
		{"x1000c00s07b0n01", typeNode, "x1000c0s7b0n1", true, false},
		{"x1000c0s0b0", typeBMC, "x1000c0s0b0", true, false},
		{"x1000c0", typeChassis, "x1000c0", true, false},
		{"x1000", "Cabinet", "x1000", true, false},
		{"foo", "", "", false, false},
		{"x", "", "", false, false},
		{"", "", "", false, false},
		{"x1000c0s0b0n", "", "", false, false},
		{"x1000 c0", "", "", false, false},
		{"x99999999999", "", "", false, false},
	} {
		typ, normal, ok := xnameType(c.in)
		if typ != c.typ || normal != c.normal || ok != (c.typ != "") {
			t.Errorf("xnameType(%q) = %q, %q, %v", c.in, typ, normal, ok)
		}
		if got := isLowerXname(c.in); got != c.lower {
			t.Errorf("isLowerXname(%q) = %v", c.in, got)
		}
		if got := isNodeXname(c.in); got != c.node {
			t.Errorf("isNodeXname(%q) = %v", c.in, got)
		}
	}
}

func TestLayout(t *testing.T) {
	s := New(Config{Nodes: 600, ARMNodes: 2, NodesWithoutArch: 1, NodesWithUnknownArch: 3})
	t.Cleanup(s.Close)
	nodes := s.Nodes()
	if len(nodes) != 600 || nodes[0] != "x1000c0s0b0n0" || nodes[255] != "x1000c7s7b1n1" || nodes[256] != "x1001c0s0b0n0" {
		t.Errorf("nodes: %d, %s, %s, %s", len(nodes), nodes[0], nodes[255], nodes[256])
	}
	if !slices.IsSorted(nodes) {
		t.Error("nodes are not in order")
	}
	if others := s.OtherNodes(); len(others) != 5 || others[0] != "x3000c0s1b0n0" {
		t.Errorf("other nodes: %v", others)
	}
	archs := map[string]int{}
	for i := range 600 {
		archs[s.comps[i].arch]++
	}
	if diff := cmp.Diff(map[string]int{archX86: 594, archARM: 2, "": 1, archUnknown: 3}, archs); diff != "" {
		t.Error(diff)
	}
	if len(s.bmcs) != 305 {
		t.Errorf("%d BMCs", len(s.bmcs))
	}
}

func TestSameSeedSameSite(t *testing.T) {
	build := func(seed uint64) (*Site, []time.Duration) {
		s := New(Config{Nodes: 200, Seed: seed, Faults: FaultsMany})
		t.Cleanup(s.Close)
		var delays []time.Duration
		for i := range int32(200) {
			delays = append(delays, s.softOffDelay(i), s.bootDelay(i), s.configureDelay(i))
		}
		return s, delays
	}
	a, da := build(7)
	b, db := build(7)
	c, dc := build(8)
	if diff := cmp.Diff(a.InjectedFaults(), b.InjectedFaults()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(a.Images(), b.Images()); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(da, db) {
		t.Error("the same seed gives other delays")
	}
	if slices.Equal(da, dc) || cmp.Equal(a.InjectedFaults(), c.InjectedFaults()) || cmp.Equal(a.Images(), c.Images()) {
		t.Error("another seed gives the same site")
	}
	if d := a.cfg.Delays; slices.Min(da) < d.SoftOffMin || slices.Max(da) > d.BootMax {
		t.Errorf("delays from %s to %s", slices.Min(da), slices.Max(da))
	}
}

func TestFaultLevels(t *testing.T) {
	for _, c := range []struct {
		level    FaultLevel
		nodes    int
		min, max int
	}{
		{FaultsNone, 100, 0, 0}, {FaultsSome, 16, 1, 2}, {FaultsMany, 64, 16, 18}, {FaultsSome, 1000, 50, 62},
	} {
		s := New(Config{Nodes: c.nodes, Faults: c.level, Seed: 3})
		t.Cleanup(s.Close)
		faults := s.InjectedFaults()
		if len(faults) < c.min || len(faults) > c.max {
			t.Errorf("%s of %d nodes: %d faults", c.level, c.nodes, len(faults))
		}
		kinds := map[FaultKind]bool{}
		for _, f := range faults {
			kinds[f.Kind] = true
			if f.Kind == FaultConfigurationNeverEnds || f.Kind == FaultUnknownToHSM || f.Kind == FaultLocked && f.Delay == 0 {
				t.Errorf("random fault %s", f.Kind)
			}
		}
		if c.min >= 16 && len(kinds) != len(randomFaults()) {
			t.Errorf("%s of %d nodes: %d kinds", c.level, c.nodes, len(kinds))
		}
		for _, name := range s.OtherNodes() {
			if _, broken := faults[name]; broken {
				t.Errorf("%s is broken", name)
			}
		}
	}
	for _, l := range []FaultLevel{FaultsNone, FaultsSome, FaultsMany} {
		if got, err := ParseFaultLevel(l.String()); err != nil || got != l {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
	if _, err := ParseFaultLevel("all"); err == nil {
		t.Error("level all is taken")
	}
}

func TestHardwareTimes(t *testing.T) {
	s := New(Config{TimeScale: 0.01})
	t.Cleanup(s.Close)
	nodes := s.Nodes()
	boot, off, configure := s.BootTime(nodes), s.OffTime(nodes), s.ConfigureTime(nodes)
	if boot < 630*time.Millisecond || boot > 930*time.Millisecond {
		t.Errorf("boot takes %s", boot)
	}
	if off < 40*time.Millisecond || off > 200*time.Millisecond {
		t.Errorf("off takes %s", off)
	}
	if configure < 200*time.Millisecond || configure > 400*time.Millisecond {
		t.Errorf("configuration takes %s", configure)
	}
	if err := s.Inject(nodes[3], Fault{Kind: FaultSlowPowerOn, Delay: 10 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	if slow := s.BootTime(nodes); slow < 6*time.Second {
		t.Errorf("boot with a slow node takes %s", slow)
	}
	if s.BootTime([]string{"x9c0s0b0n0"}) != 0 {
		t.Error("an unknown node takes time")
	}
}

func TestRealServers(t *testing.T) {
	s := New(Config{TimeScale: 0.001})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bench{Site: s, t: t, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		s.Close()
	})
	u := s.URLs()
	for _, url := range []string{
		u.HSM + "/groups", u.PCS + "/power-status", u.PCS + "/v1/transitions", u.BSS + "/bootparameters",
		u.CFS + "/components", u.IMS + "/images", u.TAPMS + "/tenants",
		"http://" + u.S3Endpoint + strings.TrimPrefix(s.Images()[0].ManifestPath, "s3:/"),
	} {
		if a := b.call("GET", url, nil); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	s.Close()
	s.Close()
	if err := s.Start(); err == nil {
		t.Error("started after Close")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := New(Config{BasePort: l.Addr().(*net.TCPAddr).Port})
	t.Cleanup(s.Close)
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "start simulated hsm") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownService(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	if res := handleInProcess(s.Handler("nope"), newRequest(t, "GET", "/")); res.StatusCode != http.StatusNotFound {
		t.Errorf("answered %d", res.StatusCode)
	}
}

func newRequest(t *testing.T, method, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://hsm.sim"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClosedSiteRefuses(t *testing.T) {
	s := New(Config{})
	h := s.Handler("hsm")
	s.Close()
	if res := handleInProcess(h, newRequest(t, "GET", "/hsm/v2/groups")); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answered %d", res.StatusCode)
	}
	c := &http.Client{Transport: s.Transport()}
	if res, err := c.Get(s.URLs().HSM + "/groups"); err == nil {
		_ = res.Body.Close()
		t.Error("a closed site answers")
	}
}

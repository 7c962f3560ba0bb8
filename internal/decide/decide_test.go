// SPDX-License-Identifier: MIT

package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/decide"
)

// node builds records.
type node struct{ rec bos.Record }

func newNode() *node {
	n := &node{bos.Record{Component: bos.Discovered("x1"), Revision: 10}}
	n.rec.Component.Enabled = bos.Some(true)
	n.rec.Component.Session = bos.Some("s")
	return n
}

func artifacts(name string) bos.BootArtifacts {
	if name == "" {
		return bos.EmptyBootArtifacts()
	}
	return bos.BootArtifacts{
		Kernel: bos.Some("s3://boot-images/" + name + "/kernel"), Initrd: bos.Some("s3://boot-images/" + name + "/initrd"),
		KernelParameters: bos.Some("quiet"),
	}
}

func (n *node) id(id string) *node { n.rec.Component.ID = id; return n }

func (n *node) wants(image, configuration string) *node {
	n.rec.Component.DesiredState = bos.Some(bos.DesiredState{BootArtifacts: bos.Some(artifacts(image)), Configuration: bos.Some(configuration)})
	return n
}

func (n *node) runs(image string) *node {
	n.rec.Component.ActualState = bos.Some(bos.ActualState{BootArtifacts: bos.Some(artifacts(image))})
	return n
}

func (n *node) phase(p bos.Phase) *node {
	n.rec.Component.Status = bos.Some(bos.Status{Phase: bos.Some(p), StatusOverride: bos.Some("")})
	return n
}

func (n *node) override(s bos.StatusName) *node {
	st := n.rec.Component.Status.Value()
	st.StatusOverride = bos.Some(string(s))
	n.rec.Component.Status = bos.Some(st)
	return n
}

func (n *node) did(a bos.Action, at bos.Instant) *node {
	n.rec.Component.LastAction = bos.Some(bos.LastAction{Action: bos.Some(a), Failed: bos.Some(false)})
	n.rec.Sealed.ActionAt = at
	return n
}

// commanded marks the attempt of a command.
func (n *node) commanded(a bos.Action, at bos.Instant) *node {
	n.rec.Sealed.Attempt = &bos.AttemptMark{ID: "attempt", Action: a, At: at}
	return n
}

func (n *node) restart() *node { n.rec.Sealed.Restart = true; return n }

func (n *node) failedAction() *node {
	l := n.rec.Component.LastAction.Value()
	l.Failed = bos.Some(true)
	n.rec.Component.LastAction = bos.Some(l)
	return n
}

func (n *node) attempts(on, graceful, forceful int) *node {
	n.rec.Component.EventStats = bos.Some(bos.EventStats{
		PowerOnAttempts: bos.Some(on), PowerOffGracefulAttempts: bos.Some(graceful), PowerOffForcefulAttempts: bos.Some(forceful),
	})
	return n
}

func (n *node) err(text string) *node { n.rec.Component.Error = bos.Some(text); return n }

func (n *node) waits(by, on string, due bos.Instant) *node {
	n.rec.Sealed.Wait = &bos.Wait{By: by, On: on, Due: due}
	return n
}

var (
	on      = decide.Power{Seen: true, Since: 10, Found: true, State: "on"}
	off     = decide.Power{Seen: true, Since: 10, Found: true, State: "off"}
	offNow  = decide.Power{Seen: true, Since: 10, At: now, Found: true, State: "off"}
	pcsAway = decide.Services{"pcs": {Service: "pcs", Text: "pcs is away", Next: now + 5}}
	pending = decide.Config{Seen: true, Since: 10, Found: true, Desired: "c", Status: "pending"}
)

func cfs(desired, status string) decide.Config {
	return decide.Config{Seen: true, Since: 10, Found: true, Desired: desired, Status: status}
}

// now is past every default wait that began at 1, and before the end of those
// that began at recent.
const (
	now    bos.Instant = 2_000_000
	recent bos.Instant = now - 1000
)

func TestPowerOn(t *testing.T) {
	opts := bos.DefaultOptions()
	pend := func(id string) *node { return newNode().id(id).wants("a", "c").phase("powering_on") }
	in := decide.PowerInput{Now: now, Options: opts, BatchSize: 1000, Nodes: []decide.PowerNode{
		{Record: &pend("x10").rec, Power: off, InHSM: true},
		{Record: &pend("x2").rec, Power: off, InHSM: true},
		{Record: &pend("on").rec, Power: on, InHSM: true},
		{Record: &pend("unseen").rec, InHSM: true},
		{Record: &pend("gone").rec, Power: off},
		{Record: &pend("open").rec, Power: off, InHSM: true, Open: true},
		{Record: &pend("tired").attempts(3, 0, 0).rec, Power: off, InHSM: true},
		{Record: &pend("tired2").attempts(3, 0, 0).err("bss refused").rec, Power: off, InHSM: true},
		{Record: &newNode().id("called").wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent).rec, Power: off, InHSM: true},
		{Record: &pend("reserved").waits(decide.RolePowerOn, decide.OnReservation, now-1).rec, Power: off, InHSM: true, Reserved: true},
		{Record: &pend("soon").waits(decide.RolePowerOn, decide.OnReservation, now+7).rec, Power: off, InHSM: true},
		{Record: &pend("free").waits(decide.RolePowerOn, decide.OnReservation, now-1).rec, Power: off, InHSM: true},
	}}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 1 {
		t.Fatalf("%+v", plan)
	}
	if diff := cmp.Diff([]string{"free", "x2", "x10"}, plan.Batches[0].Nodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]decide.GiveUp{{ID: "tired", Text: decide.TextRetryLimit}, {ID: "tired2"}}, plan.GiveUps); diff != "" {
		t.Error(diff)
	}
	if plan.Due["reserved"] != now.Add(decide.ReservationPause) || plan.Due["soon"] != now+7 {
		t.Errorf("%v", plan.Due)
	}
	zero := pend("x1")
	zero.rec.Component.RetryPolicy = bos.Some(0)
	if p := decide.PowerOn(decide.PowerInput{Options: opts, BatchSize: 1, Nodes: []decide.PowerNode{{Record: &zero.rec, Power: off, InHSM: true}}}); len(p.GiveUps) != 1 {
		t.Errorf("a retry policy of 0 does not fail before the first attempt: %+v", p)
	}
}

func TestPowerOnAway(t *testing.T) {
	away := decide.Services{"bss": {Service: "bss", Text: "bss is away", Next: now + 9}}
	fresh, waiting := newNode().id("a").wants("a", "c").phase("powering_on"), newNode().id("b").wants("a", "c").phase("powering_on")
	waiting.waits(decide.RolePowerOn, "bss", 0)
	in := decide.PowerInput{Now: now, Options: bos.DefaultOptions(), BatchSize: 10, Away: away, Nodes: []decide.PowerNode{
		{Record: &fresh.rec, Power: off, InHSM: true}, {Record: &waiting.rec, Power: off, InHSM: true},
	}}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 0 || len(plan.Holds) != 1 || plan.Holds[0].ID != "a" || plan.Holds[0].Wait.On != "bss" || plan.Due["b"] != now+9 {
		t.Errorf("%+v", plan)
	}
	// CFS is nobody's concern where there is none.
	in.Away = decide.Services{"cfs": {Service: "cfs"}}
	if in.NoCFS = true; len(decide.PowerOn(in).Batches) != 1 {
		t.Error("waits for a service that the site does not have")
	}
	in.Away, in.Probes = nil, map[string]bool{"bss": true}
	if plan := decide.PowerOn(in); len(plan.Batches) != 1 || len(plan.Batches[0].Nodes) != 1 || !slices.Equal(plan.Probed, []string{"bss"}) || plan.Due["b"] == 0 {
		t.Errorf("a probe is more than one node: %+v", plan)
	}
	// A trial of a service is nothing to those who don't need it.
	in.Probes = map[string]bool{"ims": true}
	if plan := decide.PowerOn(in); len(plan.Batches) != 1 || len(plan.Batches[0].Nodes) != 2 || plan.Probed != nil {
		t.Errorf("kept back from a service that they don't need: %+v", plan)
	}
}

func TestPowerOnGroups(t *testing.T) {
	sbps := func(id, image, config string) *node {
		n := newNode().id(id).wants(image, config).phase("powering_on")
		d := n.rec.Component.DesiredState.Value()
		a := d.BootArtifacts.Value()
		a.KernelParameters = bos.Some("quiet root=sbps-s3:s3://boot-images/" + image + "/rootfs:e")
		d.BootArtifacts = bos.Some(a)
		n.rec.Component.DesiredState = bos.Some(d)
		return n
	}
	var nodes []decide.PowerNode
	for _, n := range []*node{
		sbps("x1", "a", "c"), sbps("x2", "a", "d"), sbps("x3", "b", "c"), sbps("x4", "deleted/a", "c"),
		newNode().id("x5").wants("a", "c").phase("powering_on"),
	} {
		nodes = append(nodes, decide.PowerNode{Record: &n.rec, Power: off, InHSM: true})
	}
	in := decide.PowerInput{Options: bos.DefaultOptions(), BatchSize: 10, Nodes: nodes}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 2 || !slices.Equal(plan.Batches[0].Nodes, []string{"x5"}) {
		t.Fatalf("nodes that need no IMS wait with those that do: %+v", plan.Batches)
	}
	b := plan.Batches[1]
	names := func(groups [][]string) string {
		var out []string
		for _, g := range groups {
			out = append(out, strings.Join(g, "+"))
		}
		return strings.Join(out, " ")
	}
	var boots, configs, images [][]string
	for _, g := range b.Boots {
		boots = append(boots, g.Nodes)
	}
	for _, g := range b.Configs {
		configs = append(configs, g.Nodes)
	}
	for _, g := range b.Images {
		images = append(images, append([]string{g.ImageID}, g.Nodes...))
	}
	if got := names(boots); got != "x1+x2 x3" {
		t.Errorf("boots %s", got)
	}
	if got := names(configs); got != "x1+x3 x2" {
		t.Errorf("configs %s", got)
	}
	if got := names(images); got != "a+x1+x2 b+x3" {
		t.Errorf("images %s", got)
	}
	if text := b.Refused["x4"]; len(b.Refused) != 1 || !strings.Contains(text, "deleted/a") {
		t.Errorf("refused %v", b.Refused)
	}
	in.NoIMS = true
	if b := decide.PowerOn(in).Batches[0]; len(b.Images) != 0 || len(b.Refused) != 0 {
		t.Errorf("images without IMS: %+v", b)
	}
}

func TestPowerOff(t *testing.T) {
	opts := bos.DefaultOptions()
	stuck := newNode().id("x1").phase("powering_off").did(bos.ActionPoweringOffGracefully, recent)
	long := newNode().id("x2").phase("powering_off").did(bos.ActionPoweringOffForcefully, 1)
	pend := newNode().id("x3").phase("powering_off").did(bos.ActionSessionSetup, 1)
	in := decide.PowerInput{Now: now, Options: opts, BatchSize: 50, Nodes: []decide.PowerNode{
		{Record: &stuck.rec, InHSM: true}, {Record: &long.rec, InHSM: true}, {Record: &pend.rec, InHSM: true},
	}}
	forceful := decide.PowerOffForceful(in)
	if len(forceful.Batches) != 1 || forceful.Batches[0].Nodes[0] != "x2" || forceful.Due["x1"] != recent.Add(300*time.Second) {
		t.Errorf("%+v", forceful)
	}
	graceful := decide.PowerOffGraceful(in)
	if len(graceful.Batches) != 1 || graceful.Batches[0].Nodes[0] != "x3" || len(graceful.Batches[0].Nodes) != 1 {
		t.Errorf("%+v", graceful)
	}
}

// Every node is in at most one place of a plan, no batch is too big, and nobody
// is commanded who must not be.
func TestPowerPlansAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := decide.PowerInput{Now: now, Options: bos.DefaultOptions(), BatchSize: rapid.IntRange(1, 4).Draw(t, "batch")}
		if rapid.Bool().Draw(t, "probe") {
			in.Probes = map[string]bool{rapid.SampledFrom([]string{"hsm", "bss", "ims"}).Draw(t, "probes"): true}
		}
		if rapid.Bool().Draw(t, "away") {
			in.Away = decide.Services{"pcs": {Service: "pcs", Next: now + 1}}
		}
		byID := map[string]decide.PowerNode{}
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			n := newNode().id(fmt.Sprintf("x%d", i)).wants("a", "c").
				phase(rapid.SampledFrom([]bos.Phase{"powering_on", "powering_off", "configuring"}).Draw(t, "phase")).
				did(rapid.SampledFrom([]bos.Action{bos.ActionSessionSetup, bos.ActionPoweringOn, bos.ActionPoweringOffGracefully}).Draw(t, "last"), 1).
				attempts(rapid.IntRange(0, 3).Draw(t, "a"), rapid.IntRange(0, 3).Draw(t, "g"), 0)
			n.rec.Component.Enabled = bos.Some(rapid.Bool().Draw(t, "enabled"))
			pn := decide.PowerNode{Record: &n.rec, Power: rapid.SampledFrom([]decide.Power{on, off, {}}).Draw(t, "power"),
				InHSM: rapid.Bool().Draw(t, "hsm"), Open: rapid.Bool().Draw(t, "open")}
			byID[n.rec.Component.ID] = pn
			in.Nodes = append(in.Nodes, pn)
		}
		for _, plan := range []decide.PowerPlan{decide.PowerOn(in), decide.PowerOffGraceful(in), decide.PowerOffForceful(in)} {
			seen := map[string]bool{}
			take := func(id string) {
				if seen[id] {
					t.Fatalf("%s twice", id)
				}
				seen[id] = true
			}
			for _, b := range plan.Batches {
				if len(b.Nodes) > in.BatchSize || len(b.Nodes) == 0 {
					t.Fatalf("a batch of %d", len(b.Nodes))
				}
				for _, id := range b.Nodes {
					take(id)
					n := byID[id]
					if !n.Record.Component.Enabled.Value() || !n.InHSM || n.Open || in.Away != nil ||
						b.Action == bos.ActionPoweringOn && !n.Power.Off() || b.Action == bos.ActionPoweringOffForcefully && n.Power.Off() {
						t.Fatalf("%s %s must not be commanded", b.Action, id)
					}
				}
				inGroups := len(b.Refused)
				for _, g := range b.Boots {
					inGroups += len(g.Nodes)
				}
				if b.Action == bos.ActionPoweringOn && inGroups != len(b.Nodes) {
					t.Fatalf("%d of %d nodes are in boot groups", inGroups, len(b.Nodes))
				}
			}
			if in.Probes["hsm"] && len(seen) > 1 {
				t.Fatalf("%d nodes try hsm", len(seen))
			}
			for _, g := range plan.GiveUps {
				take(g.ID)
			}
			for _, h := range plan.Holds {
				take(h.ID)
			}
		}
	})
}

func TestConfiguration(t *testing.T) {
	mk := func(id string, c decide.Config) decide.StatusNode {
		return decide.StatusNode{Record: &newNode().id(id).wants("a", "c").phase("configuring").rec, Config: c}
	}
	groups, look := decide.Configuration([]decide.StatusNode{
		mk("x10", cfs("d", "configured")), mk("x2", cfs("", "unconfigured")), mk("same", pending), mk("old", decide.Config{Seen: true, Since: 1}),
		mk("gone", decide.Config{Seen: true, Since: 10}), mk("x3", cfs("d", "")),
	}, 2)
	want := []decide.ConfigGroup{{Configuration: "c", Session: "s", Nodes: []string{"x2", "x3"}}, {Configuration: "c", Session: "s", Nodes: []string{"x10"}}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"old"}, look); diff != "" {
		t.Error(diff)
	}
}

func TestSmallDecisions(t *testing.T) {
	known := bos.NewSet("x1")
	if diff := cmp.Diff([]string{"x2", "x10"}, decide.Discovery([]string{"x10", "x1", "x2", "x2"}, known.Has)); diff != "" {
		t.Error(diff)
	}
	sessions := []*bos.SessionRecord{}
	for _, name := range []string{"busy", "done", "pending"} {
		s := bos.NewSession(bos.SessionCreate{Name: name}, "", name, time.Now())
		s.Session.Status.Status = bos.SessionRunning
		if name == "pending" {
			s.Session.Status.Status = bos.SessionPending
		}
		sessions = append(sessions, &s)
	}
	done := decide.SessionCompletion(sessions, func(k bos.SessionKey) bool { return k.Name == "busy" })
	if len(done) != 1 || done[0].Session.Name != "done" {
		t.Errorf("%v", done)
	}
	stale, fresh, busy, empty := newNode().id("stale").runs("a"), newNode().id("fresh").runs("a"), newNode().id("busy").runs("a"), newNode().id("empty")
	stale.rec.Component.Enabled = bos.Some(false)
	fresh.rec.Sealed.ActualAt = now
	busy.did(bos.ActionPoweringOn, 1)
	later := now.Add(5 * time.Hour)
	fresh.rec.Sealed.ActualAt = later - 1
	ids, due := decide.ActualStateCleanup(later, bos.DefaultOptions(), []*bos.Record{&stale.rec, &fresh.rec, &busy.rec, &empty.rec})
	if diff := cmp.Diff([]string{"stale"}, ids); diff != "" || len(due) != 1 || due["fresh"] != (later-1).Add(4*time.Hour) {
		t.Errorf("%s %v", diff, due)
	}
}

func TestCandidates(t *testing.T) {
	site := decide.Site{Inventory: bos.Inventory{
		Groups: map[string]bos.Set{"g": bos.NewSet("x3", "x4")}, Roles: map[string]bos.Set{"Compute": bos.NewSet("x5"), "Application_UAN": bos.NewSet("x6")},
	}}
	set := bos.BootSet{NodeList: bos.Some([]string{"x1", "x2", "x2"}), NodeGroups: bos.Some([]string{"g", "nosuch"}), NodeRolesGroups: bos.Some([]string{"Compute", "Nope"})}
	nodes, warnings, err := decide.Candidates(&set, site)
	if err != nil || len(nodes) != 5 || len(warnings) != 2 {
		t.Errorf("%v, %v, %v", nodes, warnings, err)
	}
	site.Tenant = bos.NewSet("x2", "x3")
	_, _, err = decide.Candidates(&bos.BootSet{NodeList: bos.Some([]string{"x10", "x1", "x2", "x10"})}, site)
	if err == nil || err.Error() != "The session template includes nodes which do not exist or are not available to this tenant: x1,x10" {
		t.Errorf("%v", err)
	}
}

func TestSift(t *testing.T) {
	site := decide.Site{
		Nodes: map[string]decide.HSMNode{
			"x1": {Arch: "X86", Enabled: true}, "x2": {Arch: "", Enabled: true}, "x3": {Arch: "UNKNOWN", Enabled: true}, "x4": {Arch: "ARM", Enabled: true},
			"x5": {Arch: "Other", Enabled: true}, "x6": {Arch: "X86"}, "x7": {Arch: "X86", Enabled: true}, "x8": {Arch: "Unknown", Enabled: true}, "x10": {Arch: "X86", Enabled: true},
		},
		Locked: bos.NewSet("x7"),
	}
	all := bos.NewSet("x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10")
	for _, tt := range []struct {
		arch     bos.Arch
		disabled bool
		limit    string
		tenant   bos.Set
		want     string
	}{
		{arch: bos.ArchX86, want: "x1 x2 x3 x8 x10"},
		{arch: "", want: "x1 x2 x3 x8 x10"},
		{arch: bos.ArchUnknown, want: "x2 x3 x8"},
		{arch: bos.ArchARM, want: "x4"},
		{arch: bos.ArchOther, want: "x5"},
		{arch: bos.ArchX86, disabled: true, want: "x1 x2 x3 x6 x8 x10"},
		{arch: bos.ArchX86, limit: "x1,x4,x9", want: "x1"},
		{arch: bos.ArchX86, tenant: bos.NewSet("x10", "x4"), want: "x10"},
	} {
		set := bos.BootSet{}
		if tt.arch != "" {
			set.Arch = bos.Some(tt.arch)
		}
		limit, err := bos.ParseLimit(tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		site.Tenant = tt.tenant
		got, left := decide.Sift(&bos.Session{IncludeDisabled: tt.disabled}, &set, limit, all, site)
		if len(got)+len(left) != len(all) {
			t.Errorf("%d of %d nodes are in, %d out", len(got), len(all), len(left))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A plan names every node once, with the last boot set's target, in chunks that
// fit into the store.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sets []decide.BootSetPlan
		want := map[string]string{}
		for i := range rapid.IntRange(1, 4).Draw(t, "sets") {
			set := decide.BootSetPlan{Target: bos.Target{Configuration: fmt.Sprint(i)}}
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 50).Draw(t, "nodes") {
				set.Nodes = append(set.Nodes, fmt.Sprintf("x%d", n))
				want[fmt.Sprintf("x%d", n)] = fmt.Sprint(i)
			}
			sets = append(sets, set)
		}
		got := map[string]string{}
		for _, chunk := range decide.Plan("uid", sets) {
			for _, n := range chunk.Nodes {
				if _, twice := got[n.ID]; twice {
					t.Fatalf("%s twice", n.ID)
				}
				got[n.ID] = chunk.Targets[n.Target].Configuration
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	var big decide.BootSetPlan
	for i := range 100_000 {
		big.Nodes = append(big.Nodes, fmt.Sprintf("x%dc%ds%db%dn%d", i/512, i/64%8, i/4%16, i/2%2, i%2))
	}
	if chunks := decide.Plan("u", []decide.BootSetPlan{big}); len(chunks) != 50 || !slices.IsSortedFunc(chunks[0].Nodes, func(a, b bos.PlannedNode) int {
		return strings.Compare("", "")
	}) {
		t.Errorf("%d chunks", len(chunks))
	}
}

func TestSetUp(t *testing.T) {
	w := bos.Write{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Instant: now}
	target := bos.Target{BootArtifacts: artifacts("a"), Configuration: "c"}
	old := newNode().runs("b").err("old").attempts(2, 0, 0).rec
	old.Component.DesiredState = bos.Some(bos.DesiredState{BSSToken: bos.Some("tok")})
	for _, op := range []bos.Operation{bos.OperationBoot, bos.OperationReboot, bos.OperationShutdown} {
		s := bos.Session{Name: "new", Tenant: "blue", Operation: op}
		if op == bos.OperationShutdown {
			target = decide.OffTarget()
		}
		got := decide.SetUp(w, &s, "uid", target, old)
		c := got.Component
		if got.Sealed.Owner != "blue" || got.Sealed.Plan != "uid" || c.Session.Value() != "new" || !c.Enabled.Value() || c.Error.Value() != "" ||
			c.StatusNow() != bos.StatusOnHold || c.LastAction.Value().Action.Value() != bos.ActionSessionSetup || c.EventStats.Value() != bos.ZeroEventStats() {
			t.Errorf("%s: %+v", op, got)
		}
		if empty := c.ActualState.Value().BootArtifacts.Value() == bos.EmptyBootArtifacts(); empty != (op == bos.OperationReboot) {
			t.Errorf("%s: actual state %+v", op, c.ActualState)
		}
		wantToken := "tok"
		if op == bos.OperationShutdown {
			wantToken = ""
		}
		if got := c.DesiredState.Value().BSSToken.Value(); got != wantToken {
			t.Errorf("%s: token %q", op, got)
		}
		s.Stage = true
		staged := decide.SetUp(w, &s, "uid2", target, old)
		if staged.AwaitedStage() != s.Key() || staged.Sealed.StagedOperation != op || staged.Component.Session.Value() != "s" ||
			!cmp.Equal(staged.Component.Enabled.Value(), true) || staged.Component.DesiredState != old.Component.DesiredState {
			t.Errorf("staged %s: %+v", op, staged)
		}
	}
}

// Whoever is enabled has an owner and something awaited.
func TestTurn(t *testing.T) {
	opts := bos.DefaultOptions()
	for _, phase := range []bos.Phase{"", "powering_on", "powering_off", "configuring"} {
		for _, override := range []bos.StatusName{"", "on_hold", "failed", "odd"} {
			for _, action := range []bos.Action{"", bos.ActionPoweringOn, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully} {
				n := newNode().phase(phase).override(override).did(action, recent)
				for _, open := range []bool{false, true} {
					turn, ok := decide.Turn(&n.rec, opts, false, open)
					if !ok || turn.Owner == "" || turn.Awaiting == "" {
						t.Errorf("%s %s %s: %+v", phase, override, action, turn)
					}
				}
			}
		}
	}
	idle := newNode()
	idle.rec.Component.Enabled = bos.Some(false)
	if _, ok := decide.Turn(&idle.rec, opts, false, false); ok {
		t.Error("a disabled component has a turn")
	}
	if turn, _ := decide.Turn(&newNode().phase("powering_on").waits("power-on", "bss", 1).rec, opts, false, false); turn.Awaiting != "bss" {
		t.Errorf("%+v", turn)
	}
}

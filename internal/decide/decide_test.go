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

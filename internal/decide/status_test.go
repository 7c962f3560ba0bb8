// SPDX-License-Identifier: MIT

package decide_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/decide"
)

func TestStatus(t *testing.T) {
	const unset = "<unset>"
	tests := []struct {
		name   string
		n      *node
		power  decide.Power
		config decide.Config
		noCFS  bool
		away   decide.Services
		// want is phase, override, enabled, error and last_action.failed as
		// written; unset ones are left out.
		phase, override, err string
		disable              bool
		failed               string
		rest, hold, open     bool
		look                 decide.Look
		due                  bos.Instant
	}{
		{name: "held without a look", n: newNode().override("on_hold"), look: decide.Look{Power: true, Config: true}},
		{name: "held with old looks", n: newNode().override("on_hold"), power: decide.Power{Seen: true, Since: 9, Found: true, State: "on"},
			config: decide.Config{Seen: true, Since: 9}, look: decide.Look{Power: true, Config: true}},
		{name: "held without CFS", n: newNode().override("on_hold"), noCFS: true, look: decide.Look{Power: true}},
		{name: "off and wanted off", n: newNode().override("on_hold").err("old"), power: off, config: pending,
			phase: unset, override: "", disable: true, err: ""},
		{name: "off and wanted on", n: newNode().override("on_hold").wants("a", "c"), power: off, config: pending,
			phase: "powering_on", override: "", err: unset},
		{name: "power-on called, still off", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent), power: off,
			rest: true, due: recent.Add(120 * time.Second)},
		{name: "power-on called, never came on", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, 1), power: offNow,
			phase: unset, override: "", err: unset, failed: "true"},
		{name: "power-on called, not looked at since its time is over", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, 1),
			power: off, look: decide.Look{Power: true}},
		{name: "power-on called, its time is over, PCS away", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, 1),
			power: off, away: pcsAway, hold: true, due: now + 5},
		{name: "power-on called, PCS away", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent), power: off,
			away: pcsAway, hold: true, due: now + 5},
		{name: "power-on called, PCS still away", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent).
			waits(decide.RoleStatus, "pcs", 0), power: off, away: pcsAway, rest: true, due: now + 5},
		{name: "booting, PCS away", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent), power: on,
			away: pcsAway, rest: true, due: recent.Add(1200 * time.Second)},
		{name: "shutdown called, PCS away", n: newNode().phase("powering_off").did(bos.ActionPoweringOffGracefully, recent), power: on,
			away: pcsAway, hold: true, due: now + 5},
		{name: "shutdown called, PCS away, forced off waits for HSM", n: newNode().phase("powering_off").did(bos.ActionPoweringOffGracefully, recent).
			waits(decide.RolePowerOffForceful, "hsm", 0), power: on, away: pcsAway, rest: true, due: now + 5},
		{name: "configuring, CFS away", n: newNode().wants("a", "c").runs("a").phase("configuring"), power: on, config: pending,
			away: decide.Services{"cfs": {Service: "cfs", Text: "cfs is away", Next: now + 7}}, hold: true, due: now + 7},
		{name: "off by what PCS shows, but switched on just now", n: newNode().override("on_hold").commanded(bos.ActionPoweringOn, recent),
			power: off, config: pending, rest: true, due: now.Add(5 * time.Second)},
		{name: "off by what PCS shows, switched on, PCS is not done", n: newNode().override("on_hold").commanded(bos.ActionPoweringOn, 1),
			power: off, config: pending, open: true, rest: true, due: now.Add(5 * time.Second)},
		{name: "off, was switched on long ago", n: newNode().override("on_hold").commanded(bos.ActionPoweringOn, 1),
			power: off, config: pending, phase: unset, override: "", disable: true, err: unset},
		{name: "off, switched on just now, failed", n: newNode().override("failed").commanded(bos.ActionPoweringOn, recent),
			power: off, config: pending, phase: unset, override: "failed", disable: true, err: unset},
		{name: "runs what it shall, but was shut down just now", power: on, config: pending,
			n:    newNode().override("on_hold").wants("a", "c").runs("a").commanded(bos.ActionPoweringOffGracefully, recent),
			rest: true, due: now.Add(5 * time.Second)},
		{name: "runs what it shall, came up in spite of a shutdown", power: on, config: pending,
			n:     newNode().wants("a", "c").runs("a").phase("powering_off").commanded(bos.ActionPoweringOffGracefully, 1),
			phase: "configuring", override: "", err: unset},
		{name: "runs what it shall, but is to be restarted", n: newNode().override("on_hold").wants("a", "c").runs("a").restart(), power: on,
			config: pending, phase: "powering_off", override: "", err: unset},
		{name: "came on after all", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent).failedAction(), power: on,
			phase: unset, override: "", err: unset, failed: "false", due: recent.Add(1200 * time.Second)},
		{name: "booting", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent), power: on,
			rest: true, due: recent.Add(1200 * time.Second)},
		{name: "never reported", n: newNode().wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, 1), power: on,
			phase: "powering_off", override: "", err: unset},
		{name: "on and wanted off", n: newNode().override("on_hold"), power: on, config: pending, phase: "powering_off", override: "", err: unset},
		{name: "on with another image", n: newNode().override("on_hold").wants("a", "c").runs("b"), power: on, config: pending,
			phase: "powering_off", override: "", err: unset},
		{name: "power unknown counts as on", n: newNode().override("on_hold").wants("a", "c"), config: pending,
			power: decide.Power{Seen: true, Since: 10, Found: true, State: "undefined"}, phase: "powering_off", override: "", err: unset},
		{name: "power error counts as on", n: newNode().override("on_hold"), config: pending,
			power: decide.Power{Seen: true, Since: 10, Found: true, State: "off", Error: "no BMC"}, phase: "powering_off", override: "", err: unset},
		{name: "reported, look at CFS is old", n: newNode().wants("a", "c").runs("a").phase("powering_on").did(bos.ActionPoweringOn, recent), power: on,
			config: decide.Config{Seen: true, Since: 9, Found: true}, look: decide.Look{Config: true}},
		{name: "reported, not configured yet", n: newNode().wants("a", "c").runs("a").phase("powering_on").did(bos.ActionPoweringOn, recent), power: on,
			config: pending, phase: "configuring", override: "", err: unset},
		{name: "CFS has another configuration", n: newNode().wants("a", "c").runs("a").phase("powering_on"), power: on,
			config: cfs("d", "configured"), phase: "configuring", override: "", err: unset},
		{name: "still configuring", n: newNode().wants("a", "c").runs("a").phase("configuring"), power: on, config: pending, rest: true},
		{name: "configured", n: newNode().wants("a", "c").runs("a").phase("configuring").attempts(1, 0, 0).err("x"), power: on,
			config: cfs("c", "configured"), phase: "", override: "", disable: true, err: ""},
		{name: "CONFIGURED", n: newNode().wants("a", "c").runs("a").phase("configuring"), power: on,
			config: cfs("c", "CONFIGURED"), phase: "", override: "", disable: true, err: unset},
		{name: "configuration failed", n: newNode().wants("a", "c").runs("a").phase("configuring"), power: on,
			config: cfs("c", "failed"), phase: unset, override: "failed", disable: true, err: "cfs configuration failed"},
		{name: "configuration odd", n: newNode().wants("a", "c").runs("a").phase("configuring"), power: on, config: cfs("c", "unconfigured"),
			phase: unset, override: "failed", disable: true, err: "cfs is not reporting a valid configuration status for this component: unconfigured"},
		{name: "no configuration wanted", n: newNode().wants("a", "").runs("a").phase("powering_on"), power: on,
			config: cfs("", "unconfigured"), phase: "", override: "", disable: true, err: unset},
		{name: "no CFS", n: newNode().wants("a", "c").runs("a").phase("powering_on"), power: on, noCFS: true,
			phase: "", override: "", disable: true, err: unset},
		{name: "not in PCS", n: newNode().override("on_hold").wants("a", "c"), power: decide.Power{Seen: true, Since: 10}, config: pending,
			phase: unset, override: "on_hold", disable: true, err: "Component information was not returned by pcs"},
		{name: "not in CFS", n: newNode().override("on_hold").wants("a", "c"), power: off, config: decide.Config{Seen: true, Since: 10},
			phase: unset, override: "on_hold", disable: true, err: "Component information was not returned by cfs"},
		{name: "failed is disabled and keeps its phase", n: newNode().wants("a", "c").phase("powering_on").override("failed").err("why"), power: off,
			phase: unset, override: "failed", disable: true, err: unset},
		{name: "failed, on, matching, no look at CFS", n: newNode().wants("a", "c").runs("a").phase("powering_on").override("failed"), power: on,
			phase: unset, override: "failed", disable: true, err: unset},
		{name: "PCS away", n: newNode().override("on_hold"), away: decide.Services{"pcs": {Service: "pcs", Text: "pcs is away", Next: now + 5}},
			hold: true, due: now + 5},
		{name: "PCS still away", n: newNode().override("on_hold").waits(decide.RoleStatus, "pcs", 0),
			away: decide.Services{"pcs": {Service: "pcs", Next: now + 5}}, look: decide.Look{Power: true, Config: true}, due: now + 5},
		{name: "PCS answers again", n: newNode().phase("powering_on").wants("a", "c").did(bos.ActionPoweringOn, recent).waits(decide.RoleStatus, "pcs", 0),
			power: off, phase: unset, override: unset, err: unset, due: recent.Add(120 * time.Second)},
		{name: "another operator's wait stays", n: newNode().phase("powering_on").wants("a", "c").waits(decide.RolePowerOn, "bss", 0), power: off, rest: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decide.Status(decide.StatusInput{
				Now: now, Options: bos.DefaultOptions(), NoCFS: tt.noCFS, Away: tt.away,
				Nodes: []decide.StatusNode{{Record: &tt.n.rec, Power: tt.power, Config: tt.config, Open: tt.open}},
			})[0]
			if got.Due != tt.due {
				t.Errorf("due %d, want %d", got.Due, tt.due)
			}
			switch o := got.Outcome.(type) {
			case decide.Look:
				if o != tt.look {
					t.Errorf("%+v", o)
				}
			case decide.Rest:
				if !tt.rest {
					t.Error("rest")
				}
			case decide.Hold:
				if !tt.hold || o.Wait.Text == "" {
					t.Errorf("%+v", o)
				}
			case decide.Set:
				if tt.rest || tt.hold || tt.look != (decide.Look{}) {
					t.Fatalf("%+v", o)
				}
				st := o.Patch.Status.Value()
				check := func(what, want string, got string, set bool) {
					if want == unset && set || want != unset && (!set || got != want) {
						t.Errorf("%s is %q (set: %v), want %q", what, got, set, want)
					}
				}
				check("phase", tt.phase, string(st.Phase.Value()), st.Phase.IsSet())
				check("override", tt.override, st.StatusOverride.Value(), st.StatusOverride.IsSet())
				check("error", tt.err, o.Patch.Error.Value(), o.Patch.Error.IsSet())
				if o.Patch.Enabled.IsSet() != tt.disable || o.Patch.Enabled.Value() {
					t.Errorf("enabled: %+v", o.Patch.Enabled)
				}
				if l := o.Patch.LastAction.Value(); tt.failed != "" && fmt.Sprint(l.Failed.Value()) != tt.failed || l.Failed.IsSet() != (tt.failed != "") {
					t.Errorf("failed: %+v", l)
				}
			}
		})
	}
}

func TestStatusResets(t *testing.T) {
	run := func(n *node, p decide.Power, c decide.Config) bos.Component {
		got := decide.Status(decide.StatusInput{Now: now, Options: bos.DefaultOptions(), Nodes: []decide.StatusNode{{Record: &n.rec, Power: p, Config: c}}})
		return got[0].Outcome.(decide.Set).Patch
	}
	leaving := run(newNode().wants("a", "c").runs("b").phase("powering_off").attempts(0, 1, 0), off, pending)
	if leaving.ActualState.Value() != bos.EmptyActualState() || leaving.EventStats.IsSet() {
		t.Errorf("leaving powering_off: %+v", leaving)
	}
	done := run(newNode().phase("powering_off").attempts(0, 1, 0), off, pending)
	if done.EventStats.Value() != bos.ZeroEventStats() || done.ActualState.Value() != bos.EmptyActualState() {
		t.Errorf("shut down: %+v", done)
	}
}

// What the status operator decides stands: decided again on what it wrote, with
// the same looks, nothing changes, and who is done or failed is disabled.
func TestStatusConverges(t *testing.T) {
	opts := bos.DefaultOptions()
	w := bos.Write{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Instant: now}
	rapid.Check(t, func(t *rapid.T) {
		n := newNode().wants(rapid.SampledFrom([]string{"", "a"}).Draw(t, "want"), rapid.SampledFrom([]string{"", "c"}).Draw(t, "config")).
			runs(rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "runs")).
			phase(rapid.SampledFrom([]bos.Phase{"", "powering_on", "powering_off", "configuring"}).Draw(t, "phase")).
			override(rapid.SampledFrom([]bos.StatusName{"", "on_hold", "failed"}).Draw(t, "override")).
			did(rapid.SampledFrom([]bos.Action{bos.ActionSessionSetup, bos.ActionPoweringOn, bos.ActionPoweringOffGracefully}).Draw(t, "last"),
				rapid.SampledFrom([]bos.Instant{1, recent}).Draw(t, "at"))
		if rapid.Bool().Draw(t, "waits") {
			n.waits(rapid.SampledFrom([]string{decide.RoleStatus, decide.RolePowerOn}).Draw(t, "by"), "pcs", 0)
		}
		power := decide.Power{Seen: true, Since: 1 << 40, Found: rapid.Bool().Draw(t, "found"), State: rapid.SampledFrom([]string{"on", "off", "undefined"}).Draw(t, "power")}
		config := decide.Config{Seen: true, Since: 1 << 40, Found: rapid.Bool().Draw(t, "inCFS"), Desired: rapid.SampledFrom([]string{"", "c", "d"}).Draw(t, "desired"),
			Status: rapid.SampledFrom([]string{"configured", "pending", "failed", "odd"}).Draw(t, "cfs")}
		decideOnce := func(r *bos.Record) decide.StatusOutcome {
			return decide.Status(decide.StatusInput{Now: now, Options: opts, Nodes: []decide.StatusNode{{Record: r, Power: power, Config: config}}})[0].Outcome
		}
		set, ok := decideOnce(&n.rec).(decide.Set)
		if !ok {
			return
		}
		next := w.Operate(n.rec, set.Patch)
		if set.EndWait {
			next = w.EndWait(next)
		}
		if !next.Component.Enabled.Value() {
			if s := next.Component.StatusNow(); s != bos.StatusStable && s != bos.StatusFailed && s != bos.StatusOnHold {
				t.Fatalf("disabled in status %s", s)
			}
			return
		}
		if again, rest := decideOnce(&next).(decide.Rest); !rest {
			t.Fatalf("decided anew: %+v after %+v", again, set)
		}
	})
}

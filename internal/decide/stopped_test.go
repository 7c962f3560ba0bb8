// SPDX-License-Identifier: MIT

package decide_test

import (
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
)

// stoppedNode is an enabled node of a phase on which something was done very
// long ago.
func stoppedNode(phase bos.Phase, action bos.Action) *bos.Record {
	return &bos.Record{
		Component: bos.Component{
			ID: "x1c0s0b0n0", Session: bos.Some("s"), Enabled: bos.Some(true), Error: bos.Some("session 's' is paused"),
			DesiredState: bos.Some(bos.DesiredState{BootArtifacts: bos.Some(bos.BootArtifacts{Kernel: bos.Some("k")}), Configuration: bos.Some("c")}),
			Status:       bos.Some(bos.Status{Phase: bos.Some(phase), StatusOverride: bos.Some("")}),
			LastAction:   bos.Some(bos.LastAction{Action: bos.Some(action)}),
		},
		Sealed: bos.Sealed{ActionAt: 1, Wait: &bos.Wait{By: bos.ByAdministrator, On: bos.OnResume, Text: "session 's' is paused"}},
	}
}

// Of a node whose session is stopped it is nobody's turn, whatever it needs; and
// of the same node it would be somebody's if it were not.
func TestStoppedIsNobodysTurn(t *testing.T) {
	now := bos.Instant(0).Add(24 * time.Hour)
	for name, c := range map[string]struct {
		rec    *bos.Record
		power  string
		decide func(decide.PowerInput) decide.PowerPlan
	}{
		"power-on":           {stoppedNode(bos.PhasePoweringOn, bos.ActionSessionSetup), "off", decide.PowerOn},
		"power-off-graceful": {stoppedNode(bos.PhasePoweringOff, bos.ActionSessionSetup), "on", decide.PowerOffGraceful},
		"power-off-forceful": {stoppedNode(bos.PhasePoweringOff, bos.ActionPoweringOffGracefully), "on", decide.PowerOffForceful},
	} {
		for _, stopped := range []bool{false, true} {
			plan := c.decide(decide.PowerInput{
				Now: now, Options: bos.DefaultOptions(), BatchSize: 10,
				Nodes: []decide.PowerNode{{
					Record: c.rec, InHSM: true, Stopped: stopped, Power: decide.Power{Seen: true, Found: true, State: c.power},
				}},
			})
			if acts := len(plan.Batches) == 1; acts == stopped || stopped && len(plan.GiveUps)+len(plan.Holds)+len(plan.Due) > 0 {
				t.Errorf("%s, stopped %v: %+v", name, stopped, plan)
			}
		}
	}
	configuring := decide.StatusNode{
		Record: stoppedNode(bos.PhaseConfiguring, bos.ActionPoweringOn), Config: decide.Config{Seen: true, Since: 9, Found: true, Desired: "other"},
	}
	for _, stopped := range []bool{false, true} {
		configuring.Stopped = stopped
		if groups, _ := decide.Configuration([]decide.StatusNode{configuring}, 10); (len(groups) == 1) == stopped {
			t.Errorf("configuration, stopped %v: %+v", stopped, groups)
		}
	}
}

// No time runs out for a node whose session is paused, and no service that is
// away is waited for; what is seen of it counts.
func TestStatusOfStoppedNode(t *testing.T) {
	now := bos.Instant(0).Add(24 * time.Hour)
	status := func(rec *bos.Record, stopped bool, power string, away decide.Services) decide.StatusResult {
		return decide.Status(decide.StatusInput{
			Now: now, Options: bos.DefaultOptions(), NoCFS: true, Away: away,
			Nodes: []decide.StatusNode{{
				Record: rec, Stopped: stopped, Power: decide.Power{Seen: true, Since: 9, At: now, Found: true, State: power},
			}},
		})[0]
	}
	called := func() *bos.Record { return stoppedNode(bos.PhasePoweringOn, bos.ActionPoweringOn) }
	for _, power := range []string{"on", "off"} {
		if got := status(called(), true, power, nil); got.Due != 0 || got.Outcome != (decide.Rest{}) {
			t.Errorf("power %s: %+v", power, got)
		}
		if got := status(called(), false, power, nil); got.Outcome == (decide.Rest{}) {
			t.Errorf("power %s: its time is not over: %+v", power, got)
		}
	}
	away := decide.Services{decide.ServicePCS: {Service: decide.ServicePCS, Text: "away", Next: now + 1}}
	if got := status(called(), true, "off", away); got.Outcome != (decide.Rest{}) {
		t.Errorf("pcs is away: %+v", got)
	}
	up := called()
	up.Component.ActualState = bos.Some(bos.ActualState{BootArtifacts: bos.Some(up.Component.DesiredArtifacts())})
	set, ok := status(up, true, "on", nil).Outcome.(decide.Set)
	if !ok || set.Patch.Enabled != bos.Some(false) || !set.EndWait {
		t.Errorf("it is up: %+v", set)
	}
	// A new phase does not end the wait for the end of the pause.
	moved := stoppedNode(bos.PhasePoweringOff, bos.ActionPoweringOffGracefully)
	if set, ok := status(moved, true, "off", nil).Outcome.(decide.Set); !ok || set.EndWait {
		t.Errorf("it is off: %+v", set)
	}
}

func TestAbandoned(t *testing.T) {
	session := func(name string, cancelled bool, at bos.Instant, state bos.SessionState) *bos.SessionRecord {
		return &bos.SessionRecord{
			Session: bos.Session{Name: name, Status: bos.SessionStatus{Status: state}},
			Sealed:  bos.SessionSealed{Cancelled: cancelled, Paused: !cancelled, StoppedAt: at},
		}
	}
	got := decide.Abandoned(20_000, []*bos.SessionRecord{
		session("paused", false, 1, bos.SessionRunning), session("fresh", true, 15_000, bos.SessionRunning),
		session("old", true, 9_000, bos.SessionRunning), session("pending", true, 9_000, bos.SessionPending),
		session("over", true, 9_000, bos.SessionComplete),
	})
	if len(got) != 2 || got[0].Session.Name != "old" || got[1].Session.Name != "pending" {
		t.Errorf("%+v", got)
	}
	busy := func(bos.SessionKey) bool { return false }
	if done := decide.SessionCompletion([]*bos.SessionRecord{
		session("cancelled", true, 1, bos.SessionRunning), session("paused", false, 1, bos.SessionRunning),
	}, busy); len(done) != 1 || done[0].Session.Name != "paused" {
		t.Errorf("completed: %+v", done)
	}
}

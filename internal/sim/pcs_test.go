// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPowerStatus(t *testing.T) {
	b := newBench(t, Config{Nodes: 4})
	names := func(x ...string) map[string]any { return map[string]any{"xname": x} }
	known := `{"xname":"x1000c0s0b0n0","powerState":"off","managementState":"available","error":"",` +
		`"supportedPowerTransitions":["On","Force-Off","Soft-Off","Off","Soft-Restart","Init","Hard-Restart"],"lastUpdated":"20`
	unknown := `{"xname":"x1c0s0b0n0","powerState":"","managementState":"","error":"Component not found in component map.",` +
		`"supportedPowerTransitions":null,"lastUpdated":""}`
	check(t, b, b.URLs().PCS, []want{
		{"post", "POST", "/power-status", names(first, nowhere, first), 200, []string{known, unknown}, nil},
		{"v1", "GET", "/v1/power-status?xname=" + first, nil, 200, []string{known}, []string{second}},
		{"two", "GET", "/power-status?xname=" + first + "&xname=" + second, nil, 200, []string{first, second}, nil},
		{"all", "GET", "/power-status", nil, 200, []string{known, `"xname":"x1000c0s0b0","powerState":"on"`, `["Soft-Restart"]`}, nil},
		{"on", "GET", "/power-status?powerStateFilter=ON", nil, 200, []string{"x3000c0s3b0n0"}, []string{first + `"`}},
		{"filter keeps errors", "POST", "/power-status", map[string]any{"xname": []string{first, nowhere}, "powerStateFilter": "on"}, 200, []string{unknown}, []string{known}},
		{"unavailable", "GET", "/power-status?managementStateFilter=unavailable", nil, 200, []string{`{"status":[]}`}, nil},
		{"bad filter", "GET", "/power-status?powerStateFilter=bogus", nil, 400, []string{"invalid powerStateFilter type: bogus"}, nil},
		{"bad filter 2", "GET", "/power-status?managementStateFilter=bogus", nil, 400, []string{"invalid ManagementStateFilter type: bogus"}, nil},
		{"no body", "POST", "/power-status", nil, 400, []string{"unexpected end of JSON input"}, nil},
		{"string", "POST", "/power-status", `{"xname":"x"}`, 400, []string{"cannot unmarshal string into Go struct field PowerStatusParameter.xname"}, nil},
		{"no route", "GET", "/nope", nil, 404, []string{"404 page not found"}, nil},
		{"method", "PUT", "/transitions", "{}", 405, nil, []string{"{"}},
		{"alive", "GET", "/liveness", nil, 204, nil, nil},
		{"transitions", "GET", "/transitions", nil, 200, []string{`{"transitions":[]}`}, nil},
		{"no transition", "GET", "/transitions/00000000-0000-0000-0000-000000000001", nil, 404, []string{"Key /transition/00000000-0000-0000-0000-000000000001 does not exist"}, nil},
		{"no id", "GET", "/transitions/foo", nil, 400, []string{"invalid UUID length: 3"}, nil},
		{"no operation", "POST", "/transitions", `{"location":[]}`, 400, []string{"invalid Operation type "}, nil},
		{"bad operation", "POST", "/transitions", `{"operation":"Bogus"}`, 400, []string{"invalid Operation type Bogus"}, nil},
		{"deadline", "POST", "/transitions", `{"operation":"On","taskDeadlineMinutes":"1"}`, 400, []string{"cannot unmarshal string"}, nil},
		{"empty", "POST", "/transitions", `{"operation":"on","location":[]}`, 200, []string{`"operation":"On"`}, nil},
		{"completed", "GET", "/transitions", nil, 200, []string{`"transitionStatus":"completed"`, `"un-supported":0`}, []string{"tasks\""}},
	})
	b.noViolations()
	check(t, b, b.URLs().PCS, []want{
		{"malformed", "POST", "/power-status", names(first, "foo"), 400, []string{"invalid xnames detected: foo"}, nil},
		{"upper", "POST", "/power-status", names("X1000C0S0B0N0"), 400, []string{"invalid xnames detected: X1000C0S0B0N0"}, nil},
		{"padded", "POST", "/power-status", names("x1000c0s00b0n0"), 200, []string{"x1000c0s00b0n0", pcsUnknown}, nil},
		{"comma", "GET", "/power-status?xname=" + first + "," + second, nil, 400, []string{"invalid xnames detected: "}, nil},
		{"cabinet", "POST", "/power-status", names("x1000", "x1000c0"), 200, []string{pcsPowerless, pcsUnknown}, nil},
		{"empty list", "POST", "/power-status", names(), 200, []string{known, `"x1000c0s0b0"`}, nil},
		{"nothing", "POST", "/power-status", "{}", 200, []string{known}, nil},
	})
	if got := b.rules(); got[RuleEmptyList] != 2 || got[RuleMalformedName] != 4 {
		t.Errorf("violations: %v", got)
	}
}

// TestTransitionTimes replays the measured runs: sweeps at 30 s after the former
// one, ticks every 15 s.
func TestTransitionTimes(t *testing.T) {
	cfg := Config{Nodes: 4, PoweredOn: true, Delays: Delays{SoftOffMin: 4 * time.Second, SoftOffMax: 4 * time.Second}}
	inVirtualTime(t, cfg, func(t *testing.T, b *bench) {
		// The sweep after this moment samples at 30 s: 28 s from here.
		b.sleepTo(2 * time.Second)
		start := time.Now()
		at := func(d time.Duration) { time.Sleep(d - time.Since(start)) }
		id := b.transition("Soft-Off", first)
		if p := b.progress(id, first); p.status != statusNew || p.task != "" {
			t.Errorf("at once: %+v", p)
		}
		at(300 * time.Millisecond)
		if p := b.progress(id, first); p != (progress{"in-progress", "in-progress", "Confirming successful transition, gracefulshutdown", ""}) {
			t.Errorf("after 0.3 s: %+v", p)
		}
		if n := b.node(first); n.Power != "on" || !n.Reserved {
			t.Errorf("after 0.3 s: %+v", n)
		}
		at(4200 * time.Millisecond)
		if n := b.node(first); n.Power != "off" || n.PCS != "on" || n.HSM != stateOff {
			t.Errorf("after 4.2 s: %+v", n)
		}
		at(28 * time.Second)
		if got := b.shown(first); got != "on" {
			t.Errorf("during the sweep: %s", got)
		}
		at(28500 * time.Millisecond)
		if got := b.shown(first); got != "off" {
			t.Errorf("after the sweep: %s", got)
		}
		if p := b.progress(id, first); p.status != statusInProgress || !b.node(first).Reserved {
			t.Errorf("before the tick: %+v", p)
		}
		at(30200 * time.Millisecond)
		if p := b.progress(id, first); p != (progress{"completed", "succeeded", "Transition confirmed, gracefulshutdown", ""}) {
			t.Errorf("after the tick: %+v", p)
		}
		if b.node(first).Reserved {
			t.Error("the reservation stays")
		}
		b.noViolations()
	})
}

func TestFastFailures(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 8}, func(t *testing.T, b *bench) {
		if err := b.Inject(second, Fault{Kind: FaultLocked}); err != nil {
			t.Fatal(err)
		}
		id := b.transition("Force-Off", first, "foo", strings.ToUpper(first), nowhere, "x1000c0s0b0", "x1000", second)
		time.Sleep(300 * time.Millisecond)
		for node, want := range map[string]progress{
			first:                  {"completed", "succeeded", "Component already in desired state", ""},
			second:                 {"completed", "succeeded", "Component already in desired state", ""},
			"foo":                  {"completed", "failed", "Failed to achieve transition", "Invalid xname"},
			strings.ToUpper(first): {"completed", "failed", "Failed to achieve transition", "Invalid xname"},
			nowhere:                {"completed", "failed", "Failed to achieve transition", "Missing xname"},
			"x1000":                {"completed", "unsupported", "Failed to achieve transition", "No power control for component type Cabinet"},
			"x1000c0s0b0": {
				"completed", "unsupported", "Component does not support the specified transition operation, Force-Off",
				"Unsupported for transition operation",
			},
		} {
			if got := b.progress(id, node); got != want {
				t.Errorf("%s: %+v", node, got)
			}
		}
		counts := b.pcs("GET", "/transitions/"+id, nil).field(t, "taskCounts")
		if got := fmt.Sprint(counts); got != "map[failed:3 in-progress:0 new:0 succeeded:2 total:7 un-supported:2]" {
			t.Error(got)
		}
		// A locked node fails as fast, but its transition lasts a tick.
		b.putParams("t", second)
		id = b.transition("On", second)
		time.Sleep(300 * time.Millisecond)
		if got := b.progress(id, second); got != (progress{"in-progress", "failed", "Failed to achieve transition", "Unable to reserve component"}) {
			t.Errorf("locked: %+v", got)
		}
		time.Sleep(15 * time.Second)
		if got := b.progress(id, second); got.status != statusCompleted {
			t.Errorf("locked, after a tick: %+v", got)
		}
		if got := b.Stats(); got.LockedTransitions != 1 || got.WithoutAttempt != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestStaleCacheDecides(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2, PoweredOn: true}, func(t *testing.T, b *bench) {
		off := b.transition("Force-Off", first)
		time.Sleep(2 * time.Second)
		if b.node(first).Power != "off" {
			t.Fatal("not off after 2 s")
		}
		on := b.transition("On", first)
		time.Sleep(300 * time.Millisecond)
		if got := b.progress(on, first); got.status != statusCompleted || got.text != "Component already in desired state" {
			t.Errorf("On: %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if b.node(first).Power != "off" {
			t.Error("the node was switched on")
		}
		if got := b.progress(off, first); got.task != "succeeded" {
			t.Errorf("Force-Off: %+v", got)
		}
		if got := b.rules(); got[RuleOnNotOff] != 1 {
			t.Errorf("violations: %v", got)
		}
	})
}

func TestReservationsLastAsLongAsTheTransition(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 4, PoweredOn: true}, func(t *testing.T, b *bench) {
		if err := b.Inject(second, Fault{Kind: FaultSoftOffIgnored}); err != nil {
			t.Fatal(err)
		}
		id := b.transition("Soft-Off", first, second)
		b.sleepTo(46 * time.Second)
		if got := b.progress(id, first); got.status != statusInProgress || got.task != "succeeded" {
			t.Fatalf("first: %+v", got)
		}
		b.putParams("t", first)
		on := b.transition("On", first)
		time.Sleep(300 * time.Millisecond)
		if got := b.progress(on, first); got.err != "Unable to reserve component" {
			t.Errorf("On while reserved: %+v", got)
		}
		b.sleepTo(62 * time.Second)
		if got := b.progress(id, second); got.status != statusCompleted || got.err != "Timeout waiting for transition, gracefulshutdown." {
			t.Errorf("second: %+v", got)
		}
		on = b.transition("On", first)
		time.Sleep(4 * time.Second)
		if got := b.node(first).Power; got != "on" {
			t.Errorf("power %s, %+v", got, b.progress(on, first))
		}
		if got := b.rules(); len(got) != 1 || got[RuleOnWhileReserved] != 1 || b.Stats().Conflicts != 1 {
			t.Errorf("violations %v, conflicts %d", got, b.Stats().Conflicts)
		}
	})
}

func TestHangingBMCStretchesSweeps(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 8, PoweredOn: true}, func(t *testing.T, b *bench) {
		if err := b.Inject(first, Fault{Kind: FaultBMCHangs}); err != nil {
			t.Fatal(err)
		}
		if got := len(b.InjectedFaults()); got != 2 {
			t.Errorf("%d nodes behind the BMC", got)
		}
		b.sleepTo(31 * time.Second)
		id := b.transition("Force-Off", third)
		b.sleepTo(61 * time.Second)
		if a, c := b.shown(first), b.shown(third); a != "undefined" || c != "on" {
			t.Errorf("after a sweep that began before: %s, %s", a, c)
		}
		b.sleepTo(119 * time.Second)
		if got := b.shown(third); got != "on" {
			t.Errorf("before the sweep's end: %s", got)
		}
		b.sleepTo(121 * time.Second)
		if got := b.shown(third); got != "off" {
			t.Errorf("after the sweep's end: %s", got)
		}
		if got := b.progress(id, third); got.err != "Timeout waiting for transition, forceoff." {
			t.Errorf("sweeps slower than the deadline: %+v", got)
		}
		hung := b.transition("Soft-Off", first)
		time.Sleep(29 * time.Second)
		if got := b.progress(hung, first); got.task != "new" || got.text != "Applying transition, gracefulshutdown" {
			t.Errorf("while the BMC hangs: %+v", got)
		}
		time.Sleep(2 * time.Second)
		if got := b.progress(hung, first); got.task != "failed" || !strings.Contains(got.err, "giving up after 4 attempt(s)") {
			t.Errorf("after the time-out: %+v", got)
		}
	})
}

func TestRefusingBMC(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 8, PoweredOn: true}, func(t *testing.T, b *bench) {
		if err := b.Inject(first, Fault{Kind: FaultBMCRefuses}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		id := b.transition("Force-Off", first)
		for _, step := range []struct {
			at           time.Duration
			status, task string
		}{
			{300 * time.Millisecond, statusInProgress, "new"},
			{7200 * time.Millisecond, statusInProgress, "failed"},
			{22 * time.Second, statusInProgress, "failed"},
			{22200 * time.Millisecond, statusCompleted, "failed"},
		} {
			time.Sleep(step.at - time.Since(start))
			if got := b.progress(id, first); got.status != step.status || got.task != step.task {
				t.Errorf("after %s: %+v", step.at, got)
			}
		}
		if got := b.progress(id, first); got.text != "Failed to apply transition, forceoff" || !strings.Contains(got.err, "connection refused") {
			t.Errorf("%+v", got)
		}
		// The sweep that began at 30 s ends at 37 s.
		b.sleepTo(36 * time.Second)
		if got := b.shown(first); got != "on" {
			t.Errorf("during the sweep: %s", got)
		}
		b.sleepTo(38 * time.Second)
		if got := b.shown(first); got != "undefined" {
			t.Errorf("after the sweep: %s", got)
		}
	})
}

func TestOffUsesForceAfterTheDeadline(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2, PoweredOn: true}, func(t *testing.T, b *bench) {
		if err := b.Inject(first, Fault{Kind: FaultSoftOffIgnored}); err != nil {
			t.Fatal(err)
		}
		b.sleepTo(10 * time.Second)
		start := time.Now()
		id := b.transition("Off", first)
		time.Sleep(61*time.Second - time.Since(start))
		if got := b.progress(id, first); got.text != "Confirming successful transition, forceoff" {
			t.Errorf("after the deadline: %+v", got)
		}
		time.Sleep(106*time.Second - time.Since(start))
		if got := b.progress(id, first); got != (progress{"completed", "succeeded", "Transition confirmed, forceoff", ""}) {
			t.Errorf("in the end: %+v", got)
		}
	})
}

func TestRestarts(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2, PoweredOn: true}, func(t *testing.T, b *bench) {
		id := b.transitionFor("Hard-Restart", "", 5, first)
		time.Sleep(40 * time.Second)
		if got := b.node(first); got.Power == "on" && got.Since.Equal(b.t0.UTC()) {
			t.Error("never went off")
		}
		time.Sleep(80 * time.Second)
		if got := b.progress(id, first); got.task != "succeeded" || b.node(first).Power != "on" {
			t.Errorf("%+v, %s", got, b.node(first).Power)
		}
	})
}

func TestNoWaitIsBroken(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2}, func(t *testing.T, b *bench) {
		b.putParams("t", first)
		id := b.transitionFor("On", "", 0, first)
		time.Sleep(300 * time.Millisecond)
		if got := b.progress(id, first); got != (progress{"in-progress", "succeeded", "Transition applied, on. Not confirming.", ""}) {
			t.Errorf("after 0.3 s: %+v", got)
		}
		time.Sleep(15 * time.Second)
		if got := b.progress(id, first); got != (progress{"completed", "failed", "Failed to achieve transition", "Timeout waiting for transition, on."}) {
			t.Errorf("after 15.3 s: %+v", got)
		}
		if b.node(first).Power != "on" {
			t.Error("the node is off")
		}
	})
}

func TestAbort(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2, PoweredOn: true}, func(t *testing.T, b *bench) {
		id := b.transition("Soft-Off", first)
		time.Sleep(5 * time.Second)
		if a := b.pcs("DELETE", "/transitions/"+id, nil); a.status != 202 || !strings.Contains(string(a.body), "Accepted - abort initiated") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if got := b.progress(id, first); got.status != statusSignaled {
			t.Errorf("at once: %+v", got)
		}
		time.Sleep(11 * time.Second)
		if got := b.progress(id, first); got != (progress{"aborted", "failed", "Aborted. Last status - Confirming successful transition, gracefulshutdown", "Transition aborted"}) {
			t.Errorf("after a tick: %+v", got)
		}
		if a := b.pcs("DELETE", "/transitions/"+id, nil); a.status != http.StatusBadRequest {
			t.Errorf("again: %d", a.status)
		}
		time.Sleep(10 * time.Second)
		if b.node(first).Power != "off" {
			t.Error("the abort undid the command")
		}
	})
}

func TestOpenCHAMIPower(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 2, Flavour: OpenCHAMI}, func(t *testing.T, b *bench) {
		b.putParams("t", first)
		id := b.transition("On", first)
		b.sleepTo(29 * time.Second)
		if n := b.node(first); n.Power != "on" || n.HSM != stateOff {
			t.Errorf("before the sweep: %+v", n)
		}
		b.sleepTo(31 * time.Second)
		if n := b.node(first); n.HSM != stateOn {
			t.Errorf("after the sweep: %+v", n)
		}
		b.sleepTo(46 * time.Second)
		if got := b.progress(id, first); got.text != "..." || got.task != "succeeded" {
			t.Errorf("%+v", got)
		}
		b.hsm("PATCH", "/State/Components/"+first+"/StateData", `{"State":"Ready"}`)
		b.transition("Soft-Off", first)
		b.sleepTo(95 * time.Second)
		if n := b.node(first); n.HSM != stateOff {
			t.Errorf("after the next sweeps: %+v", n)
		}
	})
}

func TestPowerSwitches(t *testing.T) {
	t.Run("live power", func(t *testing.T) {
		inVirtualTime(t, Config{Nodes: 2, LivePower: true}, func(t *testing.T, b *bench) {
			b.putParams("t", first)
			b.transition("On", first)
			time.Sleep(3200 * time.Millisecond)
			if got := b.shown(first); got != "on" {
				t.Errorf("shown %s", got)
			}
		})
	})
	t.Run("no stretch", func(t *testing.T) {
		inVirtualTime(t, Config{Nodes: 8, NoSweepStretch: true}, func(t *testing.T, b *bench) {
			if err := b.Inject(first, Fault{Kind: FaultBMCHangs}); err != nil {
				t.Fatal(err)
			}
			b.sleepTo(31 * time.Second)
			if got := b.shown(first); got != "undefined" {
				t.Errorf("shown %s", got)
			}
		})
	})
	t.Run("no reservations", func(t *testing.T) {
		inVirtualTime(t, Config{Nodes: 2, PoweredOn: true, NoReservations: true}, func(t *testing.T, b *bench) {
			b.transition("Soft-Off", first)
			time.Sleep(time.Second)
			id := b.transition("Force-Off", first)
			time.Sleep(time.Second)
			if got := b.progress(id, first); got.task != "in-progress" || b.node(first).Power != "off" {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("errors seen", func(t *testing.T) {
		inVirtualTime(t, Config{Nodes: 2, PCSSeesBMCErrors: true, PoweredOn: true}, func(t *testing.T, b *bench) {
			if err := b.Inject(first, Fault{Kind: FaultBMCRejects}); err != nil {
				t.Fatal(err)
			}
			id := b.transition("Soft-Off", first)
			time.Sleep(time.Second)
			if got := b.progress(id, first); got.task != "failed" {
				t.Errorf("%+v", got)
			}
		})
	})
}

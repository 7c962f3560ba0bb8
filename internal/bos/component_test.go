// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func decode(t *testing.T, text string) bos.Component {
	t.Helper()
	var c bos.Component
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return c
}

// sameJSON compares documents by value: key order does not count.
func sameJSON(t *testing.T, what, want string, got []byte) {
	t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: bad expectation: %v", what, err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v in %s", what, err, got)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestComponentPresence(t *testing.T) {
	for _, doc := range []string{
		`{"id":"x1"}`,
		`{"id":"x1","enabled":false,"error":"","session":"","retry_policy":0}`,
		`{"id":"x1","actual_state":{},"desired_state":{"boot_artifacts":{}},"staged_state":{"session":""}}`,
		`{"id":"x1","status":{}}`,
		`{"id":"é \" \\ \n \u0001 \u2028 <&>","status":{"phase":"","status_override":""}}`,
		`{"id":"x1","last_action":{"action":"powering_on","failed":false,"last_updated":"t"},` +
			`"event_stats":{"power_on_attempts":1}}`,
	} {
		c := decode(t, doc)
		sameJSON(t, doc, doc, c.AppendJSON(nil))
		viaJSON, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, "json.Marshal "+doc, doc, viaJSON)
	}
}

func TestComponentRefusesNull(t *testing.T) {
	var c bos.Component
	if err := json.Unmarshal([]byte(`{"id":"x","enabled":null}`), &c); err == nil {
		t.Error("null was taken for a value")
	}
}

func TestComponentView(t *testing.T) {
	for stored, view := range map[string]string{
		`{"id":"x"}`:             `{"id":"x","status":{"phase":"","status":"stable","status_override":""}}`,
		`{"id":"x","status":{}}`: `{"id":"x","status":{"status":"stable"}}`,
		`{"id":"x","status":{"status_override":"on_hold"}}`:  `{"id":"x","status":{"status":"on_hold","status_override":"on_hold"}}`,
		`{"id":"x","status":{"phase":"configuring"}}`:        `{"id":"x","status":{"phase":"configuring","status":"configuring"}}`,
		`{"id":"x","status":{"status_override":"whatever"}}`: `{"id":"x","status":{"status":"whatever","status_override":"whatever"}}`,
	} {
		c := decode(t, stored)
		sameJSON(t, stored, view, c.AppendView(nil))
	}
}

func TestStatusNow(t *testing.T) {
	tests := []struct {
		phase  bos.Phase
		action bos.Action
		failed bool
		want   bos.StatusName
	}{
		{bos.PhaseNone, bos.ActionPoweringOn, false, bos.StatusStable},
		{bos.PhasePoweringOn, "", false, bos.StatusPowerOnPending},
		{bos.PhasePoweringOn, bos.ActionPoweringOn, false, bos.StatusPowerOnCalled},
		{bos.PhasePoweringOn, bos.ActionPoweringOn, true, bos.StatusPowerOnPending},
		{bos.PhasePoweringOn, bos.ActionSessionSetup, false, bos.StatusPowerOnPending},
		{bos.PhasePoweringOff, "", false, bos.StatusPowerOffPending},
		{bos.PhasePoweringOff, bos.ActionPoweringOn, false, bos.StatusPowerOffPending},
		{bos.PhasePoweringOff, bos.ActionPoweringOffGracefully, true, bos.StatusPowerOffGracefullyCalled},
		{bos.PhasePoweringOff, bos.ActionPoweringOffForcefully, false, bos.StatusPowerOffForcefullyCalled},
		{bos.PhaseConfiguring, bos.ActionPoweringOn, false, bos.StatusConfiguring},
	}
	for _, tt := range tests {
		c := bos.Component{
			Status:     bos.Some(bos.Status{Phase: bos.Some(tt.phase)}),
			LastAction: bos.Some(bos.LastAction{Action: bos.Some(tt.action), Failed: bos.Some(tt.failed)}),
		}
		if got := c.StatusNow(); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
		c.Status = bos.Some(bos.Status{Phase: bos.Some(tt.phase), StatusOverride: bos.Some("failed")})
		if got := c.StatusNow(); got != bos.StatusFailed {
			t.Errorf("%+v with override: got %s", tt, got)
		}
	}
}

// components draws components with any mix of present and absent fields.
func components() *rapid.Generator[bos.Component] {
	text := rapid.SampledFrom([]string{"", "a", "b", "root=x spire_join_token=1", "é\"\n"})
	artifacts := rapid.Custom(func(t *rapid.T) bos.BootArtifacts {
		return bos.BootArtifacts{
			Kernel:           maybe(t, "kernel", text),
			KernelParameters: maybe(t, "parameters", text),
			Initrd:           maybe(t, "initrd", text),
		}
	})
	return rapid.Custom(func(t *rapid.T) bos.Component {
		return bos.Component{
			ID: "x1",
			ActualState: maybe(t, "actual", rapid.Custom(func(t *rapid.T) bos.ActualState {
				return bos.ActualState{BootArtifacts: maybe(t, "a", artifacts), BSSToken: maybe(t, "token", text)}
			})),
			DesiredState: maybe(t, "desired", rapid.Custom(func(t *rapid.T) bos.DesiredState {
				return bos.DesiredState{
					BootArtifacts: maybe(t, "a", artifacts), BSSToken: maybe(t, "token", text), Configuration: maybe(t, "c", text),
				}
			})),
			StagedState: maybe(t, "staged", rapid.Custom(func(t *rapid.T) bos.StagedState {
				return bos.StagedState{BootArtifacts: maybe(t, "a", artifacts), Configuration: maybe(t, "c", text), Session: maybe(t, "s", text)}
			})),
			LastAction: maybe(t, "last", rapid.Custom(func(t *rapid.T) bos.LastAction {
				return bos.LastAction{
					Action: maybe(t, "action", rapid.SampledFrom([]bos.Action{bos.ActionPoweringOn, bos.ActionSessionSetup})),
					Failed: maybe(t, "failed", rapid.Bool()),
				}
			})),
			EventStats: maybe(t, "stats", rapid.Custom(func(t *rapid.T) bos.EventStats {
				return bos.EventStats{PowerOnAttempts: maybe(t, "on", rapid.IntRange(0, 3))}
			})),
			Status: maybe(t, "status", rapid.Custom(func(t *rapid.T) bos.Status {
				return bos.Status{
					Phase:          maybe(t, "phase", rapid.SampledFrom([]bos.Phase{"", bos.PhasePoweringOn})),
					StatusOverride: maybe(t, "override", rapid.SampledFrom([]string{"", "failed"})),
				}
			})),
			Enabled:     maybe(t, "enabled", rapid.Bool()),
			Error:       maybe(t, "error", text),
			Session:     maybe(t, "session", text),
			RetryPolicy: maybe(t, "retry", rapid.IntRange(0, 2)),
		}
	})
}

func maybe[T any](t *rapid.T, label string, g *rapid.Generator[T]) bos.Opt[T] {
	if !rapid.Bool().Draw(t, label+"?") {
		return bos.Opt[T]{}
	}
	return bos.Some(g.Draw(t, label))
}

var compareOpts = cmp.AllowUnexported(
	bos.Opt[bos.ActualState]{}, bos.Opt[bos.DesiredState]{}, bos.Opt[bos.StagedState]{}, bos.Opt[bos.LastAction]{},
	bos.Opt[bos.EventStats]{}, bos.Opt[bos.Status]{}, bos.Opt[bos.BootArtifacts]{}, bos.Opt[bool]{}, bos.Opt[int]{},
	bos.Opt[string]{}, bos.Opt[bos.Action]{}, bos.Opt[bos.Phase]{},
)

func TestComponentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := components().Draw(t, "c")
		var back bos.Component
		if err := json.Unmarshal(c.AppendJSON(nil), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, back, compareOpts); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkAppendView(b *testing.B) {
	c := bos.Discovered("x3000c0s1b0n0")
	c.DesiredState = bos.Some(bos.DesiredState{BootArtifacts: bos.Some(bos.BootArtifacts{
		Kernel:           bos.Some("s3://boot-images/1fb58f4e/kernel"),
		Initrd:           bos.Some("s3://boot-images/1fb58f4e/initrd"),
		KernelParameters: bos.Some("console=ttyS0,115200 quiet root=sbps-s3:s3://boot-images/1fb58f4e/rootfs:f04af5"),
	})})
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.AppendView(buf[:0])
	}
}

// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

var testTime = time.Date(2026, 11, 23, 4, 5, 6, 700, time.UTC)

const testStamp = "2026-11-23T04:05:06"

func testWrite(tenant string) bos.Write {
	return bos.Write{Now: testTime, Instant: 5000, Tenant: tenant, Tokens: func(token string) (bos.BootArtifacts, bool) {
		return bos.BootArtifacts{Kernel: bos.Some("k"), KernelParameters: bos.Some("p"), Initrd: bos.Some("i")}, token == "known"
	}}
}

func TestPut(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"bare", `{"id":"x"}`, `{"id":"x"}`},
		{"enabled is held", `{"id":"x","enabled":true,"status":{"phase":"powering_on","status_override":"mine"}}`,
			`{"id":"x","enabled":true,"status":{"phase":"powering_on","status_override":"on_hold"}}`},
		{"disabled is not", `{"id":"x","enabled":false}`, `{"id":"x","enabled":false}`},
		{"known token", `{"id":"x","actual_state":{"bss_token":"known"}}`,
			`{"id":"x","actual_state":{"bss_token":"known","last_updated":"` + testStamp +
				`","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}}`},
		{"known token wins over artifacts", `{"id":"x","actual_state":{"bss_token":"known","boot_artifacts":{"kernel":"z"}}}`,
			`{"id":"x","actual_state":{"bss_token":"known","last_updated":"` + testStamp +
				`","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}}`},
		{"unknown token alone is no news", `{"id":"x","actual_state":{"bss_token":"t"}}`, `{"id":"x","actual_state":{"bss_token":"t"}}`},
		{"empty sub-objects are stamped", `{"id":"x","actual_state":{},"staged_state":{},"last_action":{}}`,
			`{"id":"x","actual_state":{"last_updated":"` + testStamp + `"},"staged_state":{"last_updated":"` + testStamp +
				`"},"last_action":{"last_updated":"` + testStamp + `"}}`},
		{"desired without session", `{"id":"x","desired_state":{"configuration":"c"}}`,
			`{"id":"x","session":"","desired_state":{"configuration":"c","last_updated":"` + testStamp +
				`"},"event_stats":{"power_on_attempts":0,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0}}`},
		{"desired token keeps counters", `{"id":"x","session":"s","desired_state":{"bss_token":"t"},"event_stats":{"power_on_attempts":2}}`,
			`{"id":"x","session":"s","desired_state":{"bss_token":"t"},"event_stats":{"power_on_attempts":2}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := testWrite("").Put(nil, decode(t, tt.in))
			sameJSON(t, tt.name, tt.want, rec.Component.AppendJSON(nil))
		})
	}
}

func TestPatchMerges(t *testing.T) {
	old := bos.Record{Component: decode(t, `{"id":"x","enabled":true,"session":"s","error":"e","retry_policy":1,
		"actual_state":{"boot_artifacts":{"kernel":"k","initrd":"i"},"bss_token":"t"},
		"desired_state":{"boot_artifacts":{"kernel":"dk"},"configuration":"c"},
		"staged_state":{"session":"st","configuration":"sc"},
		"last_action":{"action":"powering_on","failed":false},
		"status":{"phase":"powering_on","status_override":""}}`)}
	tests := []struct{ name, patch, want string }{
		{"artifacts merge key by key", `{"id":"other","actual_state":{"boot_artifacts":{"kernel":"k2"}}}`,
			`{"boot_artifacts":{"kernel":"k2","initrd":"i"},"bss_token":"t","last_updated":"` + testStamp + `"}`},
	}
	for _, tt := range tests {
		got := testWrite("").Patch(old, decode(t, tt.patch)).Component
		actual, err := json.Marshal(got.ActualState)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, tt.name, tt.want, actual)
		if got.ID != "x" || got.Session.Value() != "s" || got.RetryPolicy.Value() != 1 {
			t.Errorf("%s: other fields changed: %+v", tt.name, got)
		}
	}

	got := testWrite("").Patch(old, decode(t, `{"last_action":{"failed":true},"status":{"status_override":"failed"}}`))
	if last := got.Component.LastAction.Value(); last.Action.Value() != bos.ActionPoweringOn || !last.Failed.Value() {
		t.Errorf("last_action: %+v", last)
	}
	if got.Sealed.ActionAt != 0 {
		t.Error("marking an action as failed made it a new action")
	}
	if got.Component.Status.Value().Phase.Value() != bos.PhasePoweringOn {
		t.Error("the phase was lost")
	}
}

func TestOwners(t *testing.T) {
	first := testWrite("blue").Put(nil, decode(t, `{"id":"x","session":"s","staged_state":{"session":"st"}}`))
	if first.Sealed.Owner != "blue" || first.Sealed.StagedOwner != "blue" {
		t.Fatalf("new names belong to the writer: %+v", first.Sealed)
	}
	same := testWrite("").Put(&first, decode(t, `{"id":"x","session":"s","staged_state":{"session":"st"}}`))
	if same.Sealed.Owner != "blue" || same.Sealed.StagedOwner != "blue" {
		t.Errorf("unchanged names keep their owner: %+v", same.Sealed)
	}
	other := testWrite("green").Patch(same, decode(t, `{"session":"s2"}`))
	if other.Sealed.Owner != "green" || other.Sealed.StagedOwner != "blue" {
		t.Errorf("only the changed name changes hands: %+v", other.Sealed)
	}
}

// Whatever clients write, the sealed part's attempts and plan survive.
func TestSealedSurvivesClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := bos.Record{Component: components().Draw(t, "old"), Sealed: bos.Sealed{
			Plan: "plan", Attempt: &bos.AttemptMark{ID: "a"}, Wait: &bos.Wait{On: "pcs"},
		}}
		doc := components().Draw(t, "doc")
		w := testWrite("blue")
		for _, rec := range []bos.Record{w.Put(&old, doc), w.Patch(old, doc)} {
			if rec.Sealed.Plan != "plan" || rec.Sealed.Attempt != old.Sealed.Attempt || rec.Sealed.Wait != old.Sealed.Wait {
				t.Fatalf("sealed part: %+v", rec.Sealed)
			}
		}
	})
}

// A PATCH with nothing in it changes nothing, and the same PATCH twice is the
// same as once.
func TestPatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := bos.Record{Component: components().Draw(t, "old")}
		patch := components().Draw(t, "patch")
		w := testWrite("blue")
		if diff := cmp.Diff(old, w.Patch(old, bos.Component{}), compareOpts); diff != "" {
			t.Fatalf("empty patch: %s", diff)
		}
		once := w.Patch(old, patch)
		if diff := cmp.Diff(once, w.Patch(once, patch), compareOpts); diff != "" {
			t.Fatalf("twice: %s", diff)
		}
		if patch.Error.IsSet() && once.Component.Error != patch.Error {
			t.Fatal("a written field was not taken")
		}
		if !patch.RetryPolicy.IsSet() && once.Component.RetryPolicy != old.Component.RetryPolicy {
			t.Fatal("an unwritten field changed")
		}
	})
}

func TestAttempts(t *testing.T) {
	w := testWrite("ignored")
	old := bos.Record{
		Component: decode(t, `{"id":"x","enabled":true,"error":"old","session":"s",
			"last_action":{"action":"session_setup","last_updated":"before"},
			"event_stats":{"power_on_attempts":1},"status":{"phase":"powering_on","status_override":""}}`),
		Sealed: bos.Sealed{Owner: "blue", ActionAt: 7},
	}
	extra := bos.Component{DesiredState: bos.Some(bos.DesiredState{BSSToken: bos.Some("tok")})}
	begun := w.BeginAttempt(old, bos.ActionPoweringOn, "a1", extra)
	if got := begun.Component.StatusNow(); got != bos.StatusPowerOnCalled {
		t.Errorf("status after the record: %s", got)
	}
	if n := begun.Component.EventStats.Value().PowerOnAttempts.Value(); n != 2 {
		t.Errorf("attempts: %d", n)
	}
	if begun.Component.Error.Value() != "" || begun.Component.Session.Value() != "s" || begun.Sealed.Owner != "blue" {
		t.Errorf("begun: %+v", begun)
	}
	if begun.Component.DesiredState.Value().BSSToken.Value() != "tok" || begun.Sealed.ActionAt != 5000 {
		t.Errorf("begun: %+v", begun)
	}

	back, ok := w.Withdraw(begun, "a1", bos.Wait{On: "pcs", Text: "pcs is away"})
	if !ok || back.Sealed.ActionAt != 7 || back.Sealed.Attempt != nil {
		t.Errorf("withdrawn: %v %+v", ok, back.Sealed)
	}
	if diff := cmp.Diff(old.Component.LastAction, back.Component.LastAction, compareOpts); diff != "" {
		t.Errorf("last action was not put back: %s", diff)
	}
	if n := back.Component.EventStats.Value().PowerOnAttempts.Value(); n != 1 {
		t.Errorf("attempts after the withdrawal: %d", n)
	}
	if back.Component.Error.Value() != "pcs is away" {
		t.Errorf("error: %q", back.Component.Error.Value())
	}
	if ended := w.EndWait(back); ended.Component.Error.Value() != "" || ended.Sealed.Wait != nil {
		t.Errorf("wait did not end: %+v", ended)
	}

	if _, ok := w.Withdraw(begun, "another", bos.Wait{}); ok {
		t.Error("an attempt that is not the node's was withdrawn")
	}
	later := w
	later.Instant = 9000
	moved := later.Operate(begun, bos.Component{LastAction: bos.Some(bos.LastAction{Action: bos.Some(bos.ActionSessionSetup)})})
	if _, ok := w.Withdraw(moved, "a1", bos.Wait{}); ok {
		t.Error("an attempt was withdrawn from a node that has a new goal")
	}
	if _, ok := w.Refuse(moved, "a1", "late"); ok {
		t.Error("an old attempt's refusal was noted on a node that has a new goal")
	}
	zeroed := later.Operate(begun, bos.Component{EventStats: bos.Some(bos.ZeroEventStats())})
	if back, ok := w.Withdraw(zeroed, "a1", bos.Wait{}); !ok || back.Component.EventStats.Value().PowerOnAttempts.Value() != 0 {
		t.Errorf("counters that were set back meanwhile: %v %+v", ok, back.Component.EventStats)
	}
	refused, ok := w.Refuse(begun, "a1", "bss refused")
	if !ok || refused.Component.Error.Value() != "bss refused" || refused.Component.EventStats.Value().Attempts(bos.ActionPoweringOn) != 2 {
		t.Errorf("refused: %v %+v", ok, refused.Component)
	}
}

func TestAwaitKeepsSince(t *testing.T) {
	rec := bos.Record{Component: bos.Component{ID: "x"}}
	early, late := testWrite(""), testWrite("")
	late.Instant = 9000
	rec = early.Await(rec, bos.Wait{On: "pcs", Text: "pcs is away since 4"})
	rec = late.Await(rec, bos.Wait{On: "pcs", Text: "pcs is away since 9"})
	if rec.Sealed.Wait.Since != 5000 || rec.Component.Error.Value() != "pcs is away since 4" {
		t.Errorf("%+v %q", rec.Sealed.Wait, rec.Component.Error.Value())
	}
	rec = late.Await(rec, bos.Wait{On: "reservation"})
	if rec.Sealed.Wait.Since != 9000 {
		t.Errorf("another wait began at %d", rec.Sealed.Wait.Since)
	}
}

func TestApplyStaged(t *testing.T) {
	const artifacts = `"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}`
	sessions := map[bos.SessionKey]bos.Operation{
		{Name: "boot"}: bos.OperationBoot, {Name: "reboot"}: bos.OperationReboot, {Name: "shutdown"}: bos.OperationShutdown,
		{Tenant: "blue", Name: "theirs"}: bos.OperationBoot,
	}
	tests := []struct {
		name, staged, tenant string
		sealed               bos.Sealed
		want                 bos.StagedOutcome
		err, owner, desired  string
	}{
		{name: "boot", staged: `{"session":"boot",` + artifacts + `}`, want: bos.StagedSucceeded},
		{name: "nothing staged", staged: `{}`, want: bos.StagedIgnored},
		{name: "empty session", staged: `{"session":"",` + artifacts + `}`, want: bos.StagedIgnored},
		{name: "missing artifact", staged: `{"session":"boot","boot_artifacts":{"kernel":"k","initrd":"i"}}`, want: bos.StagedFailed,
			err: "Staged operation is boot but some boot artifacts have not been specified (session: boot, tenant: )"},
		{name: "no artifacts", staged: `{"session":"reboot"}`, want: bos.StagedFailed,
			err: "Staged operation is reboot but some boot artifacts have not been specified (session: reboot, tenant: )"},
		{name: "shutdown", staged: `{"session":"shutdown"}`, want: bos.StagedSucceeded,
			desired: `{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"configuration":"","last_updated":"` + testStamp + `"}`},
		{name: "shutdown as written", staged: `{"session":"shutdown","configuration":"c","boot_artifacts":{"kernel":""}}`, want: bos.StagedSucceeded,
			desired: `{"boot_artifacts":{"kernel":""},"configuration":"c","last_updated":"` + testStamp + `"}`},
		{name: "shutdown with artifacts", staged: `{"session":"shutdown",` + artifacts + `}`, want: bos.StagedFailed,
			err: "Staged operation is shutdown but boot artifacts have been specified (session: shutdown, tenant: )"},
		{name: "session gone", staged: `{"session":"gone",` + artifacts + `}`, want: bos.StagedFailed,
			err: "Staged session no longer exists (session: gone, tenant: )"},
		{name: "session gone, operation kept", staged: `{"session":"gone",` + artifacts + `}`,
			sealed: bos.Sealed{StagedOperation: bos.OperationBoot}, want: bos.StagedSucceeded},
		{name: "nobody applies a tenant's", staged: `{"session":"theirs",` + artifacts + `}`,
			sealed: bos.Sealed{StagedOwner: "blue"}, want: bos.StagedSucceeded, owner: "blue"},
		{name: "another tenant can't", staged: `{"session":"theirs",` + artifacts + `}`, tenant: "green",
			sealed: bos.Sealed{StagedOwner: "blue", StagedOperation: bos.OperationBoot}, want: bos.StagedFailed, owner: "green",
			err: "Staged session no longer exists (session: theirs, tenant: green)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old := bos.Record{Component: decode(t, `{"id":"x","session":"old","staged_state":`+tt.staged+`}`), Sealed: tt.sealed}
			lookup := func(k bos.SessionKey) (bos.Operation, bool) { op, ok := sessions[k]; return op, ok }
			got, outcome := testWrite(tt.tenant).ApplyStaged(old, false, lookup)
			if outcome != tt.want || got.Component.Error.Value() != tt.err {
				t.Fatalf("%s, error %q", outcome, got.Component.Error.Value())
			}
			if outcome == bos.StagedIgnored {
				return
			}
			if got.Component.Enabled.Value() != (outcome == bos.StagedSucceeded) || got.Sealed.Owner != tt.owner ||
				got.Component.Session != old.Component.StagedState.Value().Session || !got.Sealed.StagedApplied {
				t.Errorf("%+v", got)
			}
			if got.AwaitedStage().Name != "" {
				t.Error("an applied stage is still awaited")
			}
			if tt.desired != "" {
				desired, err := json.Marshal(got.Component.DesiredState)
				if err != nil {
					t.Fatal(err)
				}
				sameJSON(t, "desired", tt.desired, desired)
			}
			cleared, _ := testWrite(tt.tenant).ApplyStaged(old, true, lookup)
			want := `{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"configuration":"","last_updated":"` + testStamp + `"}`
			staged, err := json.Marshal(cleared.Component.StagedState)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "cleared", want, staged)
		})
	}
}

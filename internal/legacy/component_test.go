// SPDX-License-Identifier: MIT

package legacy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/legacy"
	"bos/internal/store"
)

func TestComponents(t *testing.T) {
	for name, c := range map[string]struct {
		is, want string
		report   []string
	}{
		"as it should be": {
			is: `{"id":"x1","actual_state":{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"bss_token":"","last_updated":"2026-11-25T11:59:00"},` +
				`"enabled":false,"error":"","session":"","retry_policy":3}`,
			want: `{"id":"x1","actual_state":{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"bss_token":"","last_updated":"2026-11-25T11:59:00"},` +
				`"enabled":false,"error":"","session":"","retry_policy":3}`,
		},
		"with odds and ends": {
			is: `{"id":"x1","actual_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"a\nb","initrd":"i","timestamp":"2026-11-25T11:00:00"},"last_updated":"2026-11-25T11:59:00Z"},` +
				`"event_stats":{"power_on_attempts":-1,"power_off_graceful_attempts":"2","power_off_forceful_attempts":1.0},` +
				`"status":{"phase":"","status":"stable","status_override":null},"last_action":{"action":"dance","failed":false,"num":1},` +
				`"enabled":"true","error":null,"color":"red","desired_state":{"configuration":25.11,"bss_token":"t"},"retry_policy":99999999999}`,
			want: `{"id":"x1","actual_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"a b","initrd":"i"},"last_updated":"2026-11-25T11:59:00"},` +
				`"desired_state":{"configuration":"25.11","bss_token":"t"},"last_action":{"failed":false},` +
				`"event_stats":{"power_on_attempts":0,"power_off_graceful_attempts":2,"power_off_forceful_attempts":1},` +
				`"status":{"phase":""},"enabled":true,"retry_policy":1048576}`,
			report: []string{
				"components x1: enabled: a text became a boolean",
				"components x1: desired_state.configuration: a number became a text",
				"components x1: actual_state.boot_artifacts.timestamp: dropped: that is its token's",
				"components x1: actual_state.boot_artifacts.kernel_parameters: line breaks became blanks",
				`components x1: actual_state.last_updated: "2026-11-25T11:59:00Z" became "2026-11-25T11:59:00"`,
				"components x1: last_action.num: dropped: there is no such field",
				"components x1: event_stats.power_on_attempts: -1 became 0: it is 0 to 1048576",
				`components x1: event_stats.power_off_graceful_attempts: "\"2\"" became a plain integer`,
				"components x1: event_stats.power_off_forceful_attempts: 1.0 became a plain integer",
				"components x1: status.status_override: dropped: null stands for a field that was never set",
				"components x1: status.status: dropped: it is computed at every read",
				"components x1: error: dropped: null stands for a field that was never set",
				"components x1: retry_policy: 99999999999 became 1048576: it is 0 to 1048576",
				"components x1: color: dropped: there is no such field",
				`components x1: last_action.action: left out: is none of ["powering_on" "powering_off_gracefully" "powering_off_forcefully" ` +
					`"session_setup" "apply_staged" "newly_discovered" "actual_state_cleanup"]`,
			},
		},
		// Half a goal is another goal: without a kernel the node would be switched off.
		"half a goal":  {is: `{"id":"x1","desired_state":{"boot_artifacts":{"kernel":{}}}}`, report: []string{"left out: desired_state.boot_artifacts.kernel is no text"}},
		"a long goal":  {is: `{"id":"x1","desired_state":{"boot_artifacts":{"kernel":"` + strings.Repeat("k", 4096) + `"}}}`, report: []string{"kernel has 4096 characters"}},
		"maybe on":     {is: `{"id":"x1","enabled":"maybe"}`, report: []string{"left out: enabled is neither true nor false"}},
		"without name": {is: `{"enabled":true}`, report: []string{"left out: it has no id"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := legacy.Convert(legacy.Dump{legacy.Components: {raw("x1", c.is)}}, at())
			if c.want == "" {
				if got := lines(r); len(got) != 1 || !strings.Contains(got[0], c.report[0]) || len(r.Documents) > 0 {
					t.Errorf("reported %q and made %d documents", got, len(r.Documents))
				}
				return
			}
			rec := component(t, r, "x1")
			var want, got any
			if err := errors.Join(json.Unmarshal([]byte(c.want), &want), json.Unmarshal(rec.Component.AppendJSON(nil), &got)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			reported, expected := lines(r), slices.Clone(c.report)
			slices.Sort(reported)
			slices.Sort(expected)
			if diff := cmp.Diff(expected, reported); diff != "" {
				t.Error(diff)
			}
			if got := at().Instant.Sub(rec.Sealed.ActualAt); got != time.Minute {
				t.Errorf("the report is %v old", got)
			}
		})
	}
}

func TestOwners(t *testing.T) {
	staged := func(tenant, name, members string) legacy.Raw {
		r := plainSession(tenant, name, "t", "running", members)
		r.Value = []byte(strings.Replace(string(r.Value), `"stage":false`, `"stage":true`, 1))
		return r
	}
	dump := legacy.Dump{
		legacy.Sessions: {
			plainSession("", "one", "t", "running", "x1"),
			plainSession("blue", "both", "t", "running", "x2"), plainSession("red", "both", "t", "running", "x3"),
			staged("blue", "later", "x4"),
		},
		legacy.Components: {
			raw("x1", `{"id":"x1","session":"one","enabled":true,"last_action":{"action":"session_setup","last_updated":"2026-11-25T11:59:30"}}`),
			raw("x2", `{"id":"x2","session":"both","last_action":{"action":"powering_on","last_updated":"2027-01-01T00:00:00"}}`),
			raw("x3", `{"id":"x3","session":"both"}`),
			raw("x4", `{"id":"x4","session":"gone","staged_state":{"session":"later"}}`),
			raw("x5", `{"id":"x5","session":"both"}`),
			raw("x6", `{"id":"x6","session":"later","staged_state":{"session":"later"},"last_action":{"action":"apply_staged"}}`),
		},
	}
	r := legacy.Convert(dump, at())
	now := at().Instant
	for id, want := range map[string]bos.Sealed{
		"x1": {Restart: true, ActionAt: now.Add(-30 * time.Second)},
		"x2": {Owner: "blue", ActionAt: now},
		"x3": {Owner: "red"},
		"x4": {StagedOwner: "blue", StagedOperation: bos.OperationReboot},
		"x5": {Owner: "blue"},
		"x6": {Owner: "blue", StagedOwner: "blue", StagedOperation: bos.OperationReboot, StagedApplied: true, Restart: true, ActionAt: now},
	} {
		if diff := cmp.Diff(want, component(t, r, id).Sealed); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	want := []string{`components x5: session: ambiguous: 2 tenants have a session "both", and not one alone names this component; it is taken as tenant blue's`}
	if diff := cmp.Diff(want, lines(r)); diff != "" {
		t.Error(diff)
	}
}

func TestOptions(t *testing.T) {
	r := legacy.Convert(legacy.Dump{legacy.Options: {
		raw("options", `{"bss_read_timeout":5,"polling_frequency":"7","clear_stage":true,"component_actual_state_ttl":"0h",`+
			`"cleanup_completed_session_ttl":"0","logging_level":"warn","disable_components_on_completion":true}`),
		raw("else", `{}`),
	}}, at())
	got, err := bos.DecodeOptions(find(t, r, store.KeyOptions).Value)
	if err != nil {
		t.Fatal(err)
	}
	want := bos.DefaultOptions()
	want.BSSReadTimeout, want.PollingFrequency, want.ClearStage = 10, 7, true
	want.CleanupCompletedSessionTTL, want.LoggingLevel = "0", "WARNING"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Changes) != 4 || len(r.Left) != 2 {
		t.Errorf("reported %q", lines(r))
	}
}

func TestTokensAndStatuses(t *testing.T) {
	const token = "0123456789abcdef-secret"
	const status = `{"status":"complete","managed_components_count":1,"phases":{"percent_complete":100,"old":1},"percent_staged":0,` +
		`"percent_successful":100.0,"percent_failed":0,"error_summary":{"boom":{"count":1,"list":"x1"}},` +
		`"timing":{"start_time":"2026-11-25T11:00:00","end_time":"2026-11-25T11:10:00","duration":"0:10:00"}}`
	r := legacy.Convert(legacy.Dump{
		legacy.Tokens: {raw(token, `{"kernel":"k","kernel_parameters":"hush","initrd":"i","timestamp":"2026-11-25T11:00:00","more":1}`)},
		legacy.Sessions: {
			plainSession("blue", "s", "t", "complete", "x1"),
		},
		legacy.Statuses: {raw(key("blue", "s"), status), raw(key("", "s"), status)},
	}, at())
	var doc store.Token
	if err := json.Unmarshal(find(t, r, store.TokenKey(token)).Value, &doc); err != nil {
		t.Fatal(err)
	}
	if at().Instant.Sub(doc.UsedAt) != time.Hour || doc.BootArtifacts.Kernel.Value() != "k" {
		t.Errorf("the token: %+v", doc)
	}
	var saved bos.ExtendedStatus
	if err := json.Unmarshal(find(t, r, store.StatusKey(bos.SessionKey{Tenant: "blue", Name: "s"})).Value, &saved); err != nil {
		t.Fatal(err)
	}
	if saved.ErrorSummary["boom"].Count != 1 || saved.Timing.Duration != "0:10:00" {
		t.Errorf("the status: %+v", saved)
	}
	all := strings.Join(lines(r), "\n")
	if strings.Contains(all, "secret") || strings.Contains(all, "hush") {
		t.Errorf("a secret is shown: %s", all)
	}
	if len(r.Left) != 1 || len(r.Changes) != 2 {
		t.Errorf("reported %s", all)
	}
}

// Whatever is in a Redis: everything is taken or left out, what is taken can be
// read back, and the same again makes no difference.
func FuzzConvert(f *testing.F) {
	f.Add(uint8(1), "x1", `{"id":"x1","session":"s","enabled":true}`)
	f.Add(uint8(2), "t", `{"name":"a b","tenant":null,"boot_sets":{"":{"path":"p","node_list":["x1"]}}}`)
	f.Add(uint8(3), "s", `{"name":"s!","operation":"boot","template_name":"","components":"x1,,x2","status":{"status":"running"}}`)
	f.Add(uint8(0), "options", `{"bss_read_timeout":1e3}`)
	f.Add(uint8(4), "token", `{"kernel":"k","timestamp":"2026-11-25"}`)
	f.Add(uint8(5), "s", `{"phases":{"percent_complete":1}}`)
	f.Fuzz(func(t *testing.T, db uint8, k, value string) {
		var dump legacy.Dump
		dump[int(db)%len(dump)] = []legacy.Raw{raw(k, value)}
		r := legacy.Convert(dump, at())
		if len(r.Documents) == 0 && len(r.Left) == 0 {
			t.Fatalf("%q is neither taken nor left out", value)
		}
		for _, text := range lines(r) {
			if strings.ContainsAny(text, "\n\r") {
				t.Fatalf("%q is more than a line", text)
			}
		}
		for _, l := range r.Left {
			if _, err := json.Marshal(l); err != nil {
				t.Fatal(err)
			}
		}
		again := legacy.Convert(dump, at())
		for i, d := range r.Documents {
			if !d.Same(d.Value) || !again.Documents[i].Same(d.Value) || d.Key != again.Documents[i].Key {
				t.Fatalf("%q is not the same as itself: %s", value, d.Value)
			}
		}
	})
}

// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/xname"
)

// anySession draws a session of a few names, so that nodes meet it.
func anySession(t *rapid.T) *bos.SessionRecord {
	s := &bos.SessionRecord{Session: bos.Session{
		Name: rapid.SampledFrom([]string{"s", "t"}).Draw(t, "name"), Tenant: rapid.SampledFrom([]string{"", "blue"}).Draw(t, "tenant"),
		Stage: rapid.Bool().Draw(t, "stage"),
		Status: bos.SessionStatus{
			StartTime: "2026-11-23T09:26:40",
			Status:    rapid.SampledFrom([]bos.SessionState{bos.SessionPending, bos.SessionRunning, bos.SessionComplete}).Draw(t, "state"),
		},
	}, Sealed: bos.SessionSealed{UID: "uid"}}
	return s
}

// anyMember draws a node in any state, of some session.
func anyMember(t *rapid.T, n int) bos.Member {
	m := bos.Member{ID: fmt.Sprintf("x1c0s%db0n%d", n/4, n%4), Unknown: rapid.IntRange(0, 9).Draw(t, "unknown") == 0}
	if rapid.IntRange(0, 9).Draw(t, "none") == 0 {
		return m
	}
	name := rapid.SampledFrom([]string{"", "s", "t"})
	tenant := rapid.SampledFrom([]string{"", "blue"})
	rec := bos.Record{Component: components().Draw(t, "component")}
	c := &rec.Component
	c.ID = m.ID
	c.Session = bos.Some(name.Draw(t, "session"))
	c.StagedState = bos.Some(bos.StagedState{Session: bos.Some(name.Draw(t, "staged"))})
	c.Enabled = opt(t, "enabled", rapid.Bool())
	c.Error = bos.Some(rapid.SampledFrom([]string{"", "e", "waiting"}).Draw(t, "error"))
	c.LastAction = bos.Some(bos.LastAction{
		Action: bos.Some(rapid.SampledFrom([]bos.Action{
			bos.ActionPoweringOn, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully, bos.ActionSessionSetup,
		}).Draw(t, "action")),
		LastUpdated: bos.Some(fmt.Sprintf("2026-11-23T09:%02d:00", rapid.IntRange(0, 59).Draw(t, "minute"))),
	})
	c.Status = bos.Some(bos.Status{
		Phase: bos.Some(rapid.SampledFrom([]bos.Phase{
			bos.PhaseNone, bos.PhasePoweringOn, bos.PhasePoweringOff, bos.PhaseConfiguring,
		}).Draw(t, "phase")),
		StatusOverride: bos.Some(rapid.SampledFrom([]string{"", "on_hold", "failed", "odd"}).Draw(t, "override")),
	})
	rec.Sealed = bos.Sealed{
		Owner: tenant.Draw(t, "owner"), StagedOwner: tenant.Draw(t, "staged owner"),
		StagedApplied: rapid.Bool().Draw(t, "applied"), Plan: rapid.SampledFrom([]string{"", "uid", "other"}).Draw(t, "plan"),
	}
	if rapid.Bool().Draw(t, "waits") {
		rec.Sealed.Wait = &bos.Wait{Text: "waiting"}
	}
	if rapid.Bool().Draw(t, "left") {
		rec.Sealed.Left = &bos.Left{
			Tenant: tenant.Draw(t, "left tenant"), Session: name.Draw(t, "left session"),
			CameTo: rapid.SampledFrom([]bos.Standing{bos.StandingSucceeded, bos.StandingFailed, bos.StandingCancelled, bos.StandingLeftOut}).Draw(t, "came to"),
		}
	}
	m.Record = &rec
	return m
}

// counted returns the counts but the total, by name.
func counted(c bos.Counts) map[string]int {
	out := map[string]int{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Total" {
			out[name] = int(v.Field(i).Int())
		}
	}
	return out
}

// Every node of a session, whatever state it is in, has exactly one standing,
// and the same one whether it is counted alone or with others. What is told of
// groups of nodes is what the counts say.
func TestEveryNodeIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySession(t)
		members := make([]bos.Member, rapid.IntRange(0, 12).Draw(t, "nodes"))
		sums := map[string]int{}
		for i := range members {
			members[i] = anyMember(t, i)
			one := bos.ResultOf(s, members[i:i+1])
			if one.Counts.Total != 1 {
				t.Fatalf("one node is counted %d times: %+v", one.Counts.Total, one.Counts)
			}
			ones := 0
			for name, n := range counted(one.Counts) {
				sums[name] += n
				ones += n
			}
			if ones != 1 {
				t.Fatalf("one node has %d standings: %+v", ones, one.Counts)
			}
		}
		r := bos.ResultOf(s, members)
		if r.Counts.Total != len(members) {
			t.Fatalf("%d nodes, %d counted", len(members), r.Counts.Total)
		}
		got := counted(r.Counts)
		for name, n := range got {
			if sums[name] != n {
				t.Fatalf("%s: %d alone, %d together", name, sums[name], n)
			}
		}
		named := map[string]bool{}
		ofGroups := func(nodes string, count int) {
			ids, err := xname.Expand(nodes)
			if err != nil || len(ids) != count {
				t.Fatalf("%q are %d nodes, not %d: %v", nodes, len(ids), count, err)
			}
			for _, id := range ids {
				if named[id] {
					t.Fatalf("%s is named twice", id)
				}
				named[id] = true
			}
		}
		failures, taken := 0, 0
		for _, f := range r.Failures {
			failures += f.Count
			ofGroups(f.Nodes, f.Count)
		}
		for _, o := range r.TakenOverBy {
			taken += o.Count
			ofGroups(o.Nodes, o.Count)
			if s.Session.Tenant != "" && o.Tenant != "" && o.Tenant != s.Session.Tenant {
				t.Fatalf("a tenant is told of %+v", o)
			}
		}
		if failures != r.Counts.Failed+r.Counts.Cancelled || taken != r.Counts.TakenOver || len(r.Slowest) > 5 {
			t.Fatalf("%+v", r)
		}
		for i := 1; i < len(r.Slowest); i++ {
			if r.Slowest[i].Since < r.Slowest[i-1].Since {
				t.Fatalf("not the oldest first: %+v", r.Slowest)
			}
		}
		// What is stored is what was counted.
		data, err := json.Marshal(bos.StoredResult{UID: "uid", Result: r})
		if err != nil {
			t.Fatal(err)
		}
		var back bos.StoredResult
		if err := json.Unmarshal(data, &back); err != nil || back.UID != "uid" {
			t.Fatal(back.UID, err)
		}
		if diff := cmp.Diff(r, back.Result); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What a node came to stays with the session that it leaves, until that is
// complete, and whoever drives it since.
func TestLeavingKeepsWhatItCameTo(t *testing.T) {
	s := &bos.SessionRecord{Session: bos.Session{Name: "s", Status: bos.SessionStatus{Status: bos.SessionRunning}}, Sealed: bos.SessionSealed{UID: "uid"}}
	w := testWrite("")
	done := func(text string, override string) bos.Record {
		return bos.Record{Component: bos.Component{
			ID: "x1c0s0b0n0", Session: bos.Some("s"), Enabled: bos.Some(false), Error: bos.Some(text),
			Status: bos.Some(bos.Status{Phase: bos.Some(bos.PhaseNone), StatusOverride: bos.Some(override)}),
		}}
	}
	standing := func(rec bos.Record) bos.Result {
		return bos.ResultOf(s, []bos.Member{{ID: "x1c0s0b0n0", Record: &rec}})
	}
	succeeded := w.Patch(done("", ""), decode(t, `{"session":"t","enabled":true}`))
	if got := standing(succeeded); got.Counts.Succeeded != 1 {
		t.Errorf("it had succeeded: %+v", got.Counts)
	}
	for _, name := range []string{"u", "v", "", "t"} {
		succeeded = w.Patch(succeeded, decode(t, `{"session":"`+name+`"}`))
		if got := standing(succeeded); got.Counts.Succeeded != 1 {
			t.Errorf("it had succeeded before it went to %q: %+v", name, got.Counts)
		}
	}
	failed := w.Patch(done("broken", "failed"), decode(t, `{"session":"t","enabled":true,"error":""}`))
	if got := standing(failed); got.Counts.Failed != 1 || got.Failures[0].Error != "broken" {
		t.Errorf("it had failed: %+v", got)
	}
	busy := done("", "")
	busy.Component.Enabled = bos.Some(true)
	busy = w.Patch(busy, decode(t, `{"session":"t"}`))
	if got := standing(busy); got.Counts.TakenOver != 1 || got.TakenOverBy[0].Session != "t" || busy.Sealed.Left != nil {
		t.Errorf("it was taken over: %+v", got)
	}
	// Of a session that is complete nothing needs to be remembered.
	w.Open = func(bos.SessionKey) bool { return false }
	if rec := w.Patch(done("", ""), decode(t, `{"session":"t"}`)); rec.Sealed.Left != nil {
		t.Errorf("remembered: %+v", rec.Sealed.Left)
	}
	// Another session of that name begins anew.
	succeeded.Join(bos.SessionKey{Name: "s"})
	if got := standing(succeeded); got.Counts.Succeeded != 0 {
		t.Errorf("a former session's: %+v", got.Counts)
	}
}

// A node remembers a bounded number of sessions, the last ones.
func TestLeftIsBounded(t *testing.T) {
	w := testWrite("")
	rec := bos.Record{Component: bos.Component{ID: "x1c0s0b0n0", Enabled: bos.Some(false), Session: bos.Some("s0")}}
	for i := range 50 {
		rec = w.Patch(rec, decode(t, fmt.Sprintf(`{"session":"s%d"}`, i+1)))
	}
	n := 0
	for l := rec.Sealed.Left; l != nil; l = l.Former {
		if want := fmt.Sprintf("s%d", 49-n); l.Session != want {
			t.Errorf("entry %d is of %s, not %s", n, l.Session, want)
		}
		n++
	}
	if n != 8 {
		t.Errorf("%d are remembered", n)
	}
	again, ok := bos.DecodeRecord(rec.AppendJSON(nil), nil)
	if !ok || plainly(*again) != plainly(rec) {
		t.Errorf("read as something else: %v %s", ok, plainly(rec))
	}
}

// The result of 100,000 nodes fits into a document, whatever they came to.
func TestResultOfManyNodes(t *testing.T) {
	s := &bos.SessionRecord{Session: bos.Session{Name: "s", Status: bos.SessionStatus{Status: bos.SessionRunning, StartTime: "2026-11-23T09:26:40"}}}
	members := make([]bos.Member, 100_000)
	long := strings.Repeat("x", 5000)
	for i := range members {
		rec := &bos.Record{Component: bos.Component{
			ID: fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/512, i/64%8, i/8%8, i/2%4, i%2), Session: bos.Some("s"),
			Status: bos.Some(bos.Status{StatusOverride: bos.Some("failed")}),
		}}
		// No two neighbours have the same, and every tenth has one of its own.
		switch {
		case i%10 == 0:
			rec.Component.Error = bos.Some(fmt.Sprint(i, long))
		case i*2654435761>>7%3 == 0:
			rec.Component.Error = bos.Some("broken")
		default:
			rec.Component.Error = bos.Some(fmt.Sprint("broken ", i*40503>>5%60))
		}
		members[i] = bos.Member{ID: rec.Component.ID, Record: rec}
	}
	r := bos.ResultOf(s, members)
	data, err := json.Marshal(bos.StoredResult{UID: "uid", Result: r})
	if err != nil {
		t.Fatal(err)
	}
	if r.Counts.Failed != len(members) || len(r.Failures) > 100 || len(data) > 1<<20 {
		t.Errorf("%d failed with %d errors in %d bytes", r.Counts.Failed, len(r.Failures), len(data))
	}
	var back bos.StoredResult
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back.Result); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		counts bos.Counts
		want   bos.Verdict
	}{
		{bos.Counts{}, bos.VerdictFailed},
		{bos.Counts{Total: 2, Succeeded: 2}, bos.VerdictSucceeded},
		{bos.Counts{Total: 2, Succeeded: 1, Failed: 1}, bos.VerdictPartial},
		{bos.Counts{Total: 2, Succeeded: 1, TakenOver: 1}, bos.VerdictPartial},
		{bos.Counts{Total: 2, Failed: 1, LeftOut: 1}, bos.VerdictFailed},
	} {
		s := bos.SessionRecord{}.Complete(time.Now(), "")
		o := bos.OutcomeOf(&s, bos.Result{Counts: c.counts})
		if o.Outcome == nil || *o.Outcome != c.want {
			t.Errorf("%+v: %v, want %s", c.counts, o.Outcome, c.want)
		}
	}
	if o := bos.OutcomeOf(&bos.SessionRecord{}, bos.Result{}); o.Outcome != nil {
		t.Errorf("not complete: %v", *o.Outcome)
	}
}

// SPDX-License-Identifier: MIT

package bos_test

import (
	"testing"

	"pgregory.net/rapid"

	"bos/internal/bos"
)

// Cancelling a node, whatever it does, leaves the session with nothing to do
// there: it is not driven for it, nothing is staged by it, and what it came to
// is told. Nodes of others and nodes that are through stay as they are, and
// twice is once.
func TestCancelNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySession(t)
		s.Sealed.Setup = rapid.SampledFrom([]bos.SetupState{bos.SetupNew, bos.SetupPlanned, bos.SetupApplied}).Draw(t, "setup")
		m := anyMember(t, 0)
		if m.Record == nil {
			return
		}
		m.Unknown = false
		key := s.Session.Key()
		before := bos.ResultOf(s, []bos.Member{m}).Counts
		old := *m.Record
		if old.Sealed.Left != nil && old.Sealed.Left.CameTo == bos.StandingCancelled {
			old.Sealed.Left = nil
			before = bos.ResultOf(s, []bos.Member{{ID: m.ID, Record: &old}}).Counts
		}
		w := testWrite("")
		rec, changed := w.CancelNode(old, s)
		if _, again := w.CancelNode(rec, s); again {
			t.Fatalf("cancelled twice: %+v", rec)
		}
		after := bos.ResultOf(s, []bos.Member{{ID: m.ID, Record: &rec}}).Counts
		through := before.Succeeded+before.Failed+before.LeftOut+before.TakenOver > 0
		switch {
		case through && after != before:
			t.Fatalf("it was %+v and is %+v", before, after)
		case !through && after.Cancelled != 1 && (before.Waiting == 0 || s.Sealed.Setup == bos.SetupPlanned && rec.OwnSession() != key && s.Session.Status.Status == bos.SessionPending):
			t.Fatalf("it was %+v and is %+v", before, after)
		}
		if rec.AwaitedStage() == key && key.Name != "" {
			t.Fatalf("it is still staged: %+v", rec)
		}
		if own := rec.OwnSession(); own == key && rec.Component.Enabled.Value() && rec.Component.StatusNow() != bos.StatusFailed {
			t.Fatalf("it is still driven: %+v", rec)
		}
		if old.OwnSession() != key && rec.Component.Enabled != old.Component.Enabled {
			t.Fatalf("somebody else's node was touched: %+v", rec)
		}
		if !changed && plainly(rec) != plainly(old) {
			t.Fatal("it was changed, and nobody says so")
		}
	})
}

// A pause and its end move the last action to now and leave nothing behind.
func TestPauseAndResumeNode(t *testing.T) {
	s := &bos.SessionRecord{Session: bos.Session{Name: "s", Status: bos.SessionStatus{Status: bos.SessionRunning}}}
	old := bos.Record{
		Component: bos.Component{
			ID: "x1c0s0b0n0", Session: bos.Some("s"), Enabled: bos.Some(true), Error: bos.Some(""),
			Status: bos.Some(bos.Status{Phase: bos.Some(bos.PhasePoweringOn)}),
		},
		Sealed: bos.Sealed{ActionAt: 5, Attempt: &bos.AttemptMark{ID: "a", At: 5}},
	}
	w := testWrite("")
	w.Instant = 100
	paused, ok := w.PauseNode(old, s)
	if _, again := w.PauseNode(paused, s); !ok || again || paused.Component.Error.Value() != "session 's' is paused" {
		t.Fatalf("paused: %+v", paused)
	}
	w.Instant = 9000
	resumed, ok := w.ResumeNode(paused, s)
	if !ok || resumed.Sealed.Wait != nil || resumed.Component.Error.Value() != "" || resumed.Sealed.ActionAt != 9000 || resumed.Sealed.Attempt.At != 9000 {
		t.Errorf("resumed: %+v", resumed)
	}
	if old.Sealed.Attempt.At != 5 {
		t.Error("the former record was changed")
	}
	// The attempt is still the last thing that was done.
	if _, refused := w.Refuse(resumed, "a", "no"); !refused {
		t.Error("what PCS says of the attempt is not taken")
	}
	other := old
	other.Component.Session = bos.Some("t")
	for name, edit := range map[string]func(bos.Record, *bos.SessionRecord) (bos.Record, bool){"pause": w.PauseNode, "resume": w.ResumeNode} {
		if _, ok := edit(other, s); ok {
			t.Errorf("%s: somebody else's node was touched", name)
		}
	}
}

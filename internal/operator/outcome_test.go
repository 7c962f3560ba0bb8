// SPDX-License-Identifier: MIT

package operator_test

import (
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
)

// outcome tells what the nodes of a session came to, as the API does.
func (f *fixture) outcome(session string) bos.Outcome {
	f.t.Helper()
	rec := f.state(session)
	result, stored := f.view.Result(&rec)
	if complete := rec.Session.Status.Status == bos.SessionComplete; stored != complete {
		f.t.Errorf("session %q: complete is %v, and its result is stored: %v", session, complete, stored)
	}
	if !stored {
		result = bos.ResultOf(&rec, f.view.Roster(&rec))
	}
	return bos.OutcomeOf(&rec, result)
}

// What a session's nodes came to is kept: of those that go to another session
// while it runs, and of all when it is complete.
func TestResultIsKept(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.template("one", "s3://b/one", "", three)
		f.template("two", "s3://b/two", "", three[:1])
		f.world.set(func(w *world) {
			w.nodes[three[1]].neverReport = true
			w.nodes[three[2]].neverReport = true
		})
		f.session("first", "one", bos.OperationBoot)
		f.start()
		f.wait(3 * time.Minute)
		if c := f.outcome("first").Counts; c.Succeeded != 1 || c.Booting != 2 || c.Total != 3 {
			t.Fatalf("halfway: %+v", c)
		}
		// The one that is done, and one that is not, go to the next session.
		f.template("two", "s3://b/two", "", three[:2])
		f.session("second", "two", bos.OperationBoot)
		f.wait(10 * time.Second)
		got := f.outcome("first")
		if c := got.Counts; c.Succeeded != 1 || c.TakenOver != 1 || c.Booting != 1 || c.Total != 3 {
			t.Fatalf("taken over: %+v", c)
		}
		if len(got.TakenOverBy) != 1 || got.TakenOverBy[0] != (bos.TakenOver{Session: "second", Count: 1, Nodes: three[1]}) {
			t.Errorf("taken over by %+v", got.TakenOverBy)
		}
		f.complete("first", 8*time.Hour)
		want := f.outcome("first")
		if c := want.Counts; c.Succeeded != 1 || c.TakenOver != 1 || c.Failed != 1 || c.Total != 3 || *want.Outcome != bos.VerdictPartial {
			t.Fatalf("complete: %+v", want)
		}
		f.session("third", "one", bos.OperationShutdown)
		f.complete("third", 8*time.Hour)
		if got := f.outcome("first"); got.Counts != want.Counts {
			t.Errorf("it was %+v, and is %+v", want.Counts, got.Counts)
		}
		if got := f.outcome("third"); got.Counts.Succeeded != 3 || *got.Outcome != bos.VerdictSucceeded {
			t.Errorf("the shutdown: %+v", got)
		}
		// It goes with its session.
		f.options(func(o *bos.Options) { o.CleanupCompletedSessionTTL = "1m" })
		f.wait(5 * time.Minute)
		if _, err := f.store.Get(t.Context(), store.ResultKey(bos.SessionKey{Name: "first"})); !bos.IsNotFound(err) {
			t.Errorf("its result is left behind: %v", err)
		}
	})
}

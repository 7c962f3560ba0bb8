// SPDX-License-Identifier: MIT

package api

import (
	"net/http"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
)

// The outcome of a session that a client completes is kept, whatever becomes of
// its nodes; it goes with the session.
func TestOutcomeIsKept(t *testing.T) {
	s := start(t, nil)
	s.template("t")
	s.session("s")
	s.do("PUT", "/v2/components", `[{"id":"a1","session":"s","enabled":false,"error":""},{"id":"b1","session":"s","enabled":true},
		{"id":"c1","session":"s","enabled":false,"error":"broken","status":{"status_override":"on_hold"}}]`).wants(http.StatusOK)
	counts := func() bos.Outcome {
		var o bos.Outcome
		s.do("GET", "/v2/sessions/s/outcome", "").wants(http.StatusOK).json(&o)
		return o
	}
	if o := counts(); o.Outcome != nil || o.Counts != (bos.Counts{Total: 3, Succeeded: 1, Waiting: 1, Failed: 1}) {
		t.Errorf("pending: %+v", o)
	}
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(http.StatusOK)
	s.do("PATCH", "/v2/components", `{"patch":{"session":"other"},"filters":{"session":"s"}}`).wants(http.StatusOK)
	s.do("DELETE", "/v2/components/a1", "").wants(http.StatusNoContent)
	if o := counts(); *o.Outcome != bos.VerdictPartial || o.Counts != (bos.Counts{Total: 3, Succeeded: 1, Waiting: 1, Failed: 1}) {
		t.Errorf("complete: %+v", o)
	}
	// One that is sent back to pending begins anew.
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"pending"}}`).wants(http.StatusOK)
	if o := counts(); o.Counts.Total != 0 || o.Outcome != nil {
		t.Errorf("pending again: %+v", o)
	}
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(http.StatusOK)
	if o := counts(); o.Counts.Total != 0 || *o.Outcome != bos.VerdictFailed {
		t.Errorf("complete again: %+v", o)
	}
	s.do("DELETE", "/v2/sessions/s", "").wants(http.StatusNoContent)
	if _, err := s.store.Get(t.Context(), store.ResultKey(bos.SessionKey{Name: "s"})); !bos.IsNotFound(err) {
		t.Errorf("the result is left behind: %v", err)
	}
}

// A tenant is told of a session of somebody else's that took a node over, but
// not of its name.
func TestOutcomeNamesNoOtherTenant(t *testing.T) {
	s := start(t, nil)
	own := bos.NewSession(bos.SessionCreate{Name: "s", Operation: bos.OperationBoot, TemplateName: "t"}, "tenant-a", "uid", s.server.now())
	own.Sealed.Setup, own.Sealed.Chunks, own.Sealed.Nodes = bos.SetupApplied, 1, 1
	own.Session.Status.Status = bos.SessionRunning
	for key, doc := range map[string]any{
		store.SessionKey(own.Session.Key()): own,
		store.PlanKey("uid", 0):             bos.PlanChunk{UID: "uid", Nodes: []bos.PlannedNode{{ID: "a1"}}, Applied: true},
	} {
		if _, err := s.store.PutDoc(t.Context(), key, doc, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.do("PUT", "/v2/components/a1", `{"session":"secret","enabled":true}`).wants(http.StatusOK)
	var o bos.Outcome
	s.as("tenant-a", "GET", "/v2/sessions/s/outcome", "").wants(http.StatusOK).json(&o)
	if o.Counts.TakenOver != 1 || len(o.TakenOverBy) != 1 || o.TakenOverBy[0] != (bos.TakenOver{Count: 1, Nodes: "a1"}) {
		t.Errorf("%+v", o)
	}
	s.as("tenant-b", "GET", "/v2/sessions/s/outcome", "").problem(http.StatusNotFound, titleNotFound)
}

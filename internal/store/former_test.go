// SPDX-License-Identifier: MIT

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/store"
)

// checkFormerVersion says what the documents of testdata/schema-1.snapshot
// mean, whatever build reads them.
func checkFormerVersion(t *testing.T, s *store.Store) {
	t.Helper()
	get := func(key string) store.KV {
		kv, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		return kv
	}
	rec, err := store.DecodeRecord(get(store.ComponentKey("x1000c0s0b0n0")), "x1000c0s0b0n0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := rec.Component.StatusNow(); got != bos.StatusPowerOnCalled {
		t.Errorf("status %s", got)
	}
	if rec.OwnSession() != (bos.SessionKey{Tenant: "blue", Name: "s1"}) || rec.Sealed.Plan != "uid-1" || rec.Sealed.ActionAt != 123456 ||
		rec.Sealed.Attempt == nil || rec.Sealed.Attempt.ID != "a1" || rec.Sealed.Attempt.LastAction.Action.Value() != bos.ActionSessionSetup {
		t.Errorf("sealed: %+v", rec.Sealed)
	}
	if rec.Component.DesiredArtifacts().Kernel.Value() != "s3://boot-images/i/kernel" {
		t.Errorf("component: %+v", rec.Component)
	}
	key := bos.SessionKey{Tenant: "blue", Name: "s1"}
	session, err := store.DecodeSession(get(store.SessionKey(key)), key)
	if err != nil || session.Session.Operation != bos.OperationBoot || session.Sealed.Setup != bos.SetupApplied || session.Sealed.Chunks != 1 {
		t.Errorf("session: %+v, %v", session, err)
	}
	plan, err := store.Decode[bos.PlanChunk](get(store.PlanKey("uid-1", 0)))
	if err != nil || len(plan.Nodes) != 2 || !plan.Nodes[1].Unknown || plan.Targets[0].Configuration != "c" {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	template, err := store.DecodeTemplate(get(store.TemplateKey(bos.TemplateKey{Name: "t"})), bos.TemplateKey{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	var sets []string
	for name := range template.Template.BootSets.All() {
		sets = append(sets, name)
	}
	if diff := cmp.Diff([]string{"zeta", "alpha"}, sets); diff != "" {
		t.Error(diff)
	}
	if o, err := bos.DecodeOptions(get(store.KeyOptions).Value); err != nil || o.PollingFrequency != 7 || o.MaxBootWaitTime != 1200 {
		t.Errorf("options: %+v, %v", o, err)
	}
	if tok, err := store.Decode[store.Token](get(store.TokenKey("tok"))); err != nil || tok.BootArtifacts.Initrd.Value() != "i" {
		t.Errorf("token: %+v, %v", tok, err)
	}
	attempt, err := store.Decode[bos.Attempt](get(store.AttemptKey("a1")))
	if err != nil || attempt.Action.Operation() != "On" || attempt.Fence != 42 || len(attempt.Transitions) != 1 {
		t.Errorf("attempt: %+v, %v", attempt, err)
	}
}

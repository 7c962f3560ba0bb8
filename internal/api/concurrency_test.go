// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"sync"
	"testing"

	"bos/internal/bos"
)

// at runs functions at the same moment and waits for all.
func at(functions ...func()) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for _, f := range functions {
		wg.Go(func() {
			<-gate
			f()
		})
	}
	close(gate)
	wg.Wait()
}

// engines runs a test over the store in memory and over etcd.
func engines(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("mem", func(t *testing.T) { test(t, start(t, nil)) })
	t.Run("etcd", func(t *testing.T) { test(t, startEmbedded(t)) })
}

// Of two writers of different fields neither is lost.
func TestConcurrentPatches(t *testing.T) {
	engines(t, func(t *testing.T, s *site) {
		s.do("PUT", "/v2/components", `[{"id":"x"},{"id":"y"}]`).wants(200)
		s.template("t")
		s.session("s")
		for i := range 200 {
			n := fmt.Sprint(i)
			writes := []func(){
				func() { s.do("PATCH", "/v2/components/x", `{"error":"`+n+`"}`).wants(200) },
				func() { s.do("PATCH", "/v2/components/x", `{"retry_policy":`+n+`}`).wants(200) },
				func() {
					s.do("PATCH", "/v2/components", `[{"id":"y"},{"id":"x","staged_state":{"configuration":"`+n+`"}}]`).wants(200)
				},
			}
			if i%10 == 0 {
				writes = append(writes,
					func() { s.do("PATCH", "/v2/sessiontemplates/t", `{"description":"`+n+`"}`).wants(200) },
					func() { s.do("PATCH", "/v2/sessiontemplates/t", `{"cfs":{"configuration":"`+n+`"}}`).wants(200) },
					func() { s.do("PATCH", "/v2/sessions/s", `{"components":"`+n+`"}`).wants(200) },
					func() { s.do("PATCH", "/v2/sessions/s", `{"status":{"error":"`+n+`"}}`).wants(200) },
					func() { s.do("PATCH", "/v2/options", `{"polling_frequency":`+n+`}`).wants(200) },
					func() { s.do("PATCH", "/v2/options", `{"discovery_frequency":`+n+`}`).wants(200) })
			}
			at(writes...)
			var c bos.Component
			s.do("GET", "/v2/components/x", "").wants(200).json(&c)
			if c.Error.Value() != n || c.RetryPolicy.Value() != i || c.StagedState.Value().Configuration.Value() != n {
				t.Fatalf("round %d: %+v", i, c)
			}
			if i%10 == 0 {
				s.wroteAll(n, i)
			}
		}
	})
}

// wroteAll fails unless every writer of a round is seen.
func (s *site) wroteAll(n string, i int) {
	s.tb.Helper()
	var tmpl bos.Template
	s.do("GET", "/v2/sessiontemplates/t", "").wants(200).json(&tmpl)
	var session bos.Session
	s.do("GET", "/v2/sessions/s", "").wants(200).json(&session)
	var options bos.Options
	s.do("GET", "/v2/options", "").wants(200).json(&options)
	if tmpl.Description.Value() != n || tmpl.CFS.Value().Configuration.Value() != n || session.Components != n || *session.Status.Error != n ||
		options.PollingFrequency != i || options.DiscoveryFrequency != i {
		s.tb.Fatalf("round %d: %+v, %+v, %+v", i, tmpl, session, options)
	}
}

// Of several who create a session of one name, one does.
func TestConcurrentCreation(t *testing.T) {
	engines(t, func(t *testing.T, s *site) {
		s.template("t")
		for i := range 50 {
			var statuses [4]int
			var creators []func()
			for n := range statuses {
				creators = append(creators, func() {
					statuses[n] = s.do("POST", "/v2/sessions", fmt.Sprintf(`{"operation":"boot","template_name":"t","name":"s","limit":"x%d"}`, n)).status
				})
			}
			at(creators...)
			counts := map[int]int{}
			for _, status := range statuses {
				counts[status]++
			}
			if counts[201] != 1 || counts[409] != 3 {
				t.Fatalf("round %d: %v", i, statuses)
			}
			var made bos.Session
			s.do("GET", "/v2/sessions/s", "").wants(200).json(&made)
			var n int
			if _, err := fmt.Sscanf(made.Limit, "x%d", &n); err != nil || statuses[n] != 201 {
				t.Fatalf("round %d: %q was stored, %v answered", i, made.Limit, statuses)
			}
			s.do("DELETE", "/v2/sessions/s", "").wants(204)
		}
	})
}

// A component that is deleted while it is patched is gone, whatever the order;
// it does not come back.
func TestDeleteAgainstPatch(t *testing.T) {
	engines(t, func(t *testing.T, s *site) {
		for i := range 100 {
			s.do("PUT", "/v2/components", `[{"id":"x"},{"id":"y","session":"s"}]`).wants(200)
			var deleted, deletedToo, patched, listed, applied reply
			at(
				func() { deleted = s.do("DELETE", "/v2/components/x", "") },
				func() { deletedToo = s.do("DELETE", "/v2/components/x", "") },
				func() { patched = s.do("PATCH", "/v2/components/x", `{"error":"e"}`) },
				func() { listed = s.do("PATCH", "/v2/components", `[{"id":"y","error":"l"},{"id":"x","error":"l"}]`) },
				func() { applied = s.do("POST", "/v2/applystaged", `{"xnames":["x"]}`) },
			)
			if deleted.status+deletedToo.status != 204+404 {
				t.Fatalf("round %d: deleted %d and %d", i, deleted.status, deletedToo.status)
			}
			for _, got := range []reply{patched, listed} {
				if got.status != 200 && got.status != 404 {
					t.Fatalf("round %d: %s %d", i, got.what, got.status)
				}
			}
			applied.is(`{"succeeded":[],"failed":[],"ignored":["x"]}`)
			s.do("GET", "/v2/components/x", "").wants(404)
			var y bos.Component
			s.do("GET", "/v2/components/y", "").wants(200).json(&y)
			if (listed.status == 200) != (y.Error.Value() == "l") {
				t.Fatalf("round %d: %d, but %+v", i, listed.status, y)
			}
		}
	})
}

// A session that is deleted while others work on it is gone, and nothing of it
// is left for the next of its name.
func TestDeleteSessionAgainstOthers(t *testing.T) {
	s := start(t, nil)
	s.template("t")
	for i := range 100 {
		s.session("s")
		s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(200)
		var deleted, bulk reply
		at(
			func() { deleted = s.do("DELETE", "/v2/sessions/s", "") },
			func() { bulk = s.do("DELETE", "/v2/sessions", "") },
			func() { s.do("POST", "/v2/sessions/s/status", "") },
			func() { s.do("PATCH", "/v2/sessions/s", `{"status":{"error":"e"}}`) },
		)
		if bulk.status != 204 || deleted.status != 204 && deleted.status != 404 {
			t.Fatalf("round %d: %d and %d", i, deleted.status, bulk.status)
		}
		if keys := s.left("/bos/sessions/", "/bos/statuses/"); len(keys) > 0 {
			t.Fatalf("round %d: left %q", i, keys)
		}
	}
}

// A bulk delete spares what stops being meant while it runs.
func TestBulkDeleteLooksTwice(t *testing.T) {
	s := start(t, nil)
	s.template("t")
	for i := range 50 {
		s.session("s")
		s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(200)
		var back reply
		at(
			func() { s.do("DELETE", "/v2/sessions", "").wants(204) },
			func() { back = s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"pending"}}`) },
		)
		want := 404
		if back.status == 200 {
			want = 200
		}
		s.do("GET", "/v2/sessions/s", "").wants(want)
		if want == 200 {
			s.do("DELETE", "/v2/sessions/s", "").wants(204)
		}
		if back.status != 200 && back.status != 404 {
			t.Fatalf("round %d: %d", i, back.status)
		}
	}
}

// Readers see whole lists, and what was acknowledged before they asked.
func TestReadsAreNeverStale(t *testing.T) {
	engines(t, func(t *testing.T, s *site) {
		s.do("PUT", "/v2/components", `[{"id":"a"},{"id":"b"}]`).wants(200)
		for i := range 200 {
			n := fmt.Sprint(i)
			s.do("PATCH", "/v2/components", `[{"id":"a","error":"`+n+`"},{"id":"b","error":"`+n+`"}]`).wants(200)
			at(
				func() {
					s.do("PATCH", "/v2/components", `{"patch":{"error":"`+n+`x"},"filters":{"ids":"a,b"}}`).wants(200)
				},
				func() {
					var list []bos.Component
					s.do("GET", "/v2/components", "").wants(200).json(&list)
					a, b := list[0].Error.Value(), list[1].Error.Value()
					if a != b || a != n && a != n+"x" {
						t.Errorf("round %d: %q and %q", i, a, b)
					}
				},
			)
		}
	})
}

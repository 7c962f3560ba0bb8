// SPDX-License-Identifier: MIT

package scale_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/sim"
	"bos/internal/store"
	"bos/test/lab"
)

// plans returns how many documents of session plans there are, and checks that
// each fits into a request of an etcd cluster with default limits.
func plans(t *testing.T, l *lab.Lab) int {
	t.Helper()
	docs, _, err := l.App().Store().List(t.Context(), store.PrefixPlans)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range docs {
		if len(kv.Value) > store.MaxBytes/4 {
			t.Errorf("a chunk of a plan has %d bytes", len(kv.Value))
		}
	}
	return len(docs)
}

// The members of a session of 100,000 nodes don't fit into one document. They
// are kept in chunks, joined for answers, and go with the session.
func TestMembershipOf100000(t *testing.T) {
	const nodes = 100_000
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: nodes}}, func(l *lab.Lab) {
		l.StartProcess(decide.RoleDiscovery, decide.RoleSessionSetup, decide.RoleSessionCompletion, decide.RoleSessionCleanup)
		l.Discovered()
		set := lab.BootSet(l.Site.Images()[0], nil, map[string]any{"node_list": nil, "node_roles_groups": []string{"Compute"}})
		l.Template("all", "cfg", set)
		for _, name := range []string{"one", "two"} {
			l.Session(name, "all", "boot", nil)
			l.Until(time.Hour, "the session runs", func() bool { return l.SessionState(name).Status == bos.SessionRunning })
		}
		if n := plans(t, l); n < 4 {
			t.Errorf("%d chunks of plans", n)
		}
		want := l.Site.Nodes()
		var session bos.Session
		decodeInto(t, l.Do(http.MethodGet, "/sessions/one", nil).Body, &session)
		if got := strings.Split(session.Components, ","); len(got) != nodes || got[0] != want[0] || got[nodes-1] != want[nodes-1] {
			t.Fatalf("%d members, from %s to %s", len(got), got[0], got[len(got)-1])
		}
		var list []bos.Session
		decodeInto(t, l.Do(http.MethodGet, "/sessions", nil).Body, &list)
		if len(list) != 2 || len(list[1].Components) != len(session.Components) {
			t.Errorf("%d sessions in the list", len(list))
		}
		// A patch of something else leaves the members as they are.
		l.Do(http.MethodPatch, "/sessions/one", map[string]any{"status": map[string]any{"error": "seen"}})
		decodeInto(t, l.Do(http.MethodGet, "/sessions/one", nil).Body, &session)
		if len(strings.Split(session.Components, ",")) != nodes || *session.Status.Error != "seen" {
			t.Errorf("after a patch: %d bytes of members, error %v", len(session.Components), session.Status.Error)
		}
		var status bos.ExtendedStatus
		decodeInto(t, l.Do(http.MethodGet, "/sessions/two/status", nil).Body, &status)
		if status.ManagedComponentsCount != nodes {
			t.Errorf("%d components are managed", status.ManagedComponentsCount)
		}
		// All nodes went over to the second session, so that the first one is over.
		l.Complete("one", time.Hour)
		disabled := l.Do(http.MethodPatch, "/components", map[string]any{
			"filters": map[string]any{"session": "two"}, "patch": map[string]any{"enabled": false},
		})
		var patched []struct{ ID string }
		decodeInto(t, disabled.Body, &patched)
		if len(patched) != nodes {
			t.Errorf("%d components were patched", len(patched))
		}
		l.Complete("two", time.Hour)
		l.Do(http.MethodDelete, "/sessions/one", nil)
		left := plans(t, l)
		if left == 0 || left > nodes/1000 {
			t.Errorf("%d chunks after one of the two sessions was deleted", left)
		}
		// The cleanup takes the other one along, with its chunks.
		l.Options(map[string]any{"cleanup_completed_session_ttl": "1h"})
		l.Until(3*time.Hour, "old sessions are gone", func() bool { return len(l.App().View().Sessions("")) == 0 })
		// The chunks go right after the session, which ends the wait above.
		l.Wait(time.Minute)
		if n := plans(t, l); n != 0 {
			t.Errorf("%d chunks of sessions that are gone", n)
		}
	})
}

func decodeInto(t *testing.T, body []byte, out any) {
	t.Helper()
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%v in %.200q", err, body)
	}
}

// A session of one node that is posted while a large one is being switched on
// goes in between: it does not wait for the end of the queue.
func TestSmallSessionBesideALargeOne(t *testing.T) {
	const nodes = 20_000
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: nodes}}, func(l *lab.Lab) {
		l.StartProcess(decide.RoleDiscovery, decide.RoleSessionSetup, decide.RoleStatus, decide.RolePowerOn)
		l.Discovered()
		all := l.Site.Nodes()
		// The small one's node is the last of all, by name too.
		l.Template("big", "cfg", lab.BootSet(l.Site.Images()[0], all[:nodes-1], nil))
		l.Template("small", "cfg", lab.BootSet(l.Site.Images()[0], all[nodes-1:], nil))
		l.Session("big", "big", "boot", nil)
		ons := func() int {
			at, _ := switchedOn(l)
			return len(at)
		}
		l.Until(time.Hour, "the first nodes are told to switch on", func() bool { return ons() > 0 })
		before := passes(t, l)
		l.Session("small", "small", "boot", nil)
		l.Until(time.Hour, "the small session's node is told to switch on", func() bool { return len(l.Operations(all[nodes-1])) > 0 })
		for role, n := range passes(t, l) {
			if made := n - before[role]; made > 10 {
				t.Errorf("%s made %d passes until the small session's node was told", role, made)
			}
		}
		// Four commands of 1,000 nodes are under way at a time: those that were
		// begun before, those that took the places of these, and the small one's
		// own round.
		if told := ons(); told > 3*4*1000 {
			t.Errorf("%d of %d nodes of the large session were told before", told, nodes)
		}
	})
}

// SPDX-License-Identifier: MIT

package hsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A site as HSM lists it without filters.
const site = `{"Components":[
 {"ID":"x3000c0s31b0n0","Type":"Node","State":"Ready","Flag":"OK","Enabled":true,"Role":"Application","SubRole":"UAN","NID":100101,"NetType":"Sling","Arch":"X86","Class":"River","Locked":true},
 {"ID":"X3000C0S01B0N1","Type":"node","State":"Off","Flag":"OK","Enabled":false,"Role":"Compute","NID":2,"Arch":"UNKNOWN"},
 {"ID":"x3000c0s40b0n0","Type":"Node","State":"Ready","Flag":"OK","Role":"Compute","NID":49169664},
 {"ID":"x3000c0s31b0","Type":"NodeBMC","State":"Ready","Flag":"OK","Enabled":true}]}`

func siteNodes() []Node {
	return []Node{
		{ID: "x3000c0s31b0n0", Role: "Application", SubRole: "UAN", Arch: "X86", State: "Ready", NID: 100101, Enabled: true, Locked: true},
		{ID: "x3000c0s1b0n1", Role: "Compute", Arch: "UNKNOWN", State: "Off", NID: 2},
		{ID: "x3000c0s40b0n0", Role: "Compute", State: "Ready", NID: 49169664, Enabled: true},
	}
}

func TestNodes(t *testing.T) {
	s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, site) })
	got, err := New(s.Service).Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(siteNodes(), got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	want := []upstreamtest.Exchange{{Method: "GET", Target: "/State/Components?type=Node"}}
	if diff := cmp.Diff(want, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestQuery(t *testing.T) {
	// The server ignores the filter, as some do.
	s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, site) })
	c := New(s.Service)
	ids := []string{"X3000C0S31B0N0", "x3000c0s031b0n0", "x3000c0s1b0n1", "x9c0s0b0n0", "all", "s0", "", "x3000c0s31b0"}
	all := siteNodes()
	tests := []struct {
		enabledOnly bool
		want        map[string]Node
		body        string
	}{
		{true, map[string]Node{all[0].ID: all[0]}, `{"ComponentIDs":["x3000c0s31b0n0","x3000c0s1b0n1","x9c0s0b0n0"],"enabled":["True"]}`},
		{false, map[string]Node{all[0].ID: all[0], all[1].ID: all[1]}, `{"ComponentIDs":["x3000c0s31b0n0","x3000c0s1b0n1","x9c0s0b0n0"]}`},
	}
	for _, tt := range tests {
		got, err := c.Query(t.Context(), ids, tt.enabledOnly)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("enabled only %v (-want +got):\n%s", tt.enabledOnly, diff)
		}
		seen := s.Seen()
		want := upstreamtest.Exchange{Method: "POST", Target: "/State/Components/Query", Body: tt.body}
		if diff := cmp.Diff(want, seen[len(seen)-1]); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}

func TestQueryOfNothingThatCanBeANode(t *testing.T) {
	c := New(upstreamtest.Silent(t, "hsm"))
	for _, id := range []string{"all", "s0", "", "x3000c0s1b0", "foo"} {
		if got, err := c.Query(t.Context(), []string{id}, true); err != nil || len(got) != 0 {
			t.Errorf("query %q: %v, %v", id, got, err)
		}
		if got, err := c.Locks(t.Context(), []string{id}); err != nil || len(got) != 0 {
			t.Errorf("locks %q: %v, %v", id, got, err)
		}
	}
}

func TestEmptyListsAreNotSent(t *testing.T) {
	c := New(upstreamtest.Silent(t, "hsm"))
	for _, ids := range [][]string{nil, {}} {
		_, queryErr := c.Query(t.Context(), ids, true)
		_, locksErr := c.Locks(t.Context(), ids)
		for _, err := range []error{queryErr, locksErr} {
			if bos.CodeOf(err) != bos.CodeInternal || !strings.HasPrefix(err.Error(), "refusing an empty list") {
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestLongQueriesAreCut(t *testing.T) {
	var ids []string
	for i := range 20_001 {
		ids = append(ids, fmt.Sprintf("x%dc0s%db0n0", 1000+i/1000, i%1000))
	}
	var sizes []int
	s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ ComponentIDs []string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(q.ComponentIDs))
		if len(sizes) == 3 {
			upstreamtest.Problem(w, 500, "failed to query DB.")
			return
		}
		upstreamtest.JSON(w, fmt.Sprintf(`{"Components":[{"ID":%q,"Type":"Node"}]}`, q.ComponentIDs[0]))
	})
	got, err := New(s.Service).Query(t.Context(), ids, false)
	if !call.IsAway(err) || call.WordsOf(err) != "failed to query DB." {
		t.Errorf("got error %v", err)
	}
	if len(got) != 2 || !slices.Equal(sizes, []int{10_000, 10_000, 1}) {
		t.Errorf("got %d nodes from parts %v", len(got), sizes)
	}
}

func TestGroupsAndPartitions(t *testing.T) {
	s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/groups") {
			upstreamtest.JSON(w, `[{"label":"blue","description":"","tags":["t1"],"members":{"ids":["x3000c0s1b0n0","X3000c0s01b0n1"]}},
				{"label":"empty","description":"","members":{"ids":[]}},
				{"label":"none","description":"","exclusiveGroup":"ex","members":{"ids":null}}]`)
			return
		}
		upstreamtest.JSON(w, `[{"name":"p1","members":{"ids":["x3000c0s1b0n0"]}},{"name":"p2.1","description":"","members":{}}]`)
	})
	c := New(s.Service)
	groups, err := c.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"blue": {"x3000c0s1b0n0", "x3000c0s1b0n1"}, "empty": {}, "none": {}}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	partitions, err := c.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]string{"p1": {"x3000c0s1b0n0"}, "p2.1": {}}, partitions); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
}

func TestLocked(t *testing.T) {
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		want   map[string]bool
		away   bool
	}{
		{"some", func(w http.ResponseWriter) {
			upstreamtest.JSON(w, `{"Components":[{"ID":"X3000c0s5b0n0","Locked":true,"Reserved":false,"ReservationDisabled":false},{"ID":"x3000c0s6b0n0","Locked":false}]}`)
		}, map[string]bool{"x3000c0s5b0n0": true}, false},
		{"none, new", func(w http.ResponseWriter) { upstreamtest.JSON(w, `{"Components":[]}`) }, map[string]bool{}, false},
		{"none, old", func(w http.ResponseWriter) { upstreamtest.Problem(w, 400, "Component not found") }, map[string]bool{}, false},
		{"another 400", func(w http.ResponseWriter) { upstreamtest.Problem(w, 400, "Argument was not a valid HMS Type") }, nil, false},
		{"no such route", upstreamtest.NoRoute, nil, false},
		{"failure", func(w http.ResponseWriter) { upstreamtest.Problem(w, 500, "operation 'GET' failed during query.") }, nil, true},
		{"not HSM", func(w http.ResponseWriter) { upstreamtest.JSON(w, `{}`) }, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) })
			got, err := New(s.Service).Locked(t.Context())
			if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.want != nil) || call.IsAway(err) != tt.away {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
			if target := s.Seen()[0].Target; target != "/locks/status?locked=True&type=Node" {
				t.Errorf("asked %s", target)
			}
		})
	}
}

func TestLocks(t *testing.T) {
	tests := []struct {
		name        string
		answer      func(http.ResponseWriter)
		want        map[string]LockState
		unsupported bool
		away        bool
	}{
		{"some", func(w http.ResponseWriter) {
			upstreamtest.JSON(w, `{"Components":[{"ID":"x3000c0s5b0n0","Locked":true,"Reserved":true,"CreationTime":"2026-11-23T06:48:57Z","ReservationDisabled":false},
				{"ID":"x3000c0s6b0n0","Locked":false,"Reserved":false}],"NotFound":["x1c0s0b0n0"]}`)
		}, map[string]LockState{"x3000c0s5b0n0": {Locked: true, Reserved: true}}, false, false},
		{"unknown", func(w http.ResponseWriter) { upstreamtest.Problem(w, 400, "Component not found") }, map[string]LockState{}, false, false},
		{"unknown, 404", func(w http.ResponseWriter) { upstreamtest.Problem(w, 404, "Component not found") }, map[string]LockState{}, false, false},
		{"no such route", upstreamtest.NoRoute, nil, true, false},
		{"no such route, as JSON", func(w http.ResponseWriter) {
			w.WriteHeader(404)
			upstreamtest.JSON(w, `{"title":"not found"}`)
		}, nil, true, false},
		{"no such method", func(w http.ResponseWriter) { upstreamtest.Problem(w, 405, "allow GET") }, nil, true, false},
		{"away", func(w http.ResponseWriter) { upstreamtest.Problem(w, 500, "no") }, map[string]LockState{}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "hsm", "/hsm/v2", func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) })
			got, err := New(s.Service).Locks(t.Context(), []string{"x3000c0s5b0n0", "X1c0s0b0n0"})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if errors.Is(err, call.ErrUnsupported) != tt.unsupported || call.IsAway(err) != tt.away {
				t.Errorf("got error %v", err)
			}
			if body := s.Seen()[0].Body; body != `{"ComponentIDs":["x3000c0s5b0n0","x1c0s0b0n0"]}` {
				t.Errorf("sent %s", body)
			}
		})
	}
}

// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fleetOf reads a fleet back as the status of each id.
func fleetOf(t *testing.T, f fleet, ids []string) map[string]string {
	t.Helper()
	if len(ids) != f.Total || len(f.Codes) != f.Total {
		t.Fatalf("%d ids, %d codes for %d components", len(ids), len(f.Codes), f.Total)
	}
	got := map[string]string{}
	for i, id := range ids {
		got[id] = f.Statuses[strings.IndexByte(fleetCodes, f.Codes[i])]
	}
	return got
}

func TestFleet(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"a1","session":"s"},{"id":"a2","enabled":true},{"id":"b1","status":{"status_override":"failed"}}]`).wants(200)
	var all, again, own fleet
	s.do("GET", "/v2/fleet", "").json(&all)
	want := map[string]string{"a1": "stable", "a2": "on_hold", "b1": "failed"}
	if diff := cmp.Diff(want, fleetOf(t, all, all.IDs)); diff != "" {
		t.Error(diff)
	}
	// Who has the ids is not sent them again, until they change.
	s.do("PATCH", "/v2/components/a1", `{"status":{"phase":"configuring"}}`).wants(200)
	s.do("GET", "/v2/fleet?layout="+all.Layout, "").json(&again)
	want["a1"] = "configuring"
	if diff := cmp.Diff(want, fleetOf(t, again, all.IDs)); diff != "" || again.IDs != nil {
		t.Error(again.IDs, diff)
	}
	s.do("DELETE", "/v2/components/b1", "").wants(204)
	s.do("GET", "/v2/fleet?layout="+all.Layout, "").json(&again)
	if again.Layout == all.Layout || len(again.IDs) != 2 {
		t.Errorf("after one was deleted: %+v", again)
	}
	s.do("GET", "/v2/fleet?session=s", "").json(&own)
	if diff := cmp.Diff(map[string]string{"a1": "configuring"}, fleetOf(t, own, own.IDs)); diff != "" {
		t.Error(diff)
	}
	s.do("GET", "/v2/fleet?session=none", "").is(`{"total":0,"layout":"` + summarise(nil).Layout + `","statuses":[],"codes":""}`)
}

// A client may write any status over a computed one.
func TestFleetOfManyStatuses(t *testing.T) {
	s := start(t, nil)
	var list []map[string]any
	want := map[string]string{}
	for i := range 80 {
		id, status := fmt.Sprintf("n%03d", i), fmt.Sprintf("status-%d", i)
		if i == 3 {
			status = strings.Repeat("x", longestStatus+1)
		}
		list = append(list, map[string]any{"id": id, "status": map[string]string{"status_override": status}})
		want[id] = status
		if i == 3 || i > 62 {
			want[id] = otherStatus
		}
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	s.do("PUT", "/v2/components", string(body)).wants(200)
	var got fleet
	s.do("GET", "/v2/fleet", "").json(&got)
	if diff := cmp.Diff(want, fleetOf(t, got, got.IDs)); diff != "" {
		t.Error(diff)
	}
}

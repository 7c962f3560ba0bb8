// SPDX-License-Identifier: MIT

package cfs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestComponents(t *testing.T) {
	s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, _ *http.Request) {
		upstreamtest.JSON(w, `{"components":[
			{"id":"x1c0s0b0n0","desired_config":"compute-25.3","error_count":2,"retry_policy":3,"enabled":true,"configuration_status":"configured","tags":{"bos_session":"abc"},"logs":"https://x/y"},
			{"id":"x9c9s9b9n9","desired_config":"stranger"}],"next":null}`)
	})
	got, err := New(s.Service).Components(t.Context(), []string{"x1c0s0b0n0", "x1c0s0b0n1", "a,b", "", " ", "x1c0s0b0n0"})
	want := map[string]Component{"x1c0s0b0n0": {
		ID: "x1c0s0b0n0", DesiredConfig: "compute-25.3", ConfigurationStatus: "configured", Enabled: true, ErrorCount: 2,
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	asked := []upstreamtest.Exchange{{Method: "GET", Target: "/components?ids=x1c0s0b0n0%2Cx1c0s0b0n1"}}
	if diff := cmp.Diff(asked, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// pager answers as CFS does, some components at a time; next holds all the
// parameters of the call.
func pager(t *testing.T, size int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if limit := q.Get("limit"); limit != "" {
			n, err := strconv.Atoi(limit)
			if err != nil {
				t.Errorf("limit %q", limit)
			}
			size = n
		}
		if q.Has("after_id") && q.Get("state_details") != "false" || q.Has("status") {
			t.Errorf("asked %s", r.URL.RawQuery)
		}
		answer := map[string]any{"components": []any{}, "next": nil}
		var page []any
		for _, id := range strings.Split(q.Get("ids"), ",") {
			if id <= q.Get("after_id") {
				continue
			}
			if len(page) == size {
				answer["next"] = map[string]any{
					"limit": size, "after_id": page[size-1].(map[string]any)["id"], "ids": q.Get("ids"),
					"state_details": false, "status": nil, "tags": "",
				}
				break
			}
			page = append(page, map[string]any{"id": id})
		}
		if page != nil {
			answer["components"] = page
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}
}

func TestPages(t *testing.T) {
	var ids []string
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("x%03d", i))
	}
	for size, want := range map[int]int{1000: 3, 200: 3, 150: 5, 1: 450} {
		s := upstreamtest.Serve(t, "cfs", "/v3", pager(t, size))
		got, err := New(s.Service).Components(t.Context(), ids)
		if err != nil || len(got) != len(ids) {
			t.Errorf("pages of %d: %d components, %v", size, len(got), err)
		}
		if n := len(s.Seen()); n != want {
			t.Errorf("pages of %d: %d requests, want %d", size, n, want)
		}
	}
}

func TestPagesThatMakeNoSense(t *testing.T) {
	tests := map[string]string{
		"the same page again":  `{"components":[],"next":{"ids":"a"}}`,
		"two that take turns":  `{"components":[],"next":{"after_id":"a"}}`,
		"a list for a value":   `{"components":[],"next":{"after_id":["a"]}}`,
		"next is no object":    `{"components":[],"next":"a"}`,
		"no components":        `{"next":null}`,
		"components are null":  `{"components":null}`,
		"nothing":              `null`,
		"not even the service": `<html>`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, body) })
			if _, err := New(s.Service).Components(t.Context(), []string{"a", "b"}); !call.IsAway(err) {
				t.Errorf("got %v", err)
			}
			if n := len(s.Seen()); n > 3 {
				t.Errorf("%d requests", n)
			}
		})
	}
	n := 0
	s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, r *http.Request) {
		if n++; r.URL.Query().Get("ids") != "a,b" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		upstreamtest.JSON(w, fmt.Sprintf(`{"components":[],"next":{"after_id":"%d","ids":""}}`, n))
	})
	if _, err := New(s.Service).Components(t.Context(), []string{"a", "b"}); !call.IsAway(err) || n != 4 {
		t.Errorf("endless pages: %v after %d requests", err, n)
	}
}

func TestPatch(t *testing.T) {
	config, none, off, on := "compute-25.3", "", false, true
	tests := []struct {
		name   string
		change Change
		want   string
	}{
		{"power on", Change{DesiredConfig: &config, Enabled: &off, ClearState: true, Tags: map[string]string{"bos_session": "abc"}},
			`{"enabled":false,"desired_config":"compute-25.3","tags":{"bos_session":"abc"},"state":[]}`},
		{"configure", Change{DesiredConfig: &config, Enabled: &on}, `{"enabled":true,"desired_config":"compute-25.3"}`},
		{"no configuration", Change{DesiredConfig: &none}, `{"desired_config":""}`},
		{"state alone", Change{ClearState: true}, `{"state":[]}`},
		{"tag removed", Change{Tags: map[string]string{"a": ""}}, `{"tags":{"a":""}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, _ *http.Request) {
				upstreamtest.JSON(w, `{"component_ids":["x1","x2"]}`)
			})
			if err := New(s.Service).Patch(t.Context(), []string{"x1", "x2", "x1"}, tt.change, "attempt"); err != nil {
				t.Fatal(err)
			}
			want := []upstreamtest.Exchange{{
				Method: "PATCH", Target: "/components", Attempt: "attempt", Body: `{"patch":` + tt.want + `,"filters":{"ids":"x1,x2"}}`,
			}}
			if diff := cmp.Diff(want, s.Seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// What is no answer of CFS does not say that it was told.
func TestPatchAnswers(t *testing.T) {
	for _, body := range []string{"", "null", "{}", `{"component_ids":null}`, "<html>Log in</html>"} {
		s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, body) })
		if err := New(s.Service).Patch(t.Context(), []string{"x1"}, Change{ClearState: true}, ""); !call.IsAway(err) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestPatchInParts(t *testing.T) {
	var ids []string
	for i := range 2001 {
		ids = append(ids, fmt.Sprint("x", i))
	}
	s := upstreamtest.Serve(t, "cfs", "/v3", func(w http.ResponseWriter, _ *http.Request) {
		upstreamtest.JSON(w, `{"component_ids":[]}`)
	})
	if err := New(s.Service).Patch(t.Context(), ids, Change{ClearState: true}, "attempt"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range s.Seen() {
		var q patchRequest
		if err := json.Unmarshal([]byte(x.Body), &q); err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Split(q.Filters.IDs, ",")...)
	}
	if diff := cmp.Diff(ids, got); diff != "" || len(s.Seen()) != 3 {
		t.Errorf("%d requests:\n%s", len(s.Seen()), diff)
	}
}

// Nothing that could be read as a list of nothing, or of something else, goes
// out.
func TestOnlyGoodListsAreSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"", ",", "a,b", " ", "\t", "a b", "\x00"}), 0, 4).Draw(rt, "ids")
		c := New(upstreamtest.Silent(t, "cfs"))
		on := true
		patchErr := c.Patch(t.Context(), ids, Change{Enabled: &on}, "")
		found, getErr := c.Components(t.Context(), ids)
		if len(ids) == 0 {
			for _, err := range []error{patchErr, getErr} {
				if bos.CodeOf(err) != bos.CodeInternal || !strings.HasPrefix(err.Error(), "refusing an empty list") {
					rt.Errorf("got %v", err)
				}
			}
			return
		}
		if !call.IsRefused(patchErr) || getErr != nil || len(found) != 0 {
			rt.Errorf("got %v, %v, %v", patchErr, found, getErr)
		}
	})
	if err := New(upstreamtest.Silent(t, "cfs")).Patch(t.Context(), []string{"a"}, Change{}, ""); bos.CodeOf(err) != bos.CodeInternal {
		t.Errorf("no change: %v", err)
	}
}

func TestStateIsNotClearedLate(t *testing.T) {
	on, name := true, "configuration"
	for _, tt := range []struct {
		change Change
		want   int32
	}{
		{Change{Enabled: &on, DesiredConfig: &name}, 5},
		{Change{Enabled: &on, DesiredConfig: &name, ClearState: true}, 1},
	} {
		upstreamtest.Copies(t, "cfs", tt.want, func(ctx context.Context, s *call.Service) error {
			return New(s).Patch(ctx, []string{"x1c0s0b0n0"}, tt.change, "")
		})
	}
}

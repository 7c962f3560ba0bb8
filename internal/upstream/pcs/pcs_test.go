// SPDX-License-Identifier: MIT

package pcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPowerStatus(t *testing.T) {
	s := upstreamtest.Serve(t, "pcs", "/v1", func(w http.ResponseWriter, _ *http.Request) {
		upstreamtest.JSON(w, `{"status":[
			{"xname":"x3000c0s1b0n0","powerState":"on","managementState":"available","error":"","supportedPowerTransitions":["On"],"lastUpdated":"2026-11-23T06:53:04.80255826Z"},
			{"xname":"x3000c0s1b0n1","powerState":"OFF","managementState":"available","error":null},
			{"xname":"x3000c0s2b0n0","powerState":"undefined","managementState":"unavailable","error":""},
			{"xname":"x3000c0s2b0n1","powerState":"invalid","error":""},
			{"xname":"x3000c0s2b1n0","powerState":"resting","error":"Lost at http://10.0.0.1/x"},
			{"xname":"x3000c0s5b0n0","powerState":"","managementState":"","error":"Component not found in component map.","supportedPowerTransitions":null,"lastUpdated":""},
			{"xname":"x3000c0s7b0n0","powerState":"on","error":""}]}`)
	})
	got, err := New(s.Service).PowerStatus(t.Context(), []string{
		"x3000c0s1b0n0", "x3000c0s1b0n1", "x3000c0s2b0n0", "x3000c0s2b0n1", "x3000c0s2b1n0", "x3000c0s5b0n0",
		"x3000c0s6b0n0", "x3000c0s1b0n0", "X3000C0S1B0N0", "foo", "",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Power{
		"x3000c0s1b0n0": {State: StateOn, Found: true},
		"x3000c0s1b0n1": {State: StateOff, Found: true},
		"x3000c0s2b0n0": {State: StateUndefined, Found: true},
		"x3000c0s2b0n1": {State: StateInvalid, Found: true},
		"x3000c0s2b1n0": {State: StateUndefined, Error: "Lost at", Found: true},
		"x3000c0s5b0n0": {Error: "Component not found in component map."},
		"x3000c0s6b0n0": {},
		"X3000C0S1B0N0": {},
		"foo":           {},
		"":              {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("power (-want +got):\n%s", diff)
	}
	asked := []upstreamtest.Exchange{{
		Method: "POST", Target: "/power-status",
		Body: `{"xname":["x3000c0s1b0n0","x3000c0s1b0n1","x3000c0s2b0n0","x3000c0s2b0n1","x3000c0s2b1n0","x3000c0s5b0n0","x3000c0s6b0n0"]}`,
	}}
	if diff := cmp.Diff(asked, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPowerStatusInParts(t *testing.T) {
	var ids []string
	for i := range 2500 {
		ids = append(ids, fmt.Sprintf("x%dc0s%db0n0", 1000+i/1000, i%1000))
	}
	batch := 0
	var sizes []int
	s := upstreamtest.Serve(t, "pcs", "", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Xname []string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(q.Xname))
		if len(sizes) == 8 {
			w.WriteHeader(500)
			return
		}
		upstreamtest.JSON(w, `{"status":[]}`)
	})
	c := New(call.New(call.Config{Name: "pcs", BaseURL: s.URL, TimeScale: 0.01, MaxBatch: func() int { return batch }}))
	for _, batch = range []int{0, 700} {
		if got, err := c.PowerStatus(t.Context(), ids); err != nil || len(got) != len(ids) {
			t.Fatalf("%d nodes, %v", len(got), err)
		}
	}
	got, err := c.PowerStatus(t.Context(), slices.Insert(slices.Clone(ids), 0, "foo"))
	if err == nil || len(got) != 1 {
		t.Errorf("with a failure: %d nodes, %v", len(got), err)
	}
	if !slices.Equal(sizes, []int{1000, 1000, 500, 700, 700, 700, 400, 700}) {
		t.Errorf("parts %v", sizes)
	}
}

func TestNothingIsSentForNothing(t *testing.T) {
	c := New(upstreamtest.Silent(t, "pcs"))
	for _, ids := range [][]string{nil, {}} {
		_, statusErr := c.PowerStatus(t.Context(), ids)
		_, startErr := c.StartTransition(t.Context(), On, ids, "a")
		for _, err := range []error{statusErr, startErr} {
			if bos.CodeOf(err) != bos.CodeInternal || !strings.HasPrefix(err.Error(), "refusing an empty list") {
				t.Errorf("got %v", err)
			}
		}
	}
	// With no valid id left the list would be empty, which means all.
	if got, err := c.PowerStatus(t.Context(), []string{"foo", "X1C0S0B0N0"}); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestStartTransition(t *testing.T) {
	s := upstreamtest.Serve(t, "pcs", "", func(w http.ResponseWriter, _ *http.Request) {
		upstreamtest.JSON(w, `{"transitionID":"3b338499-66a8-4992-8177-eeaeac638f91","operation":"Soft-Off"}`)
	})
	id, err := New(s.Service).StartTransition(t.Context(), SoftOff, []string{"x3000c0s1b0n0", "x3000c0s1b0n1"}, "try-7")
	if err != nil || id != "3b338499-66a8-4992-8177-eeaeac638f91" {
		t.Errorf("got %q, %v", id, err)
	}
	want := []upstreamtest.Exchange{{
		Method: "POST", Target: "/transitions", Attempt: "try-7",
		Body: `{"operation":"Soft-Off","taskDeadlineMinutes":1,"location":[{"xname":"x3000c0s1b0n0"},{"xname":"x3000c0s1b0n1"}]}`,
	}}
	if diff := cmp.Diff(want, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestStartTransitionIsNeverRepeated(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"busy":    func(w http.ResponseWriter) { w.WriteHeader(503) },
		"lost":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"garbage": func(w http.ResponseWriter) { upstreamtest.JSON(w, `{}`) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "pcs", "", func(w http.ResponseWriter, _ *http.Request) { answer(w) })
			_, err := New(s.Service).StartTransition(t.Context(), On, []string{"x1c0s0b0n0"}, "")
			var e *call.Error
			if !errors.As(err, &e) || e.Kind != call.Away || !e.MaybeDone {
				t.Errorf("got %v", err)
			}
			if n := len(s.Seen()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestTransition(t *testing.T) {
	s := upstreamtest.Serve(t, "pcs", "", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/transitions/one":
			upstreamtest.JSON(w, `{"transitionID":"one","operation":"Force-Off","createTime":"2026-11-23T06:55:43.685375716Z","transitionStatus":"completed",
				"taskCounts":{"total":2,"new":0,"in-progress":0,"failed":1,"succeeded":1,"un-supported":0},
				"tasks":[{"xname":"x1c0s0b0n0","taskStatus":"failed","taskStatusDescription":"Failed to apply transition, forceoff","error":"POST https://127.0.0.63/redfish/v1 giving up after 4 attempt(s): dial tcp 127.0.0.63:443: connect: connection refused"},
				{"xname":"x1c0s0b0n1","taskStatus":"succeeded","taskStatusDescription":"..."}]}`)
		case "/transitions/new":
			upstreamtest.JSON(w, `{"transitionID":"new","operation":"On","transitionStatus":"new","taskCounts":{"total":0}}`)
		case "/transitions/empty":
			upstreamtest.JSON(w, `{}`)
		default:
			upstreamtest.Problem(w, 404, "Key /transition/x does not exist")
		}
	})
	c := New(s.Service)
	got, err := c.Transition(t.Context(), "one")
	want := Transition{ID: "one", Operation: ForceOff, Status: "completed", Tasks: map[string]Task{
		"x1c0s0b0n0": {Status: "failed", Error: "giving up after 4 attempt(s): connect: connection refused", Description: "Failed to apply transition, forceoff"},
		"x1c0s0b0n1": {Status: "succeeded", Description: "..."},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || !got.Completed() {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := c.Transition(t.Context(), "new"); err != nil || got.Completed() || len(got.Tasks) != 0 {
		t.Errorf("a new one: %+v, %v", got, err)
	}
	if _, err := c.Transition(t.Context(), "empty"); !call.IsAway(err) {
		t.Errorf("an empty object: %v", err)
	}
	for _, id := range []string{"gone", "a/../b", "..", ""} {
		if _, err := c.Transition(t.Context(), id); !bos.IsNotFound(err) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestTransitions(t *testing.T) {
	known := true
	s := upstreamtest.Serve(t, "pcs", "", func(w http.ResponseWriter, _ *http.Request) {
		if !known {
			w.WriteHeader(404)
			upstreamtest.JSON(w, `{}`)
			return
		}
		upstreamtest.JSON(w, `{"transitions":[{"transitionID":"a","operation":"On","createTime":"2026-11-23T06:55:43.5Z","transitionStatus":"in-progress","taskCounts":{}},
			{"transitionID":"b","operation":"Soft-Off","createTime":"","transitionStatus":"aborted"}]}`)
	})
	c := New(s.Service)
	got, err := c.Transitions(t.Context())
	want := []Summary{
		{ID: "a", Operation: On, Status: "in-progress", CreateTime: time.Date(2026, 11, 23, 6, 55, 43, 5e8, time.UTC)},
		{ID: "b", Operation: SoftOff, Status: "aborted"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || got[0].Completed() || !got[1].Completed() {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	known = false
	if _, err := c.Transitions(t.Context()); !errors.Is(err, call.ErrUnsupported) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestOutcome(t *testing.T) {
	tests := []struct {
		status, fault, description string
		want                       Outcome
	}{
		{"new", "", "Gathering data", Pending},
		{"in-progress", "", "Confirming successful transition, on", Pending},
		{"succeeded", "", "Component already in desired state", Succeeded},
		{"succeeded", "", "Timeout waiting for transition, on.", Succeeded},
		{"failed", "Unable to reserve component", "Failed to achieve transition", Reserved},
		{"failed", "Timeout waiting for transition, gracefulshutdown.", "...", TimedOut},
		{"failed", "Missing xname", "Unable to reserve component", Failed},
		{"failed", "Invalid xname", "", Failed},
		{"failed", "Transition aborted", "", Failed},
		{"failed", "", "", Failed},
		{"unsupported", "Unsupported for transition operation", "", Unsupported},
		{"un-supported", "", "", Unsupported},
		{"Succeeded", "", "", Succeeded},
		{"odd", "", "", Pending},
		{"odd", "broken", "", Failed},
	}
	for _, tt := range tests {
		task := Task{Status: tt.status, Error: tt.fault, Description: tt.description}
		if got := task.Outcome(); got != tt.want {
			t.Errorf("%+v: %v, want %v", task, got, tt.want)
		}
	}
}

func TestTransitionsAreNotCopied(t *testing.T) {
	ids := []string{"x1c0s0b0n0"}
	upstreamtest.Copies(t, "pcs", 1, func(ctx context.Context, s *call.Service) error {
		_, err := New(s).StartTransition(ctx, On, ids, "")
		return err
	})
	upstreamtest.Copies(t, "pcs", 5, func(ctx context.Context, s *call.Service) error {
		_, err := New(s).PowerStatus(ctx, ids)
		return err
	})
}

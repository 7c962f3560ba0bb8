// SPDX-License-Identifier: MIT

package pcs

import (
	"context"
	"testing"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "application/json", `{"status":[{"xname":"x1c0s0b0n0","powerState":"on","error":null}]}`)
	upstreamtest.Seed(f, "application/json", `{"transitionID":"a","transitionStatus":"new","tasks":[{"xname":"x1c0s0b0n0","taskStatus":"failed","error":"Unable to reserve component"}]}`)
	upstreamtest.Seed(f, "application/json", `{"transitions":[{"transitionID":"a","createTime":"x"},{"createTime":"2026-11-23T06:55:43.5Z"}]}`)
	upstreamtest.Seed(f, "application/problem+json", `{"title":"Bad Request","detail":"Invalid xname: POST http://10.0.0.1/x"}`)
	upstreamtest.Seed(f, "text/plain", "dial tcp 10.0.0.1:443: connect: connection refused")
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		const node = "x1c0s0b0n0"
		c := New(upstreamtest.Answering("pcs", upstreamtest.FuzzAnswer(status, contentType, body, breaks)))
		told := func(err error) {
			t.Helper()
			upstreamtest.Told(t, "pcs", err)
		}
		power, err := c.PowerStatus(t.Context(), []string{node})
		told(err)
		if err == nil && len(power) != 1 {
			t.Errorf("power %v", power)
		}
		p := power[node]
		if powerState(p.State) != p.State {
			t.Errorf("state %q", p.State)
		}
		upstreamtest.Fit(t, p.Error)
		tr, err := c.Transition(t.Context(), "a")
		told(err)
		if err == nil && (tr.ID == "" || tr.Tasks == nil) {
			t.Errorf("transition %+v", tr)
		}
		for _, task := range tr.Tasks {
			upstreamtest.Fit(t, task.Error)
			upstreamtest.Fit(t, task.Description)
			if o := task.Outcome(); o < Pending || o > Unsupported {
				t.Errorf("outcome %v of %+v", o, task)
			}
		}
		id, err := c.StartTransition(t.Context(), On, []string{node}, "")
		told(err)
		if err == nil && id == "" {
			t.Error("neither an id nor an error")
		}
		list, err := c.Transitions(t.Context())
		told(err)
		if err == nil && list == nil {
			t.Error("neither transitions nor an error")
		}
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	ids := []string{"x1c0s0b0n0"}
	upstreamtest.NeverEnds(t, "pcs", map[string]func(*call.Service) error{
		"power":       func(s *call.Service) error { _, err := New(s).PowerStatus(context.Background(), ids); return err },
		"transition":  func(s *call.Service) error { _, err := New(s).Transition(context.Background(), "a"); return err },
		"transitions": func(s *call.Service) error { _, err := New(s).Transitions(context.Background()); return err },
		"start": func(s *call.Service) error {
			_, err := New(s).StartTransition(context.Background(), On, ids, "")
			return err
		},
	})
}

// SPDX-License-Identifier: MIT

package cfs

import (
	"context"
	"testing"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "application/json", `{"components":[{"id":"a","error_count":1}],"next":{"limit":1,"after_id":"a","ids":"a,b","x":null,"y":true}}`)
	upstreamtest.Seed(f, "application/json", `{"components":[],"next":{}}`)
	upstreamtest.Seed(f, "application/json", `{"components":[{"id":"b","configuration_status":"configured"}],"next":null}`)
	upstreamtest.Seed(f, "application/problem+json", `{"detail":"wrong","errors":{"a":{"b":["c"]}}}`)
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		c := New(upstreamtest.Answering("cfs", upstreamtest.FuzzAnswer(status, contentType, body, breaks)))
		found, err := c.Components(t.Context(), []string{"a", "b"})
		upstreamtest.Told(t, "cfs", err)
		for id, item := range found {
			if id != item.ID || id != "a" && id != "b" {
				t.Errorf("%q: %+v", id, item)
			}
		}
		upstreamtest.Told(t, "cfs", c.Patch(t.Context(), []string{"a"}, Change{ClearState: true}, "attempt"))
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	upstreamtest.NeverEnds(t, "cfs", map[string]func(*call.Service) error{
		"components": func(s *call.Service) error {
			_, err := New(s).Components(context.Background(), []string{"a"})
			return err
		},
	})
	e := &upstreamtest.Endless{Rest: "endless "}
	svc := call.New(call.Config{Name: "cfs", BaseURL: "http://cfs", Transport: e})
	if err := New(svc).Patch(t.Context(), []string{"a"}, Change{ClearState: true}, "attempt"); !call.IsAway(err) || e.Count > 2<<20 {
		t.Errorf("%v after %d bytes", err, e.Count)
	}
}

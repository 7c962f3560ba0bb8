// SPDX-License-Identifier: MIT

package tapms

import (
	"context"
	"slices"
	"testing"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "application/json", `{"status":{"tenantresources":[{"xnames":["x1c0s0b0n0","X1C0S0B0N0",""]}]}}`)
	upstreamtest.Seed(f, "application/json", `{"status":null}`)
	upstreamtest.Seed(f, "application/json", `"not found"`)
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		c := New(upstreamtest.Answering("tapms", upstreamtest.FuzzAnswer(status, contentType, body, breaks)))
		got, err := c.Tenant(t.Context(), "a")
		upstreamtest.Told(t, "tapms", err)
		if err == nil && (got == nil || !slices.IsSorted(got)) {
			t.Errorf("got %q", got)
		}
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	upstreamtest.NeverEnds(t, "tapms", map[string]func(*call.Service) error{
		"tenant": func(s *call.Service) error { _, err := New(s).Tenant(context.Background(), "a"); return err },
	})
}

// SPDX-License-Identifier: MIT

package hsm

import (
	"context"
	"testing"
	"unicode/utf8"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "application/json", site)
	upstreamtest.Seed(f, "application/json", `[{"label":"blue","members":{"ids":["x1c0s0b0n0"]}}]`)
	upstreamtest.Seed(f, "application/json", `{"Components":null}`)
	upstreamtest.Seed(f, "application/problem+json", `{"type":"about:blank","title":"Bad Request","detail":"Component not found","status":400}`)
	upstreamtest.Seed(f, "text/html", "<html>\nnull")
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		const node = "x1c0s0b0n0"
		c := New(upstreamtest.Answering("hsm", upstreamtest.FuzzAnswer(status, contentType, body, breaks)))
		told := func(err error) {
			t.Helper()
			upstreamtest.Told(t, "hsm", err)
		}
		nodes, err := c.Nodes(t.Context())
		told(err)
		for _, n := range nodes {
			if n.ID == "" || n.ID != call.Canonical(n.ID) || utf8.RuneCountInString(n.ID) > 127 || !utf8.ValidString(n.ID) || !call.Listable(n.ID) {
				t.Errorf("node %q", n.ID)
			}
		}
		if err == nil && nodes == nil {
			t.Error("neither nodes nor an error")
		}
		found, err := c.Query(t.Context(), []string{node}, true)
		told(err)
		for id, n := range found {
			if id != node || n.ID != id || !n.Enabled {
				t.Errorf("found %q: %+v", id, n)
			}
		}
		locks, err := c.Locks(t.Context(), []string{node})
		told(err)
		if _, ok := locks[node]; len(locks) > 1 || len(locks) == 1 && !ok {
			t.Errorf("locks of strangers: %v", locks)
		}
		_, err = c.Locked(t.Context())
		told(err)
		groups, err := c.Groups(t.Context())
		told(err)
		if err == nil && groups == nil {
			t.Error("neither groups nor an error")
		}
		_, err = c.Partitions(t.Context())
		told(err)
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	ids := []string{"x1c0s0b0n0"}
	upstreamtest.NeverEnds(t, "hsm", map[string]func(*call.Service) error{
		"nodes":      func(s *call.Service) error { _, err := New(s).Nodes(context.Background()); return err },
		"query":      func(s *call.Service) error { _, err := New(s).Query(context.Background(), ids, true); return err },
		"locks":      func(s *call.Service) error { _, err := New(s).Locks(context.Background(), ids); return err },
		"locked":     func(s *call.Service) error { _, err := New(s).Locked(context.Background()); return err },
		"groups":     func(s *call.Service) error { _, err := New(s).Groups(context.Background()); return err },
		"partitions": func(s *call.Service) error { _, err := New(s).Partitions(context.Background()); return err },
	})
}

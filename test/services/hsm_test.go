// SPDX-License-Identifier: MIT

package services_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"bos/internal/sim"
	"bos/internal/upstream/call"
	"bos/internal/upstream/hsm"
	"bos/test/lab"
)

func clientOf(s *sim.Site) *hsm.Client {
	return hsm.New(call.New(call.Config{Name: "hsm", BaseURL: s.URLs().HSM, Transport: s.Transport()}))
}

func hsmNodes(t testing.TB, l *lab.Lab) []hsm.Node {
	t.Helper()
	nodes, err := clientOf(l.Site).Nodes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

// HSM fails beyond 65,534 values in a statement; who asks about more asks more
// than once.
func TestManyNodesInAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sim.New(sim.Config{Nodes: 16})
		defer s.Close()
		ids := s.Nodes()
		for i := range 70_000 {
			ids = append(ids, fmt.Sprintf("x%dc%ds%db0n0", 5000+i/512, i/64%8, i%64))
		}
		for _, enabledOnly := range []bool{false, true} {
			found, err := clientOf(s).Query(t.Context(), ids, enabledOnly)
			if err != nil || len(found) != 16 {
				t.Errorf("%d nodes, %v", len(found), err)
			}
		}
		locks, err := clientOf(s).Locks(t.Context(), ids)
		if err != nil || len(locks) != 16 {
			t.Errorf("%d locks, %v", len(locks), err)
		}
		for _, v := range s.Violations() {
			t.Errorf("%s: %s", v.Rule, v.Detail)
		}
	})
}

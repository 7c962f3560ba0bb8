// SPDX-License-Identifier: MIT

package operator

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func TestQueueGivesEachSessionItsShare(t *testing.T) {
	q := newQueue()
	add := func(session string, from, to int) {
		for i := from; i < to; i++ {
			q.add(bos.SessionKey{Name: session}, fmt.Sprintf("%s%d", session, i))
		}
	}
	add("a", 0, 10)
	add("b", 0, 1)
	add("c", 0, 3)
	add("a", 0, 10)
	for i, want := range [][]string{
		{"a0", "b0", "c0"}, {"a1", "c1", "a2"}, {"c2", "a3", "a4"}, {"a5", "a6", "a7"}, {"a8", "a9"}, {},
	} {
		if diff := cmp.Diff(want, q.take(3)); diff != "" {
			t.Errorf("take %d: %s", i, diff)
		}
	}
	add("a", 0, 5)
	if got := q.take(2); len(got) != 2 {
		t.Error(got)
	}
	// A latecomer is served at once, however much waits.
	add("d", 0, 1)
	if diff := cmp.Diff([]string{"a2", "d0"}, q.take(2)); diff != "" {
		t.Error(diff)
	}
}

func TestQueueLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue()
		waiting := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				session := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "session")
				for range rapid.IntRange(1, 20).Draw(t, "count") {
					id := fmt.Sprintf("%s%d", session, rapid.IntRange(0, 30).Draw(t, "id"))
					q.add(bos.SessionKey{Name: session}, id)
					waiting[id] = true
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, 40).Draw(t, "n")
				want := min(n, len(waiting))
				got := q.take(n)
				if len(got) != want {
					t.Fatalf("%d of %d in place of %d", len(got), n, want)
				}
				for _, id := range got {
					if !waiting[id] {
						t.Fatalf("%s twice or for nothing", id)
					}
					delete(waiting, id)
				}
			},
			"": func(t *rapid.T) {
				if len(q.waiting) != len(waiting) {
					t.Fatalf("%d wait in place of %d", len(q.waiting), len(waiting))
				}
			},
		})
	})
}

// SPDX-License-Identifier: MIT

package store

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		pace    pace
		waiting int
		want    time.Duration
	}{
		{"the first write of all", pace{}, 1, 0},
		{"the only client", pace{expected: 1, commit: ms}, 1, 0},
		{"everybody is there", pace{expected: 16, commit: ms}, 16, 0},
		{"the others come back", pace{expected: 16, commit: ms / 2}, 1, ms},
		{"a slow disk", pace{expected: 16, commit: 100 * ms}, 1, longestPatience},
		{"one wait was in vain", pace{expected: 16, commit: ms, doubt: 1}, 1, ms},
		{"many were", pace{expected: 16, commit: ms, doubt: 3}, 1, 0},
		{"it is tried again", pace{expected: 16, commit: ms, doubt: 3, skipped: tryAgain - 1}, 1, 2 * ms},
		{"more than fit into a transaction", pace{expected: 4 * MaxOps, commit: ms}, MaxOps, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.pace.patience(test.waiting); got != test.want {
				t.Errorf("%v, not %v", got, test.want)
			}
		})
	}
}

func TestPaceDoubts(t *testing.T) {
	p := pace{expected: 16, commit: time.Millisecond}
	p.waited(1, 2)
	p.waited(1, 3)
	if p.doubt != 2 {
		t.Errorf("after two waits in vain the doubt is %d", p.doubt)
	}
	p.waited(1, 9)
	if p.doubt != 0 {
		t.Errorf("after most came the doubt is %d", p.doubt)
	}
}

func TestPaceLearnsTheTime(t *testing.T) {
	var p pace
	p.sent(3, 4, 8*time.Millisecond)
	if p.expected != 7 || p.commit != 8*time.Millisecond {
		t.Errorf("%+v", p)
	}
	p.sent(7, 0, 4*time.Millisecond)
	if p.expected != 7 || p.commit != 7*time.Millisecond {
		t.Errorf("%+v", p)
	}
}

// Clients that come back right after their answer share each transaction from
// the second one on; when they stop, nobody waits for them for long.
func TestGroupGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, rounds = 8, 5
		engine := &slowEngine{takes: 10 * time.Millisecond}
		g := newGroup(engine)
		defer g.close()
		var all sync.WaitGroup
		for client := range clients {
			all.Go(func() {
				for range rounds {
					// A client needs a moment to come back, each its own.
					time.Sleep(time.Duration(client) * 100 * time.Microsecond)
					if _, err := g.commit(t.Context(), []Op{{Key: string(rune('a' + client))}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		// The first leaves alone; the others are a transaction behind from then on
		// but for the wait, which lets everybody catch up.
		if n := len(engine.sizes); n > rounds+1 {
			t.Errorf("%d transactions of %v for %d rounds", n, engine.sizes, rounds)
		}
		begun := time.Now()
		for range 6 {
			if _, err := g.commit(t.Context(), []Op{{Key: "a"}}); err != nil {
				t.Fatal(err)
			}
		}
		if spare := time.Since(begun) - 6*engine.takes; spare > longestPatience {
			t.Errorf("a client that is alone waited %v for the others", spare)
		}
	})
}

// slowEngine takes every transaction, in its time.
type slowEngine struct {
	Engine

	takes time.Duration
	sizes []int
}

func (e *slowEngine) Commit(_ context.Context, txn Txn) (int64, error) {
	time.Sleep(e.takes)
	e.sizes = append(e.sizes, len(txn.Ops))
	return int64(len(e.sizes)), nil
}

// SPDX-License-Identifier: MIT

package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/decide"
)

// ofSession makes nodes of a session that wait to be switched on.
func ofSession(session string, from, to int) []*bos.Record {
	var out []*bos.Record
	for i := from; i < to; i++ {
		rec := &bos.Record{Component: bos.Discovered(fmt.Sprintf("%s%d", session, i))}
		rec.Component.Session = bos.Some(session)
		out = append(out, rec)
	}
	return out
}

func TestPowerLimitsShareAmongSessions(t *testing.T) {
	var turns decide.Turns
	big, small := ofSession("big", 0, 6), ofSession("small", 0, 2)
	all := slices.Concat(big, small)
	limits := decide.PowerLimits{PerSecond: 4}
	now := bos.Instant(1000)
	allowed, held, due := turns.Allow(limits, now, 0, all)
	if diff := cmp.Diff([]string{"big0", "small0", "big1", "small1"}, allowed); diff != "" {
		t.Error(diff)
	}
	if len(held) != 4 || len(due) != 4 {
		t.Fatalf("held %v, due %v", held, due)
	}
	w := held[0].Wait
	if w.By != decide.RolePowerOn || w.On != decide.OnPowerLimit || w.Due != now || !strings.Contains(w.Text, "at most 4 nodes") {
		t.Errorf("%+v", w)
	}
	turns.Started(now, []bos.SessionKey{{Name: "big"}, {Name: "small"}, {Name: "big"}, {Name: "small"}})
	allowed, held, _ = turns.Allow(limits, now+1000, 0, big[2:])
	if len(allowed) != 0 || held[0].Wait.Due != now+1001 {
		t.Errorf("%v, %+v", allowed, held)
	}
	if allowed, _, _ = turns.Allow(limits, now+1001, 0, big[2:]); len(allowed) != 4 {
		t.Errorf("a second later: %v", allowed)
	}
}

// With one turn at a time the sessions take turns.
func TestPowerLimitsTakeTurns(t *testing.T) {
	var turns decide.Turns
	waiting := slices.Concat(ofSession("a", 0, 3), ofSession("b", 0, 3), ofSession("c", 0, 1))
	var order []string
	for now := bos.Instant(1000); len(waiting) > 0; now = now.Add(2 * time.Second) {
		allowed, _, _ := turns.Allow(decide.PowerLimits{PerSecond: 1}, now, 0, waiting)
		if len(allowed) != 1 {
			t.Fatalf("%v at %d", allowed, now)
		}
		order = append(order, allowed[0])
		i := slices.IndexFunc(waiting, func(r *bos.Record) bool { return r.Component.ID == allowed[0] })
		turns.Started(now, []bos.SessionKey{waiting[i].OwnSession()})
		waiting = slices.Delete(waiting, i, i+1)
	}
	if diff := cmp.Diff([]string{"a0", "b0", "c0", "a1", "b1", "a2", "b2"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestPowerLimitsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := decide.PowerLimits{
			PerSecond: rapid.IntRange(0, 10).Draw(t, "rate"), InFlight: rapid.IntRange(0, 20).Draw(t, "in_flight"),
		}
		waiting := slices.Concat(ofSession("a", 0, 40), ofSession("b", 0, 3))
		var turns decide.Turns
		type started struct {
			at bos.Instant
			n  int
		}
		var log []started
		flying := 0
		now := bos.Instant(1)
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond)
			flying = max(0, flying-rapid.IntRange(0, 3).Draw(t, "up"))
			allowed, held, due := turns.Allow(limits, now, flying, waiting)
			if len(allowed)+len(held) != len(waiting) || len(due) != len(held) {
				t.Fatalf("%d allowed, %d held of %d, %d due", len(allowed), len(held), len(waiting), len(due))
			}
			for _, h := range held {
				if h.Wait.Text == "" || due[h.ID] < now || h.Wait.Due != due[h.ID] {
					t.Fatalf("%+v, due %d, now %d", h, due[h.ID], now)
				}
			}
			flying += len(allowed)
			log = append(log, started{now, len(allowed)})
			turns.Started(now, make([]bos.SessionKey, len(allowed)))
			waiting = slices.DeleteFunc(waiting, func(r *bos.Record) bool { return slices.Contains(allowed, r.Component.ID) })
			if limits.InFlight > 0 && flying > limits.InFlight {
				t.Fatalf("%d in flight, more than %d", flying, limits.InFlight)
			}
			sum := 0
			for _, s := range log {
				if s.at.Add(time.Second) > now {
					sum += s.n
				}
			}
			if limits.PerSecond > 0 && sum > limits.PerSecond {
				t.Fatalf("%d within a second, more than %d", sum, limits.PerSecond)
			}
		}
		if limits.None() && len(waiting) > 0 {
			t.Fatal("held without a limit")
		}
	})
}

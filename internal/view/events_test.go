// SPDX-License-Identifier: MIT

package view

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"

	"log/slog"
)

// logged returns a view with events at the revisions given; event n is of the
// session s(n mod 2), the tenant of odd ones is blue, and it names node xN and
// all nodes of x100c0s[0-9]b0n0.
func logged(t *testing.T, revisions ...int64) *View {
	t.Helper()
	v := New(clock.New(1), slog.New(slog.DiscardHandler))
	for n, revision := range revisions {
		event := bos.Event{
			Time: bos.EventTime{Time: time.Unix(int64(n), 0)}, Type: bos.EventAction, Session: fmt.Sprintf("s%d", n%2),
			Count: 11, Nodes: fmt.Sprintf("x%d,x100c0s[0-9]b0n0", n), Text: "t",
		}
		if n%2 == 1 {
			event.Tenant = "blue"
		}
		value, err := store.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		v.apply(change{Event: store.Event{KV: store.KV{Key: fmt.Sprintf("%s%d", store.PrefixEvents, n), Value: value, Revision: revision}}})
	}
	return v
}

func revisionsOf(list []*bos.Event) (out []int64) {
	for _, e := range list {
		out = append(out, e.Revision)
	}
	return out
}

func TestEvents(t *testing.T) {
	// The store is read in the order of keys, which may not be that of revisions.
	v := logged(t, 10, 12, 11, 13, 13, 13, 20)
	many := bos.Set{}
	for n := range 20 {
		many.Add(fmt.Sprintf("x100c0s%db0n0", n+9))
	}
	for _, tt := range []struct {
		name string
		q    EventQuery
		want []int64
		next int64
	}{
		{"all", EventQuery{}, []int64{10, 11, 12, 13, 13, 13, 20}, 0},
		{"after", EventQuery{After: 12}, []int64{13, 13, 13, 20}, 0},
		{"a page", EventQuery{Limit: 2}, []int64{10, 11}, 11},
		{"those of one revision stay together", EventQuery{After: 12, Limit: 1}, []int64{13, 13, 13}, 13},
		{"the last page", EventQuery{After: 13, Limit: 1}, []int64{20}, 0},
		{"a session", EventQuery{Session: &bos.SessionKey{Name: "s0"}}, []int64{10, 11, 13, 20}, 0},
		{"another tenant's session of that name", EventQuery{Session: &bos.SessionKey{Name: "s1"}}, nil, 0},
		{"a tenant's session", EventQuery{Session: &bos.SessionKey{Tenant: "blue", Name: "s1"}}, []int64{12, 13, 13}, 0},
		{"a tenant", EventQuery{Tenant: "blue"}, []int64{12, 13, 13}, 0},
		{"a tenant that has none", EventQuery{Tenant: "red"}, nil, 0},
		{"a node", EventQuery{Nodes: bos.NewSet("x3")}, []int64{13}, 0},
		{"a node of a range", EventQuery{Nodes: bos.NewSet("x100c0s7b0n0"), Tenant: "blue"}, []int64{12, 13, 13}, 0},
		{"a node of none", EventQuery{Nodes: bos.NewSet("x100c0s10b0n0")}, nil, 0},
		{"many nodes", EventQuery{Nodes: many, After: 12}, []int64{13, 13, 13, 20}, 0},
		{"no nodes", EventQuery{Nodes: bos.Set{}}, nil, 0},
	} {
		got, next := v.Events(tt.q)
		if diff := cmp.Diff(tt.want, revisionsOf(got)); diff != "" || next != tt.next {
			t.Errorf("%s: next %d: %s", tt.name, next, diff)
		}
	}
}

// The oldest events go first, and those who read meanwhile keep what they have.
func TestSpentEvents(t *testing.T) {
	v := logged(t, 1, 2, 3, 4)
	count, size := v.EventsSize()
	if count != 4 {
		t.Fatal(count)
	}
	keys := func(ns ...int) (out []string) {
		for _, n := range ns {
			out = append(out, fmt.Sprintf("%s%d", store.PrefixEvents, n))
		}
		return out
	}
	for _, tt := range []struct {
		budget int64
		before time.Time
		want   []string
	}{
		{size, time.Time{}, nil}, {size - 1, time.Time{}, keys(0)}, {0, time.Time{}, keys(0, 1, 2, 3)},
		{size, time.Unix(2, 0), keys(0, 1)}, {size / 2, time.Unix(1, 0), keys(0, 1)},
	} {
		if diff := cmp.Diff(tt.want, v.SpentEvents(tt.budget, tt.before)); diff != "" {
			t.Errorf("budget %d, before %v: %s", tt.budget, tt.before, diff)
		}
	}
	before, _ := v.Events(EventQuery{})
	for _, key := range keys(0, 2, 7) {
		v.apply(change{Event: store.Event{KV: store.KV{Key: key, Revision: 9}, Deleted: true}})
	}
	after, _ := v.Events(EventQuery{})
	if _, left := v.EventsSize(); left <= 0 || left >= size || v.EventsFloor() != 3 {
		t.Errorf("%d of %d bytes, floor %d", left, size, v.EventsFloor())
	}
	if diff := cmp.Diff([][]int64{{1, 2, 3, 4}, {2, 4}}, [][]int64{revisionsOf(before), revisionsOf(after)}); diff != "" {
		t.Error(diff)
	}
}

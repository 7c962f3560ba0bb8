// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.String()).Draw(t, "items")
		n := rapid.IntRange(-1, 10).Draw(t, "n")
		parts := Chunks(items, n)
		if got := slices.Concat(parts...); !slices.Equal(got, items) {
			t.Fatalf("got %q", got)
		}
		for _, p := range parts {
			if len(p) == 0 || len(p) > max(n, 1) {
				t.Fatalf("a part of %d", len(p))
			}
		}
	})
}

func TestRefuseEmpty(t *testing.T) {
	if err := RefuseEmpty("pcs", []string{"x"}); err != nil {
		t.Error(err)
	}
	for _, items := range [][]string{nil, {}} {
		err := RefuseEmpty("pcs", items)
		if bos.CodeOf(err) != bos.CodeInternal || err.Error() != "refusing an empty list: pcs would take it for everything" {
			t.Errorf("got %v", err)
		}
	}
}

func TestNames(t *testing.T) {
	nodes := map[string]bool{
		"x3000c0s1b0n0": true, "x0c7s0b0n0": true, "x9999c0s64b3n3": true, "x3000c0s01b0n1": true,
		"": false, "foo": false, "X3000C0S1B0N0": false, "x3000c0s1b0": false, "x30000c0s1b0n0": false,
		"x3000c8s1b0n0": false, "x3000c00s1b0n0": false, "x3000c0s1b0n": false, "x3000c0s1b0n0 ": false,
		"x3000c0s1b0n0v1": false, "x3000c0s1b0n0,x3000c0s1b0n1": false, "all": false, "s0": false,
	}
	for s, want := range nodes {
		if got := IsNode(s); got != want {
			t.Errorf("IsNode(%q) = %v", s, got)
		}
	}
	if got := Canonical("X3000C0S01B0N0"); got != "x3000c0s1b0n0" {
		t.Errorf("canonical form %q", got)
	}
	listable := map[string]bool{"a": true, "x-1.b": true, "": false, "a,b": false, ",": false, "a b": false, "\n": false}
	for s, want := range listable {
		if got := Listable(s); got != want {
			t.Errorf("Listable(%q) = %v", s, got)
		}
	}
	segments := map[string]string{"a": "a", "a/b?c": "a%2Fb%3Fc", "..x": "..x", "": "", ".": "", "..": ""}
	for s, want := range segments {
		if got, err := Segment(s); got != want || (err == nil) != (want != "") {
			t.Errorf("Segment(%q) = %q, %v", s, got, err)
		}
	}
}

// refusal is a refusal as a client returns it.
func refusal(status int, words string) error {
	return fmt.Errorf("putting: %w", Answered(status, words, nil))
}

func TestBisectFindsTheItemsAtFault(t *testing.T) {
	var items []string
	for i := range 1000 {
		items = append(items, fmt.Sprintf("i%d", i))
	}
	for _, bad := range []string{"i0", "i1", "i500", "i998", "i999"} {
		calls := 0
		r := Bisect(t.Context(), items, func(_ context.Context, batch []string) error {
			calls++
			if slices.Contains(batch, bad) {
				return refusal(400, "invalid: "+bad)
			}
			return nil
		})
		if len(r.Refused) != 1 || WordsOf(r.Refused[bad]) != "invalid: "+bad || len(r.Untried) != 0 || r.Away != nil {
			t.Errorf("%s: refused %v, %d untried, away %v", bad, r.Refused, len(r.Untried), r.Away)
		}
		if calls > 21 {
			t.Errorf("%s: %d calls", bad, calls)
		}
	}
}

func TestBisectOfABatchThatIsTooLong(t *testing.T) {
	var items []string
	for i := range 1000 {
		items = append(items, fmt.Sprint(i))
	}
	r := Bisect(t.Context(), items, func(_ context.Context, batch []string) error {
		if len(batch) > 130 {
			return refusal(413, "too much")
		}
		return nil
	})
	if len(r.Refused) != 0 || len(r.Untried) != 0 {
		t.Errorf("%d refused, %d untried", len(r.Refused), len(r.Untried))
	}
}

func TestBisectTable(t *testing.T) {
	away := Answered(500, "", nil)
	tests := []struct {
		name                       string
		n                          int
		do                         func(calls int, batch []string) error
		accepted, refused, untried int
		calls                      int
		away                       bool
	}{
		{"all taken", 5, func(int, []string) error { return nil }, 5, 0, 0, 1, false},
		{"nothing to do", 0, func(int, []string) error { return nil }, 0, 0, 0, 0, false},
		{"the batch's own fault", 100, func(int, []string) error { return refusal(400, "bad kernel") }, 0, 100, 0, 3, false},
		{"one item", 1, func(int, []string) error { return refusal(400, "no") }, 0, 1, 0, 1, false},
		{"a conflict is final", 9, func(int, []string) error { return refusal(409, "busy") }, 0, 9, 0, 1, false},
		{"no access is final", 9, func(int, []string) error { return refusal(403, "no") }, 0, 9, 0, 1, false},
		{"away at once", 9, func(int, []string) error { return away }, 0, 0, 9, 1, true},
		{"away at the first probe", 9, func(c int, _ []string) error {
			if c == 1 {
				return refusal(404, "no")
			}
			return away
		}, 0, 0, 9, 2, true},
		{"away at the second probe", 9, func(c int, _ []string) error {
			return []error{refusal(404, "no"), nil, away}[c-1]
		}, 1, 0, 8, 3, true},
		{"away later", 9, func(c int, _ []string) error {
			return []error{refusal(404, "no"), nil, nil, away}[c-1]
		}, 2, 0, 7, 4, true},
		{"an error of another sort", 3, func(int, []string) error { return errors.New("bug") }, 0, 3, 0, 1, false},
		{"two probes refused differently", 2, func(_ int, b []string) error { return refusal(400, fmt.Sprint(b)) }, 0, 2, 0, 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var items []string
			for i := range tt.n {
				items = append(items, fmt.Sprint(i))
			}
			calls := 0
			r := Bisect(t.Context(), items, func(_ context.Context, batch []string) error {
				calls++
				return tt.do(calls, batch)
			})
			type counts struct {
				Accepted, Refused, Untried, Calls int
				Away                              bool
			}
			got := counts{len(slices.Concat(r.Accepted...)), len(r.Refused), len(r.Untried), calls, r.Away != nil}
			if diff := cmp.Diff(counts{tt.accepted, tt.refused, tt.untried, tt.calls, tt.away}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBisectOfACanceledCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Bisect(ctx, []string{"a", "b"}, func(context.Context, []string) error {
		t.Error("called")
		return nil
	})
	if len(r.Untried) != 2 || !errors.Is(r.Away, context.Canceled) {
		t.Errorf("got %+v", r)
	}
}

// Whatever the service does, each item is in one place, what is booked is what
// happened, and the number of calls is bounded.
func TestBisectProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		statuses := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 400, 404, 413, 403}), n, n).Draw(t, "statuses")
		sameWords := rapid.Bool().Draw(t, "same words")
		most := rapid.SampledFrom([]int{1000, 50, 7, 1}).Draw(t, "longest batch")
		awayAt := rapid.IntRange(1, 40).Draw(t, "away at call")
		var items []string
		index := map[string]int{}
		for i := range n {
			items = append(items, fmt.Sprint(i))
			index[items[i]] = i
		}
		done, calls := map[string]bool{}, 0
		r := Bisect(context.Background(), items, func(_ context.Context, batch []string) error {
			calls++
			if len(batch) == 0 {
				t.Fatal("an empty batch")
			}
			if calls == awayAt {
				return Answered(503, "", nil)
			}
			if len(batch) > most {
				return refusal(413, "too long")
			}
			for _, item := range batch {
				if done[item] {
					t.Fatalf("%s was sent again after it was taken", item)
				}
				if st := statuses[index[item]]; st != 0 {
					words := "no"
					if !sameWords {
						words = item
					}
					return refusal(st, words)
				}
			}
			for _, item := range batch {
				done[item] = true
			}
			return nil
		})
		if bound := 2*math.Log2(float64(n)) + 2; n > 0 && float64(calls) > bound {
			t.Fatalf("%d calls for %d items", calls, n)
		}
		place := map[string]int{}
		for _, batch := range r.Accepted {
			for _, item := range batch {
				place[item]++
				if !done[item] {
					t.Fatalf("%s counts as taken", item)
				}
			}
		}
		for item, err := range r.Refused {
			place[item]++
			if !IsRefused(err) || done[item] {
				t.Fatalf("%s counts as refused: %v", item, err)
			}
		}
		for _, item := range r.Untried {
			place[item]++
			if done[item] {
				t.Fatalf("%s counts as untried", item)
			}
		}
		for _, item := range items {
			if place[item] != 1 {
				t.Fatalf("%s is in %d places", item, place[item])
			}
		}
		if (r.Away != nil) != (calls >= awayAt) {
			t.Fatalf("away %v after %d calls", r.Away, calls)
		}
	})
}

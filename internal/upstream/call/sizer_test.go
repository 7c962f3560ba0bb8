// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// narrow is a service that takes only so many items at once.
type narrow struct {
	limit  int
	status int
	bad    string
	sizes  []int
	got    []string
}

func (n *narrow) do(_ context.Context, items []string) error {
	n.sizes = append(n.sizes, len(items))
	if len(items) > n.limit {
		return Answered(n.status, "no", nil)
	}
	if n.bad != "" && slices.Contains(items, n.bad) {
		return Answered(http.StatusBadRequest, "bad item", nil)
	}
	n.got = append(n.got, items...)
	return nil
}

func manyItems(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("x%d", i)
	}
	return out
}

// Whatever a service takes at once, in the end everything gets through, the next
// time without a refusal.
func TestEachFindsTheSize(t *testing.T) {
	for _, status := range []int{400, 413, 414, 431} {
		for _, limit := range []int{1, 7, 100, 499, 500, 1000, 5000} {
			t.Run(fmt.Sprintf("%d over %d", status, limit), func(t *testing.T) {
				s := &narrow{limit: limit, status: status}
				z := NewSizer(1000, nil)
				all := manyItems(1000)
				if err := z.Each(t.Context(), all, s.do); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(s.got, all) {
					t.Errorf("%d items got through", len(s.got))
				}
				fewest := 1000/min(limit, 1000) + 1
				if most := 2*fewest + 11; len(s.sizes) > most {
					t.Errorf("%d calls, more than %d", len(s.sizes), most)
				}
				s.sizes = nil
				if err := z.Each(t.Context(), all[:min(limit, 1000)], s.do); err != nil {
					t.Fatal(err)
				}
				for _, n := range s.sizes {
					if n > limit {
						t.Errorf("%d at once, again", n)
					}
				}
			})
		}
	}
}

func TestEachGivesUpOnABadItem(t *testing.T) {
	s := &narrow{limit: 5000, status: 413, bad: "x700"}
	z := NewSizer(1000, nil)
	err := z.Each(t.Context(), manyItems(1000), s.do)
	if StatusOf(err) != http.StatusBadRequest || WordsOf(err) != "bad item" {
		t.Errorf("%v", err)
	}
	if len(s.sizes) > 25 {
		t.Errorf("%d calls", len(s.sizes))
	}
	if n := z.Size(5000); n != 1000 {
		t.Errorf("a bad item made batches of %d", n)
	}
}

func TestSizerRecovers(t *testing.T) {
	s := &narrow{limit: 60, status: 413}
	z := NewSizer(1000, nil)
	if err := z.Each(t.Context(), manyItems(1000), s.do); err != nil {
		t.Fatal(err)
	}
	// While the service stays as it is, it is tried less and less often.
	s.sizes = nil
	refused := 0
	for range 100 {
		if err := z.Each(t.Context(), manyItems(1000), s.do); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range s.sizes {
		if n > s.limit {
			refused++
		}
	}
	if refused == 0 || refused > 12 {
		t.Errorf("%d of %d calls were refused", refused, len(s.sizes))
	}
	s.limit = 5000
	for range 1000 {
		if err := z.Each(t.Context(), manyItems(1000), s.do); err != nil {
			t.Fatal(err)
		}
	}
	if n := z.Size(1000); n != 1000 {
		t.Errorf("batches of %d after all that", n)
	}
}

func TestSizerAndTimeouts(t *testing.T) {
	z := NewSizer(1000, nil)
	late := &Error{Kind: Away, late: true}
	for _, want := range []int{500, 250, 125, 62, 62} {
		z.Learn(z.Size(1000), late)
		if n := z.Size(1000); n != want {
			t.Errorf("%d after a time-out, not %d", n, want)
		}
	}
	// The service may only have been busy: the size comes back at once.
	for _, want := range []int{124, 248, 496, 992, 1000} {
		z.Learn(z.Size(1000), nil)
		if n := z.Size(1000); n != want {
			t.Errorf("%d after a success, not %d", n, want)
		}
	}
	z.Learn(1000, &Error{Kind: Away, Status: 503})
	if n := z.Size(1000); n != 1000 {
		t.Errorf("%d after a failure that says nothing about the size", n)
	}
}

func TestSizerCap(t *testing.T) {
	limit := 0
	z := NewSizer(1000, func() int { return limit })
	for _, c := range []struct{ live, want, size int }{{0, 2000, 1000}, {300, 2000, 300}, {300, 20, 20}, {5000, 2000, 1000}, {-1, 2000, 1000}} {
		limit = c.live
		if n := z.Size(c.want); n != c.size {
			t.Errorf("%+v: %d", c, n)
		}
	}
	var none *Sizer
	if none.Size(7) != 7 {
		t.Error("no sizer is no bound")
	}
	none.Learn(7, nil)
}

// Bisect with a sizer loses no item, whatever the service refuses, and ends
// with a size that the service takes.
func TestSizerBisect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &narrow{
			limit:  rapid.IntRange(1, 300).Draw(t, "limit"),
			status: rapid.SampledFrom([]int{400, 413, 414}).Draw(t, "status"),
		}
		n := rapid.IntRange(1, 250).Draw(t, "items")
		most := rapid.IntRange(1, 300).Draw(t, "most")
		z := NewSizer(most, nil)
		all := manyItems(n)
		rounds := 0
		for rest := all; len(rest) > 0; rounds++ {
			if rounds > 20 {
				t.Fatalf("%d items are left after 20 rounds; limit %d, sizes %v", len(rest), s.limit, s.sizes)
			}
			r := z.Bisect(context.Background(), rest, s.do)
			if s.status != 400 && len(r.Refused) > 0 {
				t.Fatalf("refused: %v", r.Refused)
			}
			if r.Away != nil {
				t.Fatal(r.Away)
			}
			rest = r.Untried
			if len(r.Refused) > 0 && s.limit > 1 {
				t.Fatalf("with a limit of %d, refused: %v", s.limit, r.Refused)
			}
		}
		slices.Sort(s.got)
		slices.Sort(all)
		if !slices.Equal(s.got, all) {
			t.Fatalf("%d of %d items got through", len(s.got), n)
		}
		// A number of calls in proportion to the batches, and a few to find out.
		few := 2*int(math.Log2(float64(n))) + 2
		if budget := 4*n/min(s.limit, most) + rounds*few + few; len(s.sizes) > budget {
			t.Fatalf("%d calls for %d items with a limit of %d", len(s.sizes), n, s.limit)
		}
	})
}

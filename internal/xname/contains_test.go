// SPDX-License-Identifier: MIT

package xname

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A folded list contains the names that it was made of, and no others.
func TestContains(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) string {
		n := func(most int) int { return rapid.IntRange(0, most).Draw(t, "n") }
		if n(9) == 0 {
			return fmt.Sprintf("nid%03d", n(20))
		}
		return fmt.Sprintf("x%dc%ds%db%dn%d", n(2), n(3), n(12), n(1), n(3))
	})
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(name).Draw(t, "names")
		list, in := Fold(names), map[string]bool{}
		for _, one := range names {
			in[one] = true
			if !Contains(list, one) {
				t.Fatalf("%s does not contain %s", list, one)
			}
		}
		if other := name.Draw(t, "other"); Contains(list, other) != in[other] {
			t.Fatalf("%s contains %s: %v", list, other, !in[other])
		}
	})
}

func TestContainsOddLists(t *testing.T) {
	for _, c := range []struct {
		list, name string
		want       bool
	}{
		{"", "", false}, {"x1", "x1", true}, {"x[1-3]", "x2", true}, {"x[1-3]", "x02", false}, {"x[1-3]", "x", false},
		{"x[1-3", "x2", false}, {"x1]", "x1]", true}, {"x[1-3]b0", "x2b0", true}, {"x[1-3]b0", "x2b01", false}, {"x[a]", "x1", false},
		{"x[99999999999999999999]", "x99999999999999999999", false}, {"a,,b", "b", true},
	} {
		if got := Contains(c.list, c.name); got != c.want {
			t.Errorf("%q contains %q: %v", c.list, c.name, got)
		}
	}
}

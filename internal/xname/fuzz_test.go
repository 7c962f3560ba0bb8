// SPDX-License-Identifier: MIT

package xname_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"bos/internal/xname"
)

// maxMessage bounds what an error repeats of what was typed.
const maxMessage = 700

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{
		"x1c0s[0-1,4]b0n0", "a[1-", "[]", "a[00-02]", ",", "x1[0-9]c[0-9]", "x[0-99999999]", "[0-1000][0-1000][0-1000]", " a , b ", "a]b[", "[-1]", "[1-0]", "[٣]", "[0-9]" + strings.Repeat("x", 127),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		names, err := xname.Expand(list)
		if err != nil {
			if len(err.Error()) > maxMessage || names != nil {
				t.Fatalf("%d names and %q", len(names), err)
			}
			return
		}
		if slices.ContainsFunc(names, func(name string) bool { return len(name) > 127 }) {
			t.Fatal("a name that is too long for an id")
		}
		if len(names) == 0 || len(names) > xname.MaxExpanded {
			t.Fatalf("%d names without an error", len(names))
		}
		// Names that hold no commas and brackets say themselves.
		if len(names) > 1000 || !utf8.ValidString(list) {
			return
		}
		for _, name := range names {
			if strings.ContainsAny(name, ",[]") || strings.TrimSpace(name) != name {
				return
			}
		}
		again, err := xname.Expand(strings.Join(names, ","))
		if err != nil || !slices.Equal(again, names) {
			t.Fatalf("%q gives %q, and that %q, %v", list, names, again, err)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"X03000C00S01B00N0", "x3000c0s1b0n0", "nid000001", "X", "x00", "İ", "x1c0\n", "x01e1"} {
		f.Add(seed, "x3000c0s1b0n1")
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		c := xname.Canonical(s)
		if xname.IsNode(c) && xname.Canonical(c) != c {
			t.Fatalf("%q is not stable", c)
		}
		if xname.IsNode(s) && c != s {
			t.Fatalf("%q became %q", s, c)
		}
		if n := xname.CanonicalNodes(s); xname.CanonicalNodes(n) != n || xname.IsNode(c) && n != c {
			t.Fatalf("%q became %q", s, n)
		}
		if xname.Compare(s, other) != -xname.Compare(other, s) || (xname.Compare(s, other) == 0) != (s == other) {
			t.Fatalf("%q and %q: %d and %d", s, other, xname.Compare(s, other), xname.Compare(other, s))
		}
	})
}

// What is folded and expanded again is the same set.
func FuzzFold(f *testing.F) {
	f.Add("x1c0s0b0n0 x1c0s0b0n1 x1c0s1b0n0 x1c0s1b0n1 uan01 X1 x01 x1")
	f.Add("x1073741825c0s0b0n0 x1c0s0b0n0 nid001 nid001")
	f.Fuzz(func(t *testing.T, text string) {
		names := strings.Fields(text)
		if len(names) == 0 || strings.ContainsAny(text, ",[]") || slices.ContainsFunc(names, func(name string) bool { return len(name) > 127 }) {
			return
		}
		got, err := xname.Expand(xname.Fold(names))
		if err != nil {
			t.Fatalf("%q folds to %q: %v", names, xname.Fold(names), err)
		}
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, slices.Compact(names)) {
			t.Fatalf("%q folds to %q, which is %q", names, xname.Fold(names), got)
		}
	})
}

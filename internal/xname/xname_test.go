// SPDX-License-Identifier: MIT

package xname_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/xname"
)

func TestIsNode(t *testing.T) {
	for name, want := range map[string]bool{
		"x3000c0s1b0n0":    true,
		"x0c0s0b0n0":       true,
		"x9999c7s63b1n15":  true,
		"x3000c0s01b0n0":   false,
		"X3000c0s1b0n0":    false,
		"x3000c0s1b0":      false,
		"x3000c0s1b0n0n0":  false,
		"x3000c0s1b0n":     false,
		"":                 false,
		"nid000001":        false,
		" x3000c0s1b0n0":   false,
		"x3000c0s1b0n0\n":  false,
		"x-1c0s0b0n0":      false,
		"x3000c0s1b0n0foo": false,
	} {
		if got := xname.IsNode(name); got != want {
			t.Errorf("IsNode(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"X03000C00S01B00N0": "x3000c0s1b0n0",
		"x3000c0s1b0n0":     "x3000c0s1b0n0",
		"x3000c0r07b0":      "x3000c0r7b0",
		"X00":               "x0",
		"NID000001":         "nid000001",
		"Compute":           "compute",
		"x":                 "x",
		"x3000-c01":         "x3000-c01",
		"":                  "",
		"ÄX01":              "äx01",
	} {
		if got := xname.Canonical(in); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCanonicalNodes(t *testing.T) {
	for in, want := range map[string]string{
		"X03000C00S01B00N0":                 "x3000c0s1b0n0",
		"x3000c0s1b0n0":                     "x3000c0s1b0n0",
		"X03000C00S01B00":                   "x03000c00s01b00",
		"X00":                               "x00",
		"Login 01":                          "login 01",
		"x01c02s03b04n05extra006":           "x1c2s3b4n5extra006",
		"xx01c02s03b04n05":                  "xx1c2s3b4n5",
		"x01c02x01c02s00b000n0,X1C1S1B1N01": "x01c02x1c2s0b0n0,x1c1s1b1n1",
		"":                                  "",
		"ÄX01":                              "äx01",
	} {
		if got := xname.CanonicalNodes(in); got != want {
			t.Errorf("CanonicalNodes(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	want := []string{
		"nid1", "nid2", "nid10", "x2c0s0b0n0", "x10c0s0b0n0", "x10c0s0b0n1", "x10c0s2b0n0",
		// Equal numbers written differently are told apart by bytes.
		"x10c0s10b00n0", "x10c0s10b0n0", "x10c0s10b0n0a",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, xname.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpand(t *testing.T) {
	tests := []struct {
		in   string
		want []string
		err  string
	}{
		{in: "x1c0s0b0n0", want: []string{"x1c0s0b0n0"}},
		{in: "x1c0s[0-1,4]b0n0, uan01", want: []string{"x1c0s0b0n0", "x1c0s1b0n0", "x1c0s4b0n0", "uan01"}},
		{in: "x1c0s[0-1]b0n[0-1]", want: []string{"x1c0s0b0n0", "x1c0s0b0n1", "x1c0s1b0n0", "x1c0s1b0n1"}},
		{in: "nid[008-010]", want: []string{"nid008", "nid009", "nid010"}},
		{in: "n[0]", want: []string{"n0"}},
		{in: "", err: "empty name"},
		{in: "a,,b", err: "empty name"},
		{in: "a[1", err: "brackets"},
		{in: "a]1[", err: "brackets"},
		{in: "a[[1]]", err: "brackets"},
		{in: "a[]", err: "no number"},
		{in: "a[1-]", err: "no number"},
		{in: "a[1-2-3]", err: "no number"},
		{in: "a[+1]", err: "no number"},
		{in: "a[3-1]", err: "backwards"},
		{in: "a[0-999999999]", err: "more than"},
		{in: "a[0-1023]b[0-1023]c[0-1023]", err: "more than"},
		{in: "a[99999999999999999999]", err: "no number"},
	}
	for _, tt := range tests {
		got, err := xname.Expand(tt.in)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Expand(%q): error %v, want one with %q", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Expand(%q): %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Expand(%q): %s", tt.in, diff)
		}
	}
}

func TestFold(t *testing.T) {
	tests := []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{[]string{"x1c0s0b0n0"}, "x1c0s0b0n0"},
		{[]string{"x1c0s1b0n1", "x1c0s0b0n0", "x1c0s0b0n1", "x1c0s1b0n0"}, "x1c0s[0-1]b0n[0-1]"},
		{[]string{"x1c0s0b0n0", "x1c0s2b0n0", "x1c0s3b0n0", "x1c0s0b0n0"}, "x1c0s[0,2-3]b0n0"},
		{[]string{"uan02", "x1c0s0b0n0", "uan01", "uan01"}, "x1c0s0b0n0,uan01,uan02"},
		{[]string{"x1c0s0b0n0", "x1c0s0b0n1", "x2c0s0b0n0"}, "x1c0s0b0n[0-1],x2c0s0b0n0"},
		{[]string{"x1c0s0b0", "x1c0s1b0", "x1c0s1b0n0"}, "x1c0s[0-1]b0,x1c0s1b0n0"},
	}
	for _, tt := range tests {
		if got := xname.Fold(tt.in); got != tt.want {
			t.Errorf("Fold(%v) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// Whatever is folded unfolds to the same set.
func TestFoldExpandRoundTrip(t *testing.T) {
	name := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return rapid.SampledFrom([]string{"uan01", "uan2", "x1c0", "x1c0s0b00n0", "login-1"}).Draw(t, "other")
		}
		n := rapid.IntRange(0, 3)
		return fmt.Sprintf("x%dc%ds%db%dn%d", n.Draw(t, "x"), n.Draw(t, "c"), n.Draw(t, "s"), n.Draw(t, "b"), n.Draw(t, "n"))
	})
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(name, 1, 60).Draw(t, "names")
		got, err := xname.Expand(xname.Fold(names))
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(names)
		slices.Sort(want)
		want = slices.Compact(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := xname.Canonical(rapid.StringMatching(`[xX]?[0-9a-zA-Z]{0,20}`).Draw(t, "s"))
		if again := xname.Canonical(s); again != s {
			t.Fatalf("%q became %q", s, again)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	var names []string
	for i := range 10000 {
		names = append(names, fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/256, i/32%8, i/4%8, i/2%2, i%2))
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = xname.Fold(names)
	}
}

// SPDX-License-Identifier: MIT

package version

import "testing"

func TestChoose(t *testing.T) {
	for _, c := range []struct{ linked, built, want string }{
		{"1.2.3", "(devel)", "1.2.3"},
		{"", "(devel)", "(devel)"},
		{"", "", "unknown"},
	} {
		if got := choose(c.linked, c.built); got != c.want {
			t.Errorf("linked %q, built %q: %q, want %q", c.linked, c.built, got, c.want)
		}
	}
	if String() == "" {
		t.Error("there is no version")
	}
}

// SPDX-License-Identifier: MIT

package front

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// The matchers written by hand match what their patterns match.
func TestMatchers(t *testing.T) {
	for _, pattern := range []string{patternName, patternNameOrEmpty, patternAge, patternStateAge, patternOneLine} {
		t.Run(pattern, func(t *testing.T) {
			match, err := matcherFor(pattern)
			if err != nil {
				t.Fatal(err)
			}
			re := regexp.MustCompile(pattern)
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.OneOf(
					rapid.StringMatching(pattern),
					rapid.StringOfN(rapid.RuneFrom([]rune("aZ09-._ mMhHdDwWs\n\ré\x00")), 0, 4, -1),
					rapid.StringOfN(rapid.RuneFrom([]rune("aA0-._")), 120, 130, -1),
					rapid.String(),
				).Draw(t, "text")
				text += rapid.SampledFrom([]string{"", "", "", "\n", "\r", " ", "m"}).Draw(t, "more")
				if got, want := match([]byte(text)), re.MatchString(text); got != want {
					t.Fatalf("%q: got %t, want %t", text, got, want)
				}
			})
		})
	}
}

// The matchers are used: the document has their patterns to the letter.
func TestMatchersAreUsed(t *testing.T) {
	o := newOracle(t)
	used := map[string]bool{}
	for _, ref := range o.document.Components.Schemas {
		used[ref.Value.Pattern] = true
	}
	for _, pattern := range []string{patternName, patternNameOrEmpty, patternAge, patternStateAge, patternOneLine} {
		if !used[pattern] {
			t.Errorf("no schema has the pattern %s", pattern)
		}
	}
}

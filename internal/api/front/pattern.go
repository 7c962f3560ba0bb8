// SPDX-License-Identifier: MIT

package front

import (
	"bytes"
	"regexp"
	"strings"
)

// The patterns of the document that have a matcher of their own here. Any other
// one is matched as a regular expression.
const (
	patternName        = `^[a-zA-Z0-9](?:[-._a-zA-Z0-9]{0,125}[a-zA-Z0-9])?$`
	patternNameOrEmpty = `^(?:[a-zA-Z0-9](?:[-._a-zA-Z0-9]{0,125}[a-zA-Z0-9])?)?$`
	patternAge         = `^(0|0[mMhHdDwW]|[1-9][0-9]*[mMhHdDwW])$`
	patternStateAge    = `^[1-9][0-9]*[hHdDwW]$`
	patternOneLine     = `^[^\r\n]*$`
)

// matcher reports whether a text matches a pattern as a whole.
type matcher func(text []byte) bool

// matcherFor returns the matcher of a pattern. In Go's regular expressions $ is
// the very end of the text: a newline there doesn't match.
func matcherFor(pattern string) (matcher, error) {
	switch pattern {
	case patternName:
		return isName, nil
	case patternNameOrEmpty:
		return func(text []byte) bool { return len(text) == 0 || isName(text) }, nil
	case patternAge:
		return isAge, nil
	case patternStateAge:
		return func(text []byte) bool { return isAmount(text, "hHdDwW") }, nil
	case patternOneLine:
		return isOneLine, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return re.Match, nil
}

func isName(text []byte) bool {
	if len(text) == 0 || len(text) > 127 || !isAlphanumeric(text[0]) || !isAlphanumeric(text[len(text)-1]) {
		return false
	}
	for _, c := range text {
		if !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isOneLine(text []byte) bool {
	return bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') < 0
}

func isAge(text []byte) bool {
	if len(text) == 0 || text[0] != '0' {
		return isAmount(text, "mMhHdDwW")
	}
	return len(text) == 1 || len(text) == 2 && strings.IndexByte("mMhHdDwW", text[1]) >= 0
}

// isAmount reports whether the text is a positive number without leading zeros
// and one of the units.
func isAmount(text []byte, units string) bool {
	if len(text) < 2 || text[0] < '1' || text[0] > '9' {
		return false
	}
	last := len(text) - 1
	for _, c := range text[1:last] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return strings.IndexByte(units, text[last]) >= 0
}

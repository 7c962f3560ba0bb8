// SPDX-License-Identifier: MIT

package call

import (
	"strings"

	"bos/internal/xname"
)

// IsNode reports whether s is the name of a node as HSM and PCS define it, in
// lower case: cabinets 0 to 9999, chassis 0 to 7. It is narrower than
// [xname.IsNode] in that, because PCS refuses a whole request for one name
// beyond these, and wider in that leading zeros pass, as they do at PCS.
func IsNode(s string) bool {
	const maxLength, maxCabinet = 127, 4
	if len(s) > maxLength {
		return false
	}
	for _, level := range []byte("xcsbn") {
		if s == "" || s[0] != level {
			return false
		}
		digits := s[1:]
		n := len(digits) - len(strings.TrimLeft(digits, "0123456789"))
		switch {
		case n == 0,
			level == 'x' && n > maxCabinet,
			level == 'c' && (n > 1 || digits[0] > '7'):
			return false
		}
		s = digits[n:]
	}
	return s == ""
}

// Canonical returns the normal form of an xname: lower case, no leading zeros.
func Canonical(s string) string { return xname.Canonical(s) }

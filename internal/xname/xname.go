// SPDX-License-Identifier: MIT

// Package xname handles the names that HPE Cray systems give to hardware by
// its place: x3000c0s1b0n0 is node 0 of BMC 0 in slot 1 of chassis 0 of
// cabinet 3000. It validates, canonicalises and orders such names, and folds
// sets of them into the ranges that people read and type
// (x3000c0s[1-4]b0n[0-1]).
package xname

import "strings"

// maxLength bounds what is looked at as an xname; ids in BOS have at most 127
// characters.
const maxLength = 127

// nodeLevels are the letters of a node's name, outermost first.
const nodeLevels = "xcsbn"

// IsNode reports whether s is the canonical name of a node: lower case, five
// levels x c s b n, no leading zeros. Services such as PCS refuse a whole
// request for one name that is anything else.
func IsNode(s string) bool {
	if len(s) > maxLength {
		return false
	}
	for i := range len(nodeLevels) {
		if s == "" || s[0] != nodeLevels[i] {
			return false
		}
		digits := leadingDigits(s[1:])
		if digits == 0 || digits > 1 && s[1] == '0' {
			return false
		}
		s = s[1+digits:]
	}
	return s == ""
}

// Canonical returns the normal form of s: lower case, and without leading
// zeros in its numbers if s is an xname of any kind (X03000C00S01B00N0 becomes
// x3000c0s1b0n0). What is no xname comes back in lower case only.
func Canonical(s string) string {
	if IsNode(s) {
		return s
	}
	s = strings.ToLower(s)
	if !isXname(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			out = append(out, s[i])
			i++
			continue
		}
		n := leadingDigits(s[i:])
		out = append(out, withoutZeros(s[i:i+n])...)
		i += n
	}
	return string(out)
}

// CanonicalNodes returns s in lower case and, wherever the name of a node is in
// it, that name without leading zeros. Other text stays, names of other
// hardware too. It is for what users write.
func CanonicalNodes(s string) string {
	if IsNode(s) {
		return s
	}
	s = strings.ToLower(s)
	var out strings.Builder
	for s != "" {
		name, length := nodePrefix(s)
		if length == 0 {
			name, length = s[:1], 1
		}
		out.WriteString(name)
		s = s[length:]
	}
	return out.String()
}

// nodePrefix returns the canonical form of the node's name that s begins with
// and how long it is in s; 0 if s begins with something else.
func nodePrefix(s string) (name string, length int) {
	var out strings.Builder
	rest := s
	for i := range len(nodeLevels) {
		if rest == "" || rest[0] != nodeLevels[i] {
			return "", 0
		}
		digits := leadingDigits(rest[1:])
		if digits == 0 {
			return "", 0
		}
		out.WriteByte(nodeLevels[i])
		out.WriteString(withoutZeros(rest[1 : 1+digits]))
		rest = rest[1+digits:]
	}
	return out.String(), len(s) - len(rest)
}

// withoutZeros returns a number without leading zeros.
func withoutZeros(digits string) string {
	if number := strings.TrimLeft(digits, "0"); number != "" {
		return number
	}
	return "0"
}

// Compare orders names as people count: by their numbers where both have a
// number in the same place, by bytes elsewhere. It returns a negative number,
// 0 or a positive number. Names that differ only in leading zeros are ordered
// by bytes, so that 0 means the same name.
func Compare(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !isDigit(a[i]) || !isDigit(b[j]) {
			if a[i] != b[j] {
				return int(a[i]) - int(b[j])
			}
			i++
			j++
			continue
		}
		na, nb := leadingDigits(a[i:]), leadingDigits(b[j:])
		if c := compareNumbers(a[i:i+na], b[j:j+nb]); c != 0 {
			return c
		}
		i += na
		j += nb
	}
	if c := (len(a) - i) - (len(b) - j); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// compareNumbers compares two runs of digits of any length by value.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// isXname reports whether s (in lower case) is an x followed by a number and
// then by pairs of letters and numbers: a cabinet or anything inside one.
func isXname(s string) bool {
	if len(s) > maxLength || s == "" || s[0] != 'x' {
		return false
	}
	for s != "" {
		letters := 0
		for letters < len(s) && s[letters] >= 'a' && s[letters] <= 'z' {
			letters++
		}
		digits := leadingDigits(s[letters:])
		if letters == 0 || digits == 0 {
			return false
		}
		s = s[letters+digits:]
	}
	return true
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

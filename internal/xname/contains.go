// SPDX-License-Identifier: MIT

package xname

import (
	"strconv"
	"strings"
)

// Contains reports whether a list that [Fold] wrote has a name, without
// expanding it. What is no such list has none.
func Contains(list, name string) bool {
	for list != "" {
		var item string
		item, list = nextItem(list)
		if item == name || strings.IndexByte(item, '[') >= 0 && matches(item, name) {
			return true
		}
	}
	return false
}

// nextItem cuts the first item off a list.
func nextItem(list string) (item, rest string) {
	inside := false
	for i := range len(list) {
		switch list[i] {
		case '[':
			inside = true
		case ']':
			inside = false
		case ',':
			if !inside {
				return list[:i], list[i+1:]
			}
		}
	}
	return list, ""
}

// matches reports whether a name is one of those that an item stands for.
func matches(item, name string) bool {
	for {
		open := strings.IndexByte(item, '[')
		if open < 0 {
			return item == name
		}
		if !strings.HasPrefix(name, item[:open]) {
			return false
		}
		name, item = name[open:], item[open+1:]
		shut := strings.IndexByte(item, ']')
		digits := leadingDigits(name)
		if shut < 0 || !hasNumber(item[:shut], name[:digits]) {
			return false
		}
		name, item = name[digits:], item[shut+1:]
	}
}

// hasNumber reports whether a set of numbers, such as 0-3,7, has one.
func hasNumber(set, digits string) bool {
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		// Fold writes no leading zeros.
		return false
	}
	for set != "" {
		var span string
		span, set, _ = strings.Cut(set, ",")
		first, last, isRange := strings.Cut(span, "-")
		if !isRange {
			last = first
		}
		lo, errLo := strconv.Atoi(first)
		hi, errHi := strconv.Atoi(last)
		if errLo == nil && errHi == nil && lo <= n && n <= hi {
			return true
		}
	}
	return false
}

// SPDX-License-Identifier: MIT

package front

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of value that a schema asks for.
type kind uint8

const (
	kindString kind = iota
	kindInteger
	kindBoolean
	kindArray
	kindObject
	kindOneOf
)

// unlimited is the upper limit of what has none.
const unlimited = -1

// schema is the compiled form of a schema. Which fields count depends on its
// kind.
type schema struct {
	kind     kind
	nullable bool
	readOnly bool
	// message is what a user is told about a pattern, or alternatives, that
	// did not match.
	message string

	// Strings: lengths in characters, the pattern and the values allowed.
	minLength, maxLength int
	match                matcher
	enum                 []string

	// Integers: the range, both ends included.
	minimum, maximum int64

	// Arrays.
	items              *schema
	minItems, maxItems int

	// Objects. others is for members without a field of their own: nil is any
	// value if open, and none else.
	fields   map[string]*field
	order    []*field
	required uint64
	// either are sets of fields one of which must be there as a whole; what is
	// missing is told of the first.
	either                 []uint64
	open                   bool
	others                 *schema
	minMembers, maxMembers int

	// Alternatives. If byKind, a value's JSON type says which one is meant.
	oneOf  []*schema
	byKind bool
}

// field is a member that an object's schema lists. Its bit stands for it in
// the set of those that were seen.
type field struct {
	name   string
	bit    uint64
	schema *schema
}

// textFault says what is wrong with a string of a number of characters, or "".
func (s *schema) textFault(text []byte, length int) string {
	switch {
	case length < s.minLength:
		return atLeast(s.minLength, length, "character")
	case s.maxLength != unlimited && length > s.maxLength:
		return atMost(s.maxLength, length, "character")
	case s.enum != nil && !slices.Contains(s.enum, string(text)):
		return oneOfThese(s.enum)
	case s.match != nil && !s.match(text):
		return s.message
	}
	return ""
}

// rangeFault says what is wrong with an integer, or "".
func (s *schema) rangeFault(n int64) string {
	if n >= s.minimum && n <= s.maximum {
		return ""
	}
	return s.outOfRange()
}

func (s *schema) outOfRange() string {
	return fmt.Sprintf("must be between %d and %d", s.minimum, s.maximum)
}

// countFault says what is wrong with a number of things, or "".
func countFault(count, least, most int, what string) string {
	switch {
	case count < least:
		return atLeast(least, count, what)
	case most != unlimited && count > most:
		return atMost(most, count, what)
	}
	return ""
}

func atLeast(least, got int, what string) string {
	if least == 1 {
		return "must not be empty"
	}
	return fmt.Sprintf("must have at least %s, not %d", plural(least, what), got)
}

func atMost(most, got int, what string) string {
	if most == 0 {
		return "must be empty"
	}
	return fmt.Sprintf("must have at most %s, not %d", plural(most, what), got)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func oneOfThese(values []string) string {
	named := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	list := "one of " + strings.Join(named, ", ")
	if len(named) < len(values) {
		return "must be empty or " + list
	}
	return "must be " + list
}

// wants says in words which type the schema asks for.
func (s *schema) wants() string {
	var what string
	switch s.kind {
	case kindString:
		what = "a string"
	case kindInteger:
		what = "an integer"
	case kindBoolean:
		what = "true or false"
	case kindArray:
		what = "an array"
	case kindObject:
		what = "an object"
	case kindOneOf:
		what = "something else"
	}
	if s.nullable {
		what += " or null"
	}
	return what
}

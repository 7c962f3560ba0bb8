// SPDX-License-Identifier: MIT

package front

import (
	"math/bits"
	"strconv"
)

// mostProblems is how many problems of a body are told at once.
const mostProblems = 5

// checker checks a body against its schema while it reads it.
//
// It works in two ways. The first time it stops at whatever is not right: a
// wrong value, a repeated name (a later member may replace a wrong one), a text
// that is no JSON. If it does not stop, the body is good, and nothing was
// allocated or copied. Only a body at which it stopped is cleaned and then
// checked with report set: then it goes on and collects what is wrong.
type checker struct {
	scanner
	report   bool
	path     []step
	problems []string
}

// document checks the whole body. If it doesn't report, it returns whether the
// body is good.
func (c *checker) document(s *schema) bool {
	c.space()
	if !c.value(s, 1) {
		return false
	}
	c.space()
	return c.i == len(c.b)
}

// problem tells of the value at hand. It returns whether to go on.
func (c *checker) problem(message string) bool {
	if !c.report {
		return false
	}
	c.problems = append(c.problems, renderPath(c.path)+": "+message)
	return len(c.problems) < mostProblems
}

// wrongType tells of a value of another type than the schema's, and skips it.
func (c *checker) wrongType(s *schema) bool {
	if !c.report {
		return false
	}
	message := "must be " + s.wants() + ", not " + typeName(c.peek())
	if s.kind == kindOneOf {
		message = s.message
	}
	return c.problem(message) && c.skip()
}

// typeName says in words what begins with a byte.
func typeName(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case 'N', 'I':
		return "NaN or Infinity, which are not JSON"
	}
	return "a number"
}

// skip reads a value without a look at it. It is used on cleaned text only.
func (c *checker) skip() bool {
	s := cleaner{scanner: c.scanner}
	ok := s.value(1)
	c.scanner = s.scanner
	return ok
}

// value checks a value. depth is that of an array or object.
func (c *checker) value(s *schema, depth int) bool {
	first := c.peek()
	if first == 'n' && s.nullable {
		return c.word("null")
	}
	switch s.kind {
	case kindString:
		if first == '"' {
			return c.string(s)
		}
	case kindInteger:
		if first == '-' || '0' <= first && first <= '9' {
			return c.integer(s)
		}
	case kindBoolean:
		if first == 't' {
			return c.word("true")
		}
		if first == 'f' {
			return c.word("false")
		}
	case kindArray:
		if first == '[' {
			return c.array(s, depth)
		}
	case kindObject:
		if first == '{' {
			return c.object(s, depth)
		}
	case kindOneOf:
		return c.alternatives(s, depth)
	}
	return c.wrongType(s)
}

func (c *checker) string(s *schema) bool {
	text, length, ok := c.text()
	if !ok {
		return false
	}
	if fault := s.textFault(text, length); fault != "" {
		return c.problem(fault)
	}
	return true
}

func (c *checker) integer(s *schema) bool {
	if c.notANumber() { // -Infinity
		return c.problem("must be an integer, not " + typeName('I'))
	}
	digits, integer, ok := c.number()
	if !ok {
		return false
	}
	if !integer {
		return c.problem("must be an integer in decimal digits")
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil { // beyond 64 bits
		return c.problem(s.outOfRange())
	}
	if fault := s.rangeFault(n); fault != "" {
		return c.problem(fault)
	}
	return true
}

func (c *checker) array(s *schema, depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.space()
	count := 0
	if c.peek() == ']' {
		c.i++
		return c.arrayEnd(s, count)
	}
	for {
		if c.report {
			c.path = append(c.path, step{index: count})
		}
		if !c.value(s.items, depth+1) {
			return false
		}
		if c.report {
			c.path = c.path[:len(c.path)-1]
		}
		count++
		more, ok := c.after(']', faultItem)
		if !ok {
			return false
		}
		if !more {
			return c.arrayEnd(s, count)
		}
	}
}

func (c *checker) arrayEnd(s *schema, count int) bool {
	if count >= s.minItems && (s.maxItems == unlimited || count <= s.maxItems) {
		return true
	}
	return c.problem(countFault(count, s.minItems, s.maxItems, "item"))
}

// members is what was seen of an object so far: the fields, the names of
// others that are allowed, and how many are not.
type members struct {
	fields  uint64
	others  nameSet
	unknown int
}

func (c *checker) object(s *schema, depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.space()
	var seen members
	if c.peek() == '}' {
		c.i++
		return c.objectEnd(s, &seen)
	}
	for {
		if !c.member(s, &seen, depth) {
			return false
		}
		more, ok := c.after('}', faultMember)
		if !ok {
			return false
		}
		if !more {
			return c.objectEnd(s, &seen)
		}
	}
}

// member checks a member of an object: its name, and its value.
func (c *checker) member(s *schema, seen *members, depth int) bool {
	name, escaped, ok := c.name()
	if !ok {
		return false
	}
	f := s.fields[string(name)]
	if c.report {
		c.path = append(c.path, step{name: string(name), free: f == nil})
	}
	switch {
	case f != nil && seen.fields&f.bit != 0:
		return false // repeated
	case f != nil && f.schema.readOnly:
		seen.fields |= f.bit
		ok = c.problem("is read-only") && c.skip()
	case f != nil:
		seen.fields |= f.bit
		ok = c.value(f.schema, depth+1)
	case !s.open:
		seen.unknown++
		ok = c.problem("no such field") && c.skip()
	default:
		if _, again := seen.others.add(name, escaped); again || seen.others.len() > maxMembers {
			return false
		}
		if s.others != nil {
			ok = c.value(s.others, depth+1)
		} else {
			ok = c.free(depth + 1)
		}
	}
	if c.report && ok {
		c.path = c.path[:len(c.path)-1]
	}
	return ok
}

func (c *checker) objectEnd(s *schema, seen *members) bool {
	if missing := s.missing(seen.fields); missing != 0 {
		for _, f := range s.order {
			if missing&f.bit == 0 {
				continue
			}
			if !c.report {
				return false
			}
			c.path = append(c.path, step{name: f.name})
			ok := c.problem("a value is required")
			c.path = c.path[:len(c.path)-1]
			if !ok {
				return false
			}
		}
	}
	if s.minMembers == 0 && s.maxMembers == unlimited {
		return true
	}
	count := bits.OnesCount64(seen.fields) + seen.others.len() + seen.unknown
	if fault := countFault(count, s.minMembers, s.maxMembers, "member"); fault != "" {
		return c.problem(fault)
	}
	return true
}

// missing returns the fields that should be there too.
func (s *schema) missing(seen uint64) uint64 {
	missing := s.required &^ seen
	for _, set := range s.either {
		if set&^seen == 0 {
			return missing
		}
	}
	if len(s.either) > 0 {
		missing |= s.either[0] &^ seen
	}
	return missing
}

// free checks a value that may be anything that JSON can hold.
func (c *checker) free(depth int) bool {
	switch c.peek() {
	case '{':
		return c.freeObject(depth)
	case '[':
		return c.freeArray(depth)
	}
	start, nan := c.i, c.nan
	if !c.scalar() {
		return false
	}
	switch first := c.b[start]; {
	case c.nan != nan:
		return c.problem("must not be " + typeName('N'))
	case (first == '-' || '0' <= first && first <= '9') && !finite(c.b[start:c.i]):
		return c.problem("must be a smaller number")
	}
	return true
}

func (c *checker) freeArray(depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.space()
	if c.peek() == ']' {
		c.i++
		return true
	}
	for {
		if !c.free(depth + 1) {
			return false
		}
		if more, ok := c.after(']', faultItem); !ok || !more {
			return ok
		}
	}
}

func (c *checker) freeObject(depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.space()
	if c.peek() == '}' {
		c.i++
		return true
	}
	var names nameSet
	for {
		name, escaped, ok := c.name()
		if !ok {
			return false
		}
		if _, again := names.add(name, escaped); again || names.len() > maxMembers {
			return false
		}
		if !c.free(depth + 1) {
			return false
		}
		if more, ok := c.after('}', faultMember); !ok || !more {
			return ok
		}
	}
}

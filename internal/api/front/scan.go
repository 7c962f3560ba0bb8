// SPDX-License-Identifier: MIT

package front

import (
	"encoding/binary"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested.
const maxDepth = 100

// maxMembers is how many members an object may have, whatever its schema says.
const maxMembers = 65536

// What is wrong with a body that is not JSON, in words for users.
const (
	faultEnd       = "it ends too early"
	faultValue     = "a value is expected"
	faultName      = "the name of a member is expected, in double quotes"
	faultColon     = "a colon is expected"
	faultMember    = "a comma or } is expected"
	faultItem      = "a comma or ] is expected"
	faultNumber    = "a digit is expected"
	faultRest      = "nothing more is expected"
	faultControl   = "a control character in a string must be escaped"
	faultUTF8      = "a string is not valid UTF-8"
	faultEscape    = "an escape is not valid"
	faultSurrogate = "an escape is only half of a surrogate pair"
	faultDeep      = "arrays and objects are nested more than 100 deep"
	faultMembers   = "an object has more than 65,536 members"
)

// scanner reads JSON (RFC 8259) from a text, without building anything.
type scanner struct {
	b []byte
	i int
	// lax lets NaN and Infinity pass as numbers, so that what is wrong beside
	// them can be told too. The first one is noted in nan.
	lax bool
	nan int
	// fault says why the text is not JSON; b[i] is where.
	fault string
	// buf holds the last string that had escapes.
	buf []byte
}

// bad notes why the text is not JSON. It returns false.
func (s *scanner) bad(fault string) bool {
	if s.i >= len(s.b) {
		s.i, fault = len(s.b), faultEnd
	}
	s.fault = fault
	return false
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// space skips white space.
func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// name reads the name of a member and the colon, up to its value. The name
// stays valid until the next string with escapes is read; escaped tells
// whether this one had any.
func (s *scanner) name() (name []byte, escaped, ok bool) {
	if s.peek() != '"' {
		return nil, false, s.bad(faultName)
	}
	start := s.i
	name, _, ok = s.text()
	if !ok {
		return nil, false, false
	}
	escaped = len(name) != s.i-start-2
	s.space()
	if s.peek() != ':' {
		return nil, false, s.bad(faultColon)
	}
	s.i++
	s.space()
	return name, escaped, true
}

// after reads what follows a member or an item: a comma, or the closing byte.
func (s *scanner) after(closing byte, fault string) (more, ok bool) {
	s.space()
	switch s.peek() {
	case ',':
		s.i++
		s.space()
		return true, true
	case closing:
		s.i++
		return false, true
	}
	return false, s.bad(fault)
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plain reports whether eight bytes of a string need no look of their own:
// ASCII, no control character, no quote and no backslash.
func plain(w uint64) bool {
	quote := w ^ lowBits*'"'
	escape := w ^ lowBits*'\\'
	return (w|(w-lowBits*0x20)&^w|(quote-lowBits)&^quote|(escape-lowBits)&^escape)&highBits == 0
}

// text reads a string. It returns its value and the number of its characters.
// The value stays valid until the next string with escapes is read.
func (s *scanner) text() (value []byte, length int, ok bool) {
	start := s.i + 1
	i, b := start, s.b
	for i+8 <= len(b) && plain(binary.LittleEndian.Uint64(b[i:])) {
		i += 8
	}
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return b[start:i], i - start, true
		case c < 0x20, c == '\\', c >= utf8.RuneSelf:
			s.i = i
			return s.restOfText(start)
		}
		i++
	}
	s.i = i
	return nil, 0, s.bad(faultEnd)
}

// restOfText goes on with a string that began at start from its first character
// that is not plain.
func (s *scanner) restOfText(start int) (value []byte, length int, ok bool) {
	length = s.i - start
	escaped := false
	from := start // what is not yet in buf
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			value = s.b[from:s.i]
			if escaped {
				s.buf = append(s.buf, value...)
				value = s.buf
			}
			s.i++
			return value, length, true
		case c == '\\':
			if !escaped {
				escaped, s.buf = true, s.buf[:0]
			}
			s.buf = append(s.buf, s.b[from:s.i]...)
			if !s.escape() {
				return nil, 0, false
			}
			from = s.i
		case c < 0x20:
			return nil, 0, s.bad(faultControl)
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, size := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && size == 1 {
				s.fault = faultUTF8
				return nil, 0, false
			}
			s.i += size
		}
		length++
	}
	return nil, 0, s.bad(faultEnd)
}

// escape reads an escape and puts what it stands for into buf.
func (s *scanner) escape() bool {
	if s.i+1 >= len(s.b) {
		s.i = len(s.b)
		return s.bad(faultEnd)
	}
	var c byte
	switch c = s.b[s.i+1]; c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicodeEscape()
	default:
		return s.bad(faultEscape)
	}
	s.buf = append(s.buf, c)
	s.i += 2
	return true
}

func (s *scanner) unicodeEscape() bool {
	r, ok := hex4(s.b, s.i)
	if !ok {
		return s.bad(faultEscape)
	}
	size := 6
	if utf16.IsSurrogate(r) {
		low, _ := hex4(s.b, s.i+6)
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return s.bad(faultSurrogate)
		}
		size = 12
	}
	s.buf = utf8.AppendRune(s.buf, r)
	s.i += size
	return true
}

// hex4 reads an escape of four hexadecimal digits at b[i].
func hex4(b []byte, i int) (rune, bool) {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and reports whether it is written as an integer.
func (s *scanner) number() (digits []byte, integer, ok bool) {
	start := s.i
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return nil, false, false
	}
	integer = true
	if s.peek() == '.' {
		integer = false
		s.i++
		if !s.digits() {
			return nil, false, false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		integer = false
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return nil, false, false
		}
	}
	return s.b[start:s.i], integer, true
}

// digits reads one digit or more.
func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start || s.bad(faultNumber)
}

// word reads a literal such as true.
func (s *scanner) word(word string) bool {
	if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
		s.i += len(word)
		return true
	}
	return s.bad(faultValue)
}

// notANumber reads NaN or Infinity if there is one here and it may pass.
func (s *scanner) notANumber() bool {
	if !s.lax {
		return false
	}
	start := s.i
	if !slices.ContainsFunc([]string{"NaN", "Infinity", "-Infinity"}, s.word) {
		s.fault = ""
		return false
	}
	if s.nan == 0 {
		s.nan = start + 1
	}
	return true
}

// scalar reads a value that is no array and no object.
func (s *scanner) scalar() bool {
	switch c := s.peek(); {
	case c == '"':
		_, _, ok := s.text()
		return ok
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case s.notANumber():
		return true
	case c == '-', '0' <= c && c <= '9':
		_, _, ok := s.number()
		return ok
	}
	return s.bad(faultValue)
}

// finite reports whether a number can be held by a float64.
func finite(digits []byte) bool {
	_, err := strconv.ParseFloat(string(digits), 64)
	return err == nil
}

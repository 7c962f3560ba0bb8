// SPDX-License-Identifier: MIT

package front

// cleaner checks that a text is JSON, whatever its schema, and writes it anew
// with only the last of members that have the same name. A member stays where
// its name came first.
type cleaner struct {
	scanner
	// repeated is set when an object has a name twice.
	repeated bool
	// write says that the text is to be written to out.
	write bool
	out   []byte
}

// span is a part of what was written.
type span struct{ start, end int }

// clean returns the text without repeated members; the same slice if there are
// none. NaN and Infinity pass, and the first one's place is returned, counted
// from 1. A text that is not JSON has a fault at a place of the text.
func clean(text []byte) (cleaned []byte, nan int, fault string, at int) {
	c := cleaner{scanner: scanner{b: text, lax: true}}
	if !c.document() {
		return nil, 0, c.fault, c.i
	}
	if !c.repeated {
		return text, c.nan, "", 0
	}
	w := cleaner{
		scanner: scanner{b: text, lax: true},
		write:   true,
		out:     make([]byte, 0, len(text)),
	}
	w.document()
	return w.out, c.nan, "", 0
}

func (c *cleaner) document() bool {
	c.space()
	if !c.value(1) {
		return false
	}
	c.space()
	if c.i < len(c.b) {
		return c.bad(faultRest)
	}
	return true
}

// emit writes what was read since start.
func (c *cleaner) emit(start int) {
	if c.write {
		c.out = append(c.out, c.b[start:c.i]...)
	}
}

func (c *cleaner) emitByte(b byte) {
	if c.write {
		c.out = append(c.out, b)
	}
}

// value reads a value. depth is that of an array or object.
func (c *cleaner) value(depth int) bool {
	switch c.peek() {
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	}
	start := c.i
	ok := c.scalar()
	c.emit(start)
	return ok
}

func (c *cleaner) array(depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.emitByte('[')
	c.space()
	if c.peek() == ']' {
		c.i++
		c.emitByte(']')
		return true
	}
	for {
		if !c.value(depth + 1) {
			return false
		}
		more, ok := c.after(']', faultItem)
		if !ok {
			return false
		}
		if !more {
			c.emitByte(']')
			return true
		}
		c.emitByte(',')
	}
}

func (c *cleaner) object(depth int) bool {
	if depth > maxDepth {
		return c.bad(faultDeep)
	}
	c.i++
	c.emitByte('{')
	c.space()
	if c.peek() == '}' {
		c.i++
		c.emitByte('}')
		return true
	}
	base := len(c.out)
	var names nameSet
	var members []span
	repeated := false
	for {
		start, from := c.i, len(c.out)
		name, escaped, ok := c.name()
		if !ok {
			return false
		}
		number, again := names.add(name, escaped)
		if names.len() > maxMembers {
			return c.bad(faultMembers)
		}
		c.emit(start)
		if !c.value(depth + 1) {
			return false
		}
		switch {
		case again:
			repeated = true
			if c.write {
				members[number] = span{from, len(c.out)}
			}
		case c.write:
			members = append(members, span{from, len(c.out)})
		}
		more, ok := c.after('}', faultMember)
		if !ok {
			return false
		}
		if !more {
			break
		}
		c.emitByte(',')
	}
	if repeated {
		c.repeated = true
		c.rewrite(base, members)
	}
	c.emitByte('}')
	return true
}

// rewrite replaces what was written since base by some of its parts.
func (c *cleaner) rewrite(base int, members []span) {
	if !c.write {
		return
	}
	var kept []byte
	for i, m := range members {
		if i > 0 {
			kept = append(kept, ',')
		}
		kept = append(kept, c.out[m.start:m.end]...)
	}
	c.out = append(c.out[:base], kept...)
}

// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// errBroken says that JSON ended in its midst.
var errBroken = errors.New("the answer broke off in its midst")

// indenter lays JSON out in lines while it is copied through: a list of
// 100,000 components is never held as a whole, and no value is changed.
type indenter struct {
	out io.ByteWriter
	// text writes a run of bytes.
	text     io.Writer
	depth    int
	inString bool
	escaped  bool
	// opened is set after a bracket that nothing has followed yet.
	opened bool
	begun  bool
	err    error
}

// writer is what an indenter writes to.
type writer interface {
	io.Writer
	io.ByteWriter
}

func newIndenter(w writer) *indenter { return &indenter{out: w, text: w} }

// Write takes the next part of the JSON.
func (in *indenter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && in.err == nil; {
		if in.inString {
			rest = in.str(rest)
			continue
		}
		c := rest[0]
		rest = rest[1:]
		switch c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			in.value()
			in.byte(c)
			in.depth++
			in.opened = true
		case '}', ']':
			in.depth--
			if !in.opened {
				in.line()
			}
			in.opened = false
			in.byte(c)
		case ',':
			in.byte(c)
			in.line()
		case ':':
			in.byte(c)
			in.byte(' ')
		default:
			in.value()
			in.byte(c)
			in.inString = c == '"'
		}
	}
	if in.err != nil {
		return 0, in.err
	}
	return len(p), nil
}

// str copies what belongs to a string and returns the rest.
func (in *indenter) str(p []byte) []byte {
	if in.escaped {
		in.escaped = false
		in.byte(p[0])
		return p[1:]
	}
	end := bytes.IndexAny(p, `"\`)
	if end < 0 {
		in.write(p)
		return nil
	}
	in.write(p[:end+1])
	in.escaped = p[end] == '\\'
	in.inString = p[end] == '\\'
	return p[end+1:]
}

// value begins a value, on a line of its own if it is the first in brackets.
func (in *indenter) value() {
	in.begun = true
	if in.opened {
		in.line()
		in.opened = false
	}
}

func (in *indenter) line() {
	in.byte('\n')
	in.write([]byte(strings.Repeat("  ", max(in.depth, 0))))
}

func (in *indenter) byte(c byte) {
	if in.err == nil {
		in.err = in.out.WriteByte(c)
	}
}

func (in *indenter) write(p []byte) {
	if in.err == nil {
		_, in.err = in.text.Write(p)
	}
}

// Close ends the last line. It fails if the JSON is not complete.
func (in *indenter) Close() error {
	if in.err == nil && (in.depth != 0 || in.inString || !in.begun) {
		in.err = errBroken
	}
	in.byte('\n')
	return in.err
}

// SPDX-License-Identifier: MIT

package front

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"bos/internal/bos"
)

// mostEcho is how many characters of the names that a client chose are repeated
// in a problem.
const mostEcho = 80

// step is one part of the path to a value: the name of a member, or the number
// of an item. A free name is one that the client chose.
type step struct {
	name  string
	free  bool
	index int
}

// renderPath writes a path such as boot_sets.compute.path.
func renderPath(path []step) string {
	if len(path) == 0 {
		return "request body"
	}
	free := 0
	for _, s := range path {
		if s.free {
			free++
		}
	}
	var out strings.Builder
	for i, s := range path {
		if i > 0 {
			out.WriteByte('.')
		}
		switch {
		case s.free:
			out.WriteString(echo(s.name, mostEcho/free))
		case s.name != "":
			out.WriteString(s.name)
		default:
			out.WriteString(strconv.Itoa(s.index))
		}
	}
	return out.String()
}

// echo repeats a text of the client, up to a number of characters, in quotes if
// it is not a plain word.
func echo(text string, most int) string {
	runes := []rune(text[:min(len(text), utf8.UTFMax*(most+1))])
	plain, cut := len(runes) > 0, ""
	if len(runes) > most {
		runes, cut = runes[:most-1], "…"
	}
	for _, r := range runes {
		plain = plain && r < utf8.RuneSelf && (isAlphanumeric(byte(r)) || r == '_' || r == '-')
	}
	if !plain {
		return strconv.Quote(string(runes) + cut)
	}
	return string(runes) + cut
}

// invalid makes the error of a request that can't be understood.
func invalid(format string, args ...any) error {
	return bos.Errorf(bos.CodeInvalid, format, args...)
}

// notJSON makes the error of a body that is not JSON.
func notJSON(body []byte, fault string, at int) error {
	line, start := 1, 0
	for i, c := range body[:at] {
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
	column := utf8.RuneCount(body[start:at]) + 1
	return invalid("request body: not valid JSON at line %d, column %d: %s", line, column, fault)
}

// size writes a number of bytes for people.
func size(n int64) string {
	const kiB, miB = 1 << 10, 1 << 20
	switch {
	case n >= miB && n%miB == 0:
		return fmt.Sprintf("%d MiB", n/miB)
	case n >= kiB && n%kiB == 0:
		return fmt.Sprintf("%d KiB", n/kiB)
	}
	return fmt.Sprintf("%d bytes", n)
}

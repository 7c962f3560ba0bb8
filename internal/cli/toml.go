// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// tomlResults is the key of what is no table: a list, or a text. TOML documents
// are tables, and this is the name that the cray CLI gives to them.
const tomlResults = "results"

// writeTOML writes one value as a TOML document. What is null is left out,
// since TOML has no null.
func writeTOML(w io.Writer, t *tree) error {
	var buf bytes.Buffer
	if t.kind == kindObject {
		tomlTable(&buf, nil, t)
	} else {
		top := objectTree()
		top.put(tomlResults, t)
		tomlTable(&buf, nil, top)
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// writeTOMLItem writes one item of a list; all of them are one document.
func writeTOMLItem(w io.Writer, t *tree) error {
	var buf bytes.Buffer
	path := []string{tomlKey(tomlResults)}
	tomlHeader(&buf, "[[", path, "]]")
	tomlTable(&buf, path, t)
	buf.WriteByte('\n')
	_, err := w.Write(buf.Bytes())
	return err
}

// tomlTable writes the members of a table: first those that fit on one line,
// since everything after the header of a table inside belongs to that one.
func tomlTable(buf *bytes.Buffer, path []string, t *tree) {
	for i, key := range t.keys {
		if one := t.items[i]; one.kind != kindNull && !isTOMLTable(one) {
			fmt.Fprintf(buf, "%s = ", tomlKey(key))
			tomlValue(buf, one)
			buf.WriteByte('\n')
		}
	}
	for i, key := range t.keys {
		one := t.items[i]
		if !isTOMLTable(one) {
			continue
		}
		inner := append(slices.Clone(path), tomlKey(key))
		if one.kind == kindObject {
			// The headers of the tables inside say that there is this one.
			if len(one.items) == 0 || slices.ContainsFunc(one.items, func(t *tree) bool { return !isTOMLTable(t) }) {
				tomlHeader(buf, "[", inner, "]")
			}
			tomlTable(buf, inner, one)
			continue
		}
		for _, row := range one.items {
			tomlHeader(buf, "[[", inner, "]]")
			tomlTable(buf, inner, row)
		}
	}
}

func tomlHeader(buf *bytes.Buffer, open string, path []string, shut string) {
	if buf.Len() > 0 {
		buf.WriteByte('\n')
	}
	fmt.Fprintf(buf, "%s%s%s\n", open, strings.Join(path, "."), shut)
}

// isTOMLTable reports whether a value gets a header: an object, or a list of
// objects only.
func isTOMLTable(t *tree) bool {
	switch t.kind {
	case kindObject:
		return true
	case kindArray:
		for _, one := range t.items {
			if one.kind != kindObject {
				return false
			}
		}
		return len(t.items) > 0
	case kindNull, kindBool, kindNumber, kindString:
	}
	return false
}

// tomlValue writes a value on one line.
func tomlValue(buf *bytes.Buffer, t *tree) {
	switch t.kind {
	case kindNull:
		// Only inside a list, where nothing can be left out.
		buf.WriteString(`""`)
	case kindBool, kindNumber:
		buf.WriteString(t.text)
	case kindString:
		tomlString(buf, t.text)
	case kindArray:
		buf.WriteByte('[')
		for i, one := range t.items {
			if i > 0 {
				buf.WriteString(", ")
			}
			tomlValue(buf, one)
		}
		buf.WriteByte(']')
	case kindObject:
		buf.WriteByte('{')
		first := true
		for i, key := range t.keys {
			if t.items[i].kind == kindNull {
				continue
			}
			if !first {
				buf.WriteString(", ")
			}
			first = false
			fmt.Fprintf(buf, "%s = ", tomlKey(key))
			tomlValue(buf, t.items[i])
		}
		buf.WriteByte('}')
	}
}

// tomlKey writes a key: bare if it may be.
func tomlKey(key string) string {
	bare := key != ""
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			bare = false
		}
	}
	if bare {
		return key
	}
	var buf bytes.Buffer
	tomlString(&buf, key)
	return buf.String()
}

// tomlString writes a basic string.
func tomlString(buf *bytes.Buffer, s string) {
	buf.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			buf.WriteByte('\\')
			buf.WriteRune(r)
		case r == '\n':
			buf.WriteString(`\n`)
		case r == '\t':
			buf.WriteString(`\t`)
		case r == '\r':
			buf.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(buf, `\u%04X`, r)
		default:
			buf.WriteRune(r)
		}
	}
	buf.WriteByte('"')
}

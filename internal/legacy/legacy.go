// SPDX-License-Identifier: MIT

// Package legacy takes over what the original service, HPE's BOS written in
// Python, has in its Redis. Everything in between is pure: raw documents go in,
// our documents come out, with a list of what was changed and of what can't be
// taken; nothing is deleted and nothing is changed silently.
//
// The use of it: [Open] and [Source.Read], [Convert], [Write].
package legacy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"bos/internal/bos"
)

// Database is the number of one of the original's databases.
type Database int

// The databases. The keys of templates, sessions and statuses are
// sha1(tenant)-sha1(name), those of components and tokens are their names, and
// options has one key.
const (
	Options Database = iota
	Components
	Templates
	Sessions
	Tokens
	Statuses
	databases
)

// String returns what users read.
func (d Database) String() string {
	names := [databases]string{"options", "components", "templates", "sessions", "tokens", "session-status"}
	if d < 0 || d >= databases {
		return "database " + strconv.Itoa(int(d))
	}
	return names[d]
}

// Raw is a document as the original stored it. Fault says why its value could
// not be read; then there is none.
type Raw struct {
	Key   string
	Value []byte
	Fault string
}

// Dump is everything in the six databases.
type Dump [databases][]Raw

// Change is something that is not taken as it is. It shows no secrets and no
// kernel parameters.
type Change struct {
	Database Database
	// Name is the document's, for people; Field is empty for all of it.
	Name, Field string
	What        string
}

// String is one line.
func (c Change) String() string { return line(c.Database, c.Name, c.Field, c.What) }

func line(d Database, name, field, what string) string {
	if field != "" {
		what = field + ": " + what
	}
	return fmt.Sprintf("%s %s: %s", d, quoted(name), oneLine(what))
}

// Left is something that can't be taken, with all that is needed to put it
// right by hand. Its encoding is a line of the side file.
type Left struct {
	Database Database
	Key      string
	// Name is what people read of it, like a [Change]'s.
	Name string
	// Field is empty if the whole document can't be taken.
	Field string
	Value []byte
	Why   string
}

// String is one line, without the value.
func (l Left) String() string { return line(l.Database, l.Name, l.Field, "left out: "+l.Why) }

// MarshalJSON writes the value as it is if it is JSON, else as a text, and one
// that is no text in base64.
func (l Left) MarshalJSON() ([]byte, error) {
	wire := struct {
		Database string          `json:"database"`
		Key      string          `json:"key"`
		Field    string          `json:"field,omitempty"`
		Value    json.RawMessage `json:"value"`
		Base64   []byte          `json:"value_base64,omitempty"`
		Why      string          `json:"why"`
	}{Database: l.Database.String(), Key: l.Key, Field: l.Field, Value: json.RawMessage("null"), Why: l.Why}
	switch {
	case l.Value == nil:
	case utf8.Valid(l.Value) && json.Valid(l.Value):
		wire.Value = l.Value
	case utf8.Valid(l.Value):
		text, err := json.Marshal(string(l.Value))
		if err != nil {
			return nil, err
		}
		wire.Value = text
	default:
		wire.Base64 = l.Value
	}
	return json.Marshal(wire)
}

// Chunk is a part of the members of a session.
type Chunk struct {
	Key   string
	Value []byte
}

// Document is one of ours, ready to be stored.
type Document struct {
	Database Database
	Name     string
	Key      string
	Value    []byte
	// Chunks are stored before the document.
	Chunks []Chunk
	// face is what two documents have in common that are the same to clients: no
	// fine times, and nothing that was derived from the moment of the import.
	face func(value []byte) (string, error)
}

// Same reports whether a stored document is this one as far as clients see.
func (d *Document) Same(stored []byte) bool {
	a, errA := d.face(d.Value)
	b, errB := d.face(stored)
	return errA == nil && errB == nil && a == b
}

// Result is what becomes of a [Dump].
type Result struct {
	Documents []Document
	Changes   []Change
	Left      []Left
	Read      [databases]int
}

// quoted returns a name as it is, or quoted if it could be mistaken for
// something else on a line.
func quoted(name string) string {
	plain := name != "" && !slices.ContainsFunc([]byte(name), func(b byte) bool { return b <= ' ' || b >= 0x7f || b == '"' || b == '\\' })
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// oneLine keeps a text from being more than a line, or a very long one.
func oneLine(s string) string {
	const most = 1000
	clean := []rune(s)
	for i, r := range clean {
		if !strconv.IsPrint(r) {
			clean[i] = '\ufffd'
		}
	}
	if len(clean) > most {
		return string(clean[:most]) + "…"
	}
	return string(clean)
}

// shown is how people read the name of something of a tenant.
func shown(k bos.SessionKey) string {
	if k.Tenant == "" {
		return k.Name
	}
	return k.Tenant + "/" + k.Name
}

// sortRaws puts documents in an order that does not depend on Redis.
func sortRaws(raws []Raw) []Raw {
	out := slices.Clone(raws)
	slices.SortFunc(out, func(a, b Raw) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// SPDX-License-Identifier: MIT

package legacy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bos/internal/bos"
)

// object is a JSON object whose members keep their order.
type object struct {
	keys    []string
	members map[string]json.RawMessage
}

// parseObject reads an object; of members with the same name the last counts.
func parseObject(raw []byte) (*object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	o := &object{members: map[string]json.RawMessage{}}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, errors.New("it is no JSON")
		}
		name, _ := tok.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("it is no JSON")
		}
		if _, again := o.members[name]; !again {
			o.keys = append(o.keys, name)
		}
		o.members[name] = value
	}
	return o, nil
}

// doc is a document while it is converted.
type doc struct {
	db        Database
	key, name string
	value     []byte
	changes   []Change
	left      []Left
	// whole says that what can't be taken now makes the whole document useless:
	// to leave it out alone would give the rest another meaning.
	whole bool
	// why is set once the document can't be taken.
	why string
}

func newDoc(db Database, raw Raw) *doc {
	d := &doc{db: db, key: raw.Key, name: raw.Key, value: raw.Value, why: raw.Fault}
	if db == Tokens {
		d.name = veiled(raw.Key)
	}
	return d
}

// veiled names a token without giving it away.
func veiled(token string) string {
	const seen = 8
	if len(token) <= seen {
		return "…"
	}
	return strings.ToValidUTF8(token[:seen], "") + "…"
}

// object reads the document; nil if it is none.
func (d *doc) object() *object {
	switch {
	case d.why != "":
		return nil
	case !utf8.Valid(d.value):
		d.refuse("it is not in UTF-8")
		return nil
	case !json.Valid(d.value):
		d.refuse("it is no JSON")
		return nil
	}
	o, err := parseObject(d.value)
	if err != nil {
		d.refuse("%v", err)
		return nil
	}
	return o
}

// refuse gives the whole document up. The first reason counts.
func (d *doc) refuse(format string, args ...any) {
	if d.why == "" {
		d.why = fmt.Sprintf(format, args...)
	}
}

func (d *doc) changed(field, format string, args ...any) {
	d.changes = append(d.changes, Change{Database: d.db, Name: d.name, Field: field, What: fmt.Sprintf(format, args...)})
}

// leave gives a field up, or the document if it is worth nothing without.
func (d *doc) leave(field string, raw []byte, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	if d.whole {
		d.refuse("%s %s", field, why)
		return
	}
	d.left = append(d.left, Left{Database: d.db, Key: d.key, Name: d.name, Field: field, Value: raw, Why: why})
}

// finish adds what was found out to a result, and reports whether the document
// is taken.
func (d *doc) finish(r *Result) bool {
	if d.why != "" {
		r.Left = append(r.Left, Left{Database: d.db, Key: d.key, Name: d.name, Value: d.value, Why: d.why})
		return false
	}
	r.Changes = append(r.Changes, d.changes...)
	r.Left = append(r.Left, d.left...)
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// take removes a member from an object. null is as good as absent.
func (d *doc) take(o *object, path, name string) (json.RawMessage, bool) {
	raw, ok := o.members[name]
	if !ok {
		return nil, false
	}
	delete(o.members, name)
	if string(raw) == "null" {
		d.changed(join(path, name), "dropped: null stands for a field that was never set")
		return nil, false
	}
	return raw, true
}

// drop reports the members that are left: BOS has no such fields.
func (d *doc) drop(o *object, path string) {
	for _, name := range o.keys {
		if _, there := o.members[name]; there {
			d.changed(join(path, name), "dropped: there is no such field")
		}
	}
}

// sub takes a member that is an object.
func (d *doc) sub(o *object, path, name string) (*object, bool) {
	raw, ok := d.take(o, path, name)
	if !ok {
		return nil, false
	}
	in, err := parseObject(raw)
	if err != nil {
		d.leave(join(path, name), raw, "is no object")
		return nil, false
	}
	return in, true
}

// text takes a member that is a text of up to most characters; a number is the
// text that it is written as.
func (d *doc) text(o *object, path, name string, most int) bos.Opt[string] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[string]{}
	}
	field := join(path, name)
	s, ok := textOf(raw)
	switch {
	case !ok:
		d.leave(field, raw, "is no text")
		return bos.Opt[string]{}
	case raw[0] != '"':
		d.changed(field, "a number became a text")
	}
	if n := utf8.RuneCountInString(s); n > most {
		d.leave(field, raw, "has %d characters, at most %d are allowed", n, most)
		return bos.Opt[string]{}
	}
	return bos.Some(s)
}

func textOf(raw json.RawMessage) (string, bool) {
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		return string(raw), true
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// prose takes a text for people, which loses its end if it is too long.
func (d *doc) prose(o *object, path, name string, most int) bos.Opt[string] {
	v := d.text(o, path, name, math.MaxInt)
	s, ok := v.Get()
	if runes := []rune(s); ok && len(runes) > most {
		d.changed(join(path, name), "cut to %d characters; it had %d", most, len(runes))
		return bos.Some(string(runes[:most]))
	}
	return v
}

// parameters takes kernel parameters. They are on one line, so a line break
// stands for the blank between two.
func (d *doc) parameters(o *object, path string) bos.Opt[string] {
	const name = "kernel_parameters"
	v := d.text(o, path, name, maxParameters)
	s, ok := v.Get()
	if !ok || !strings.ContainsAny(s, "\r\n") {
		return v
	}
	d.changed(join(path, name), "line breaks became blanks")
	s = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(strings.Trim(s, "\r\n"))
	return bos.Some(s)
}

// flag takes a boolean, which may be written as a text.
func (d *doc) flag(o *object, path, name string) bos.Opt[bool] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[bool]{}
	}
	switch strings.ToLower(string(raw)) {
	case "true":
		return bos.Some(true)
	case "false":
		return bos.Some(false)
	case `"true"`, `"false"`:
		d.changed(join(path, name), "a text became a boolean")
		return bos.Some(strings.EqualFold(string(raw), `"true"`))
	}
	d.leave(join(path, name), raw, "is neither true nor false")
	return bos.Opt[bool]{}
}

// number takes an integer, which may be written as a text or with a fraction of
// zero. The nearest number that is allowed stands for one out of range.
func (d *doc) number(o *object, path, name string, least, most int) bos.Opt[int] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[int]{}
	}
	field := join(path, name)
	written := strings.TrimSpace(strings.Trim(string(raw), `"`))
	n, err := strconv.Atoi(written)
	if err != nil {
		f, ferr := strconv.ParseFloat(written, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			d.leave(field, raw, "is no integer")
			return bos.Opt[int]{}
		}
		n = int(f)
	}
	if err != nil || raw[0] == '"' {
		d.changed(field, "%s became a plain integer", quoted(string(raw)))
	}
	if clipped := min(max(n, least), most); clipped != n {
		d.changed(field, "%d became %d: it is %d to %d", n, clipped, least, most)
		n = clipped
	}
	return bos.Some(n)
}

// word takes one of a few words, in any letter case.
func word[T ~string](d *doc, o *object, path, name string, words ...T) bos.Opt[T] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[T]{}
	}
	field := join(path, name)
	s, ok := textOf(raw)
	if ok && slices.Contains(words, T(s)) {
		return bos.Some(T(s))
	}
	for _, w := range words {
		if ok && s != "" && strings.EqualFold(strings.TrimSpace(s), string(w)) {
			d.changed(field, "%q became %q", s, w)
			return bos.Some(w)
		}
	}
	d.leave(field, raw, "is none of %q", words)
	return bos.Opt[T]{}
}

// stamp takes a time and writes it as the API does: UTC without a zone.
func (d *doc) stamp(o *object, path, name string) bos.Opt[string] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[string]{}
	}
	field := join(path, name)
	s, ok := textOf(raw)
	if ok && s == "" {
		d.changed(field, "dropped: it is empty")
		return bos.Opt[string]{}
	}
	t, err := bos.ParseTimestamp(s)
	if !ok || err != nil {
		d.leave(field, raw, "is no date and time")
		return bos.Opt[string]{}
	}
	written := bos.Timestamp(t)
	if written != s {
		d.changed(field, "%q became %q", s, written)
	}
	return bos.Some(written)
}

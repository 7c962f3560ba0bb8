// SPDX-License-Identifier: MIT

package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// table is a JSON object whose order counts.
type table struct {
	order  []string
	values map[string]any
}

func newTable() *table { return &table{values: map[string]any{}} }

// names are the keys in their order.
func (t *table) names() []string { return t.order }

func (t *table) get(key string) any { return t.values[key] }

// set keeps the place of a key that is there already.
func (t *table) set(key string, v any) {
	if _, ok := t.values[key]; !ok {
		t.order = append(t.order, key)
	}
	t.values[key] = v
}

// document is a world's document.
type document struct {
	values                    map[string]any
	nodes, groups, partitions *table
	// objects are the contents of S3 as they are served.
	objects map[string][]byte
}

// parse reads a world's document.
func parse(raw []byte) (*document, error) {
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is no object")
	}
	var parts struct {
		Nodes, Groups, Partitions json.RawMessage
		S3                        map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	d := &document{values: m, objects: map[string][]byte{}}
	for _, part := range []struct {
		raw  json.RawMessage
		into **table
	}{{parts.Nodes, &d.nodes}, {parts.Groups, &d.groups}, {parts.Partitions, &d.partitions}} {
		if *part.into, err = ordered(part.raw); err != nil {
			return nil, err
		}
	}
	for name, object := range parts.S3 {
		if d.objects[name], err = dump(object); err != nil {
			return nil, fmt.Errorf("object %s: %w", name, err)
		}
	}
	return d, nil
}

// ordered reads a JSON object, keeping its order.
func ordered(raw json.RawMessage) (*table, error) {
	t := newTable()
	if len(raw) == 0 {
		return t, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.Join(errors.New("an object is wanted"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		t.set(fmt.Sprint(key), v)
	}
	return t, nil
}

// decode reads one JSON value; numbers stay as they are written.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the value")
	}
	return v, nil
}

// dump writes JSON again as the recorder's stub does, since the etags follow
// from it: one space after commas and colons, nothing but ASCII.
func dump(raw []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out bytes.Buffer
	err := dumpValue(d, &out)
	return out.Bytes(), err
}

func dumpValue(d *json.Decoder, out *bytes.Buffer) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return dumpScalar(t, out)
	}
	out.WriteString(delim.String())
	for first := true; d.More(); first = false {
		if !first {
			out.WriteString(", ")
		}
		if err := dumpValue(d, out); err != nil {
			return err
		}
		if delim == '{' {
			out.WriteString(": ")
			if err := dumpValue(d, out); err != nil {
				return err
			}
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, end)
	return err
}

func dumpScalar(t json.Token, out *bytes.Buffer) error {
	s, ok := t.(string)
	if !ok {
		raw, err := json.Marshal(t)
		out.Write(raw)
		return err
	}
	raw, err := encode(s)
	if err != nil {
		return err
	}
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		raw = raw[size:]
		switch {
		case r < utf8.RuneSelf:
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(out, `\u%04x`, r)
		}
	}
	return nil
}

// clone copies a JSON value.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	default:
		return v
	}
}

// truth is whether a knob counts as set: what is empty or 0 does not.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		return number(v) != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return true
	}
}

// number is a knob that is a number; 0 if it is none.
func number(v any) float64 {
	if n, ok := v.(json.Number); ok {
		f, _ := n.Float64()
		return f
	}
	return 0
}

// mapping returns a value that must be an object; the request is not answered
// if it is none.
func mapping(v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	return m
}

// optional is mapping for what may be left out.
func optional(v any) map[string]any {
	if !truth(v) {
		return nil
	}
	return mapping(v)
}

// needed returns a member that must be there.
func needed(m map[string]any, key string) any {
	v, ok := m[key]
	if !ok {
		panic(http.ErrAbortHandler)
	}
	return v
}

// text returns a value that must be a string.
func text(v any) string {
	s, ok := v.(string)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	return s
}

// list returns a value that must be a list.
func list(v any) []any {
	l, ok := v.([]any)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	return l
}

// lower is a value in the words of the recorder's stub, in small letters.
func lower(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ToLower(v)
	case nil:
		return "none"
	default:
		return strings.ToLower(fmt.Sprint(v))
	}
}

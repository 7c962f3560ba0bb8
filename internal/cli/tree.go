// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// kind is what a tree is.
type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// maxDepth bounds how deep documents may be nested, as the API does.
const maxDepth = 100

// tree is a JSON value whose members keep their order: that of boot sets has a
// meaning. Numbers and truth values keep the text they have in JSON.
type tree struct {
	kind kind
	// text is a string, or the JSON of a number or truth value.
	text string
	// keys are the names of an object's members, and items their values or
	// those of an array.
	keys  []string
	items []*tree
}

func stringTree(s string) *tree { return &tree{kind: kindString, text: s} }

func numberTree(s string) *tree { return &tree{kind: kindNumber, text: s} }

func boolTree(b bool) *tree {
	if b {
		return &tree{kind: kindBool, text: "true"}
	}
	return &tree{kind: kindBool, text: "false"}
}

func objectTree() *tree { return &tree{kind: kindObject} }

// parseJSON reads one JSON document. Of members of one name the last counts.
func parseJSON(data []byte) (*tree, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	t, err := readTree(dec, 0)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return t, nil
		}
		err = errors.Join(errors.New("more than one JSON document"), err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	line, column := position(data, dec.InputOffset())
	return nil, fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// position returns where in a text an offset is, counted from 1.
func position(data []byte, offset int64) (line, column int) {
	before := data[:min(int(offset), len(data))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

func readTree(dec *json.Decoder, depth int) (*tree, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case nil:
		return &tree{kind: kindNull}, nil
	case bool:
		return boolTree(v), nil
	case json.Number:
		return numberTree(v.String()), nil
	case string:
		return stringTree(v), nil
	}
	if depth >= maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	t := &tree{kind: kindArray}
	if token == json.Delim('{') {
		t.kind = kindObject
	}
	for dec.More() {
		var key string
		if t.kind == kindObject {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			key, _ = name.(string)
		}
		value, err := readTree(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if t.kind == kindObject {
			t.put(key, value)
		} else {
			t.items = append(t.items, value)
		}
	}
	_, err = dec.Token()
	return t, err
}

// get returns the member of a name, or nil.
func (t *tree) get(key string) *tree {
	if i := slices.Index(t.keys, key); i >= 0 {
		return t.items[i]
	}
	return nil
}

// put replaces the member of a name, or appends it.
func (t *tree) put(key string, value *tree) {
	if i := slices.Index(t.keys, key); i >= 0 {
		t.items[i] = value
		return
	}
	t.keys = append(t.keys, key)
	t.items = append(t.items, value)
}

// remove drops the member of a name.
func (t *tree) remove(key string) {
	if i := slices.Index(t.keys, key); i >= 0 {
		t.keys = slices.Delete(t.keys, i, i+1)
		t.items = slices.Delete(t.items, i, i+1)
	}
}

// set puts a value at a path of members and makes the objects on the way.
func (t *tree) set(value *tree, path ...string) {
	for _, key := range path[:len(path)-1] {
		next := t.get(key)
		if next == nil || next.kind != kindObject {
			next = objectTree()
			t.put(key, next)
		}
		t = next
	}
	t.put(path[len(path)-1], value)
}

// appendJSON appends the value in JSON.
func (t *tree) appendJSON(dst []byte) []byte {
	switch t.kind {
	case kindNull:
		return append(dst, "null"...)
	case kindBool, kindNumber:
		return append(dst, t.text...)
	case kindString:
		return appendString(dst, t.text)
	case kindArray, kindObject:
	}
	open, shut := byte('['), byte(']')
	if t.kind == kindObject {
		open, shut = '{', '}'
	}
	dst = append(dst, open)
	for i, one := range t.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if t.kind == kindObject {
			dst = append(appendString(dst, t.keys[i]), ':')
		}
		dst = one.appendJSON(dst)
	}
	return append(dst, shut)
}

// JSON returns the value in JSON.
func (t *tree) JSON() []byte { return t.appendJSON(nil) }

// appendString appends a text as a JSON string, with <, > and & as they are.
func appendString(dst []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		// Strings are always encoded.
		panic(err)
	}
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// SPDX-License-Identifier: MIT

// Package replay plays recordings of the original service again, against a BOS
// of this tree in the stub world: scenarios of the API, request by request, and
// traces of the operators.
package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// object is a JSON object whose order counts, with members as they are
// written: boot sets and nodes have an order.
type object struct {
	order   []string
	members map[string]json.RawMessage
}

func parseObject(raw json.RawMessage) (*object, error) {
	o := &object{members: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.Join(errors.New("an object is wanted"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		o.set(fmt.Sprint(key), v)
	}
	return o, nil
}

func (o *object) set(key string, v json.RawMessage) {
	if _, ok := o.members[key]; !ok {
		o.order = append(o.order, key)
	}
	o.members[key] = v
}

// MarshalJSON keeps the order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range o.order {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(o.members[key])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// isObject reports whether a value is an object.
func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}

// merge puts the members of patch into those of doc; objects are merged so many
// levels deep, everything else is replaced.
func merge(doc, patch json.RawMessage, deep int) (json.RawMessage, error) {
	if deep == 0 || !isObject(doc) || !isObject(patch) {
		return patch, nil
	}
	into, err := parseObject(doc)
	if err != nil {
		return nil, err
	}
	from, err := parseObject(patch)
	if err != nil {
		return nil, err
	}
	for _, key := range from.order {
		merged, err := merge(into.members[key], from.members[key], deep-1)
		if err != nil {
			return nil, err
		}
		into.set(key, merged)
	}
	return json.Marshal(into)
}

// keep leaves only some members of an object.
func keep(doc json.RawMessage, names []string) (json.RawMessage, error) {
	all, err := parseObject(doc)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	left := &object{members: map[string]json.RawMessage{}}
	for _, key := range all.order {
		if wanted[key] {
			left.set(key, all.members[key])
		}
	}
	return json.Marshal(left)
}

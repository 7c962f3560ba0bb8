// SPDX-License-Identifier: MIT

package bos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// BootSets are the boot sets of a template by name, in the order in which they
// were first sent. Set-up and messages follow that order for ever.
type BootSets struct {
	names []string
	sets  map[string]BootSet
}

// Len returns how many boot sets there are.
func (b BootSets) Len() int { return len(b.names) }

// Get returns the boot set of a name.
func (b BootSets) Get(name string) (BootSet, bool) {
	set, ok := b.sets[name]
	return set, ok
}

// Set replaces the boot set of a name, or appends it.
func (b *BootSets) Set(name string, set BootSet) {
	if b.sets == nil {
		b.sets = map[string]BootSet{}
	}
	if _, ok := b.sets[name]; !ok {
		b.names = append(b.names, name)
	}
	b.sets[name] = set
}

// All walks over the boot sets in order.
func (b BootSets) All() iter.Seq2[string, BootSet] {
	return func(yield func(string, BootSet) bool) {
		for _, name := range b.names {
			if !yield(name, b.sets[name]) {
				return
			}
		}
	}
}

func (b BootSets) clone() BootSets {
	out := BootSets{names: slices.Clone(b.names), sets: make(map[string]BootSet, len(b.sets))}
	for name, set := range b.sets {
		out.sets[name] = set
	}
	return out
}

// Equal reports whether two maps hold the same boot sets in the same order.
func (b BootSets) Equal(o BootSets) bool {
	x, errX := json.Marshal(b)
	y, errY := json.Marshal(o)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// MarshalJSON writes an object with its members in order.
func (b BootSets) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, name := range b.names {
		if i > 0 {
			out = append(out, ',')
		}
		set, err := json.Marshal(b.sets[name])
		if err != nil {
			return nil, fmt.Errorf("boot set %q: %w", name, err)
		}
		out = appendString(out, name)
		out = append(out, ':')
		out = append(out, set...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads an object and keeps the order of its members.
func (b *BootSets) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return errors.New("boot_sets must be an object")
	}
	*b = BootSets{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return fmt.Errorf("boot_sets: %w", err)
		}
		name, _ := tok.(string)
		var set BootSet
		if err := dec.Decode(&set); err != nil {
			return fmt.Errorf("boot set %q: %w", name, err)
		}
		b.Set(name, set)
	}
	return nil
}

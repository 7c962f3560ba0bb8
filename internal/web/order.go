// SPDX-License-Identifier: MIT

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// namedSet is a boot set with its name.
type namedSet struct {
	Name string
	bootSet
}

// orderedSets are boot sets in the order of their template, which set-up follows.
type orderedSets []namedSet

// UnmarshalJSON implements [json.Unmarshaler].
func (o *orderedSets) UnmarshalJSON(data []byte) error {
	*o = nil
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t == nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("read boot sets: %w", err)
		}
		set := namedSet{Name: fmt.Sprint(name)}
		if err := dec.Decode(&set.bootSet); err != nil {
			return fmt.Errorf("read the boot set %s: %w", set.Name, err)
		}
		*o = append(*o, set)
	}
	return nil
}

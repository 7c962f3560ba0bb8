// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/json"
	"fmt"
)

// MaxTemplate is how many bytes of JSON a template may have. A boot set with as
// many nodes as the contract allows, with the longest names, fits.
const MaxTemplate = 16 << 20

// storedTemplate is a [TemplateRecord] as it is stored: plain, or packed with
// gzip.
type storedTemplate struct {
	Plain  *Template `json:"doc,omitempty"`
	Packed []byte    `json:"packed,omitempty"`
}

// MarshalJSON writes the record as it is stored. A template with more than
// [MaxTemplate] bytes is an error with [CodeTooLarge].
func (r TemplateRecord) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(r.Template)
	if err != nil {
		return nil, fmt.Errorf("encode a template: %w", err)
	}
	switch {
	case len(data) > MaxTemplate:
		return nil, Errorf(CodeTooLarge, "the template has %d bytes; at most %d are stored", len(data), MaxTemplate)
	case len(data) <= packAbove:
		return json.Marshal(storedTemplate{Plain: &r.Template})
	}
	packed, err := pack(data)
	if err != nil {
		return nil, fmt.Errorf("pack a template: %w", err)
	}
	return json.Marshal(storedTemplate{Packed: packed})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *TemplateRecord) UnmarshalJSON(data []byte) error {
	var stored storedTemplate
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*r = TemplateRecord{}
	if stored.Plain != nil {
		r.Template = *stored.Plain
		return nil
	}
	plain, err := unpack(stored.Packed, MaxTemplate)
	if err != nil {
		return fmt.Errorf("unpack a template: %w", err)
	}
	return json.Unmarshal(plain, &r.Template)
}

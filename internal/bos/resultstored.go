// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/json"
	"fmt"
)

// StoredResult is the result of a session that is complete, as it was then: its
// nodes may since have gone to other sessions. UID is the session's.
type StoredResult struct {
	UID    string
	Result Result
}

// maxResult is how many bytes of JSON a result may have: the names of more nodes
// than there are anywhere fit.
const maxResult = 64 << 20

// storedResult is a [StoredResult] as it is stored: plain, or packed.
type storedResult struct {
	UID    string  `json:"uid"`
	Plain  *Result `json:"doc,omitempty"`
	Packed []byte  `json:"packed,omitempty"`
}

// MarshalJSON writes the result as it is stored.
func (r StoredResult) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(r.Result)
	if err != nil {
		return nil, fmt.Errorf("encode a result: %w", err)
	}
	if len(data) <= packAbove {
		return json.Marshal(storedResult{UID: r.UID, Plain: &r.Result})
	}
	packed, err := pack(data)
	if err != nil {
		return nil, fmt.Errorf("pack a result: %w", err)
	}
	return json.Marshal(storedResult{UID: r.UID, Packed: packed})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *StoredResult) UnmarshalJSON(data []byte) error {
	var stored storedResult
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*r = StoredResult{UID: stored.UID}
	if stored.Plain != nil {
		r.Result = *stored.Plain
		return nil
	}
	plain, err := unpack(stored.Packed, maxResult)
	if err != nil {
		return fmt.Errorf("unpack a result: %w", err)
	}
	return json.Unmarshal(plain, &r.Result)
}

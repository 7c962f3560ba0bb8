// SPDX-License-Identifier: MIT

package bos

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Opt is a value that may be absent. The API tells absent, null and empty
// apart: a field that was never set is left out of answers. The zero value is
// absent; with the tag option omitzero it is not encoded.
type Opt[T any] struct {
	value T
	set   bool
}

// Some returns a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{value: v, set: true} }

// Get returns the value and whether it is present.
func (o Opt[T]) Get() (T, bool) { return o.value, o.set }

// Or returns the value, or def if it is absent.
func (o Opt[T]) Or(def T) T {
	if o.set {
		return o.value
	}
	return def
}

// Value returns the value, or T's zero value if it is absent.
func (o Opt[T]) Value() T { return o.value }

// IsSet reports whether the value is present.
func (o Opt[T]) IsSet() bool { return o.set }

// IsZero reports whether the value is absent (for omitzero).
func (o Opt[T]) IsZero() bool { return !o.set }

// MarshalJSON encodes the value alone.
func (o Opt[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.value) }

// UnmarshalJSON makes the value present. null is an error: no field of the API
// that may be absent may also be null.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return errors.New("null is not a value here")
	}
	o.set = true
	return json.Unmarshal(data, &o.value)
}

// overlay returns over if it is present, else o.
func (o Opt[T]) overlay(over Opt[T]) Opt[T] {
	if over.set {
		return over
	}
	return o
}

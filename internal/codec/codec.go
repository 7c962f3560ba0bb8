// SPDX-License-Identifier: MIT

// Package codec reads components as clients send them, with members in any
// order: several times as fast as encoding/json does, which finds its way through
// types with methods of their own value by value, and with one copy of each text
// that many components of a body share.
package codec

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bos/internal/bos"
)

// Decoder reads documents in which there are components. What it accepts and
// what it makes of it is what encoding/json would, of texts that are JSON in
// valid UTF-8 and have no member twice; member names have to match in their
// case.
//
// It may be used by as many goroutines at a time as its texts may be.
type Decoder struct {
	opts json.Options
}

// NewDecoder returns a decoder. Texts but the id come from texts; nil makes new
// ones.
func NewDecoder(texts bos.Texts) *Decoder {
	if texts == nil {
		texts = func(b []byte) string { return string(b) }
	}
	return &Decoder{opts: json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		json.WithUnmarshalers(json.JoinUnmarshalers(
			text[string](texts), text[bos.Phase](texts), text[bos.Action](texts),
			json.UnmarshalFromFunc(boolean), json.UnmarshalFromFunc(number),
			object[bos.BootArtifacts](), object[bos.ActualState](), object[bos.DesiredState](), object[bos.StagedState](),
			object[bos.LastAction](), object[bos.EventStats](), object[bos.Status](),
		)),
	)}
}

// Decode reads a document. The error says what is wrong with it.
func (d *Decoder) Decode(data []byte, into any) error { return json.Unmarshal(data, into, d.opts) }

// errNull is what a null meets: no field of a component that may be absent may
// also be null.
var errNull = errors.New("null is not a value here")

// text reads an optional text.
func text[T ~string](texts bos.Texts) *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into *bos.Opt[T]) error {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if raw.Kind() != '"' {
			return wrongKind(raw, "a string")
		}
		plain := raw[1 : len(raw)-1]
		if bytes.IndexByte(raw, '\\') >= 0 {
			if plain, err = jsontext.AppendUnquote(nil, raw); err != nil {
				return err
			}
		}
		*into = bos.Some(T(texts(plain)))
		return nil
	})
}

func wrongKind(raw jsontext.Value, wanted string) error {
	if raw.Kind() == 'n' {
		return errNull
	}
	return fmt.Errorf("%s is expected, not %s", wanted, raw.Kind())
}

func boolean(dec *jsontext.Decoder, into *bos.Opt[bool]) error {
	raw, err := dec.ReadToken()
	if err != nil {
		return err
	}
	switch raw.Kind() {
	case 't', 'f':
		*into = bos.Some(raw.Bool())
		return nil
	case 'n':
		return errNull
	default:
		return fmt.Errorf("a boolean is expected, not %s", raw.Kind())
	}
}

func number(dec *jsontext.Decoder, into *bos.Opt[int]) error {
	if dec.PeekKind() == 'n' {
		return errNull
	}
	var n int
	if err := json.UnmarshalDecode(dec, &n); err != nil {
		return err
	}
	*into = bos.Some(n)
	return nil
}

// object reads an optional object.
func object[T any]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into *bos.Opt[T]) error {
		if dec.PeekKind() == 'n' {
			return errNull
		}
		var value T
		if err := json.UnmarshalDecode(dec, &value); err != nil {
			return err
		}
		*into = bos.Some(value)
		return nil
	})
}

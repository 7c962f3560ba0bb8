// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Stream is an answer in JSON that is read while it arrives. It must be
// closed.
type Stream struct {
	body io.ReadCloser
}

// List makes a stream of items.
func List(items []json.RawMessage) *Stream {
	text := []byte{'['}
	for i, one := range items {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, one...)
	}
	return &Stream{body: io.NopCloser(bytes.NewReader(append(text, ']')))}
}

// Read reads the JSON as the server sent it.
func (s *Stream) Read(p []byte) (int, error) { return s.body.Read(p) }

// Close ends the answer, whether it was read or not.
func (s *Stream) Close() error { return s.body.Close() }

// Raw reads the answer as one document.
func (s *Stream) Raw() (json.RawMessage, error) {
	raw, err := io.ReadAll(io.LimitReader(s, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxDocument:
		return nil, fmt.Errorf("the answer is longer than %d MiB", maxDocument>>20)
	case !json.Valid(raw):
		return nil, fmt.Errorf("the answer is not JSON: %q", firstLine(raw))
	}
	return raw, nil
}

// Each decodes the items of a list one by one, and closes it at the end. After
// an error there are no more items. With [json.RawMessage] items come as they
// are.
func Each[T any](s *Stream) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer s.Close()
		var none T
		dec := json.NewDecoder(s)
		switch token, err := dec.Token(); {
		case err != nil:
			yield(none, listError(err))
			return
		case token != json.Delim('['):
			yield(none, errors.New("the answer is not a list"))
			return
		}
		for dec.More() {
			var one T
			if err := dec.Decode(&one); err != nil {
				yield(none, listError(err))
				return
			}
			if !yield(one, nil) {
				return
			}
		}
		// A list that broke off has no bracket at its end.
		if _, err := dec.Token(); err != nil {
			yield(none, listError(err))
		}
	}
}

func listError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the list: %w", err)
}

// Decode decodes a document.
func Decode[T any](raw json.RawMessage) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("the answer is not what was expected: %w", err)
	}
	return v, nil
}

// joined is a list that is made of several answers, each of them asked for
// once the one before was read.
type joined struct {
	next    func() (json.RawMessage, error, bool)
	stop    func()
	pending []byte
	count   int
	done    bool
}

// join makes one stream of the lists that more returns; nil is the last.
func join(first *Stream, more func() (*Stream, error)) *Stream {
	next, stop := iter.Pull2(func(yield func(json.RawMessage, error) bool) {
		for list := first; list != nil; {
			for one, err := range Each[json.RawMessage](list) {
				if !yield(one, err) || err != nil {
					return
				}
			}
			var err error
			if list, err = more(); err != nil {
				yield(nil, err)
				return
			}
		}
	})
	return &Stream{body: &joined{next: next, stop: stop, pending: []byte{'['}}}
}

func (j *joined) Read(p []byte) (int, error) {
	if len(j.pending) == 0 {
		if j.done {
			return 0, io.EOF
		}
		one, err, ok := j.next()
		switch {
		case err != nil:
			return 0, err
		case !ok:
			j.pending, j.done = []byte("]\n"), true
		default:
			j.pending = j.pending[:0]
			if j.count > 0 {
				j.pending = append(j.pending, ',')
			}
			j.pending = append(j.pending, one...)
			j.count++
		}
	}
	n := copy(p, j.pending)
	j.pending = j.pending[n:]
	return n, nil
}

func (j *joined) Close() error {
	j.stop()
	return nil
}

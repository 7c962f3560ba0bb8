// SPDX-License-Identifier: MIT

package bos

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// packAbove is the size in bytes of JSON from which a document that names many
// nodes is stored packed: it may be longer than what a store takes in one
// document, and is much the same name again and again.
const packAbove = 128 << 10

// pack compresses JSON.
func pack(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// unpack returns what pack compressed, which may have at most so many bytes.
func unpack(packed []byte, most int) ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(plain) > most:
		return nil, fmt.Errorf("it has more than %d bytes", most)
	}
	return plain, nil
}

// SPDX-License-Identifier: MIT

package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"bos/internal/view"
)

const (
	contentTypeJSON = "application/json"
	// streamBuffer is how many bytes of a list are sent at once.
	streamBuffer = 64 << 10
	// nodesBuffer is the same for components, of which there are many: each piece
	// costs a system call here and wakes the client. Only so many lists at a time
	// have one, so that clients that don't read can't take much memory.
	nodesBuffer = 512 << 10
	wideLists   = 32
)

// json answers with a value.
func (x *exchange) json(status int, value any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	x.bytes(status, contentTypeJSON, body.Bytes())
	return nil
}

// bytes answers with a body that is at hand. Whether the client took it is its
// own affair.
func (x *exchange) bytes(status int, contentType string, body []byte) {
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body)
}

// none answers 204.
func (x *exchange) none() { x.w.WriteHeader(http.StatusNoContent) }

// nodes answers with a list of components, joined from what the view has
// encoded.
func (s *server) nodes(x *exchange, list []*view.Node) {
	length := len("[]") + max(0, len(list)-1)
	for _, n := range list {
		length += n.Size()
	}
	x.w.Header().Set("Content-Type", contentTypeJSON)
	x.w.Header().Set("Content-Length", strconv.Itoa(length))
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return
	}
	piece := streamBuffer
	if s.wide.Add(1) <= wideLists {
		piece = nodesBuffer
	}
	defer s.wide.Add(-1)
	out := s.buffers.Get()
	defer s.buffers.Put(out)
	*out = append(*out, '[')
	for i, n := range list {
		if i > 0 {
			*out = append(*out, ',')
		}
		*out = n.AppendJSON(*out)
		if len(*out) >= piece {
			if _, err := x.w.Write(*out); err != nil {
				return
			}
			*out = (*out)[:0]
		}
	}
	*out = append(*out, ']')
	_, _ = x.w.Write(*out)
}

// node answers with one component.
func (s *server) node(x *exchange, n *view.Node) {
	out := s.buffers.Get()
	defer s.buffers.Put(out)
	*out = n.AppendJSON(*out)
	x.bytes(http.StatusOK, contentTypeJSON, *out)
}

// maxBuffer is the size in bytes of the largest buffer that is kept.
const maxBuffer = 2 * nodesBuffer

// list answers with a list whose items are encoded one after the other, so that
// a long one never is in memory as a whole.
func list[T any](x *exchange, items []T, encode func(dst []byte, item T) ([]byte, error)) error {
	var first []byte
	var err error
	if len(items) > 0 {
		// Before the header is out a failure still can be told.
		if first, err = encode(nil, items[0]); err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
	}
	x.w.Header().Set("Content-Type", contentTypeJSON)
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	out := bufio.NewWriterSize(&x.w, streamBuffer)
	_ = out.WriteByte('[')
	buf := first
	for i, item := range items {
		if i > 0 {
			_ = out.WriteByte(',')
			if buf, err = encode(buf[:0], item); err != nil {
				return fmt.Errorf("encode the answer: %w", err)
			}
		}
		if _, err := out.Write(buf); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
	}
	_, _ = out.WriteString("]\n")
	_ = out.Flush()
	return nil
}

// decode reads a body that the front has checked.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode a body that was checked: %w", err)
	}
	return nil
}

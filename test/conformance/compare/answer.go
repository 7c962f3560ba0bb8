// SPDX-License-Identifier: MIT

package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Expect is what an answer must be.
type Expect struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Body        any    `json:"body"`
}

// Answer is what the service said.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// Decode reads one JSON value.
func Decode(raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("it is not text in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the value")
	}
	return v, nil
}

// Value is the body of an answer: nil if there is none, and an object that
// stands for plain text if it is not JSON.
func (a Answer) Value() any {
	if len(a.Body) == 0 {
		return nil
	}
	v, err := Decode(a.Body)
	if err != nil {
		return map[string]any{plainText: strings.ToValidUTF8(string(a.Body), "\uFFFD")}
	}
	return v
}

// Answer returns how an answer to a request differs from what is expected. dev
// is the deviation that is declared for it, or nil.
func (r Rules) Answer(method string, want Expect, got Answer, dev *Accept) []string {
	body := got.Value()
	if dev != nil {
		return r.deviating(*dev, got.Status, body)
	}
	if want.Status == http.StatusInternalServerError {
		return crash(got.Status, body)
	}
	var out []string
	if got.Status != want.Status {
		out = append(out, fmt.Sprintf("status: want %d, got %d", want.Status, got.Status))
	}
	// The content type of an empty body, and of OPTIONS, is not compared (D20).
	if want.Body != nil && method != http.MethodOptions && mediaType(got.ContentType) != mediaType(want.ContentType) {
		out = append(out, fmt.Sprintf("content type: want %s, got %s", want.ContentType, got.ContentType))
	}
	wanted := want.Body
	if problem, ok := want.Body.(map[string]any); ok && want.Status >= http.StatusBadRequest && problem["title"] != nil {
		var bad []string
		wanted, bad = ownDetail(problem, body)
		out = append(out, bad...)
	}
	return append(out, r.Match(wanted, body, "body")...)
}

// mediaType is a content type without its parameters.
func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// deviating compares an answer with what a deviation declares.
func (r Rules) deviating(dev Accept, status int, body any) []string {
	var out []string
	if !dev.allows(status) {
		out = append(out, fmt.Sprintf("status: want one of %v (deviation), got %d", dev.Status, status))
	}
	if dev.hasBody {
		out = append(out, r.Match(dev.Body, body, "body")...)
	}
	return out
}

// crash is about what made the original fail: ours has an answer, or names the
// dependency that is away, and speaks in words of its own.
func crash(status int, body any) []string {
	var out []string
	if (status < 100 || status >= 500) && status != http.StatusServiceUnavailable {
		out = append(out, fmt.Sprintf("status: the original crashed (500); want one below 500, or 503, got %d", status))
	}
	if status >= http.StatusBadRequest {
		m, _ := body.(map[string]any)
		if bad := Words(m["detail"], ""); bad != "" {
			out = append(out, "body.detail: "+bad)
		}
	}
	return out
}

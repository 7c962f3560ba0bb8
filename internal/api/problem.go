// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"bos/internal/bos"
)

const (
	contentTypeProblem = "application/problem+json"
	typeBlank          = "about:blank"
)

// The titles of problems.
const (
	titleBadRequest   = "Bad Request"
	titleTenant       = "Invalid tenant"
	titleUnauthorized = "Unauthorized"
	titleForbidden    = "Forbidden"
	titleNotFound     = "The resource was not found"
	titleNoPath       = "Not Found"
	titleMethod       = "Method Not Allowed"
	titleConflict     = "Conflict"
	titleExists       = "The resource to be created already exists"
	titleActualState  = "Actual state can not be updated."
	titleTooLarge     = "Request Entity Too Large"
	titleMedia        = "Unsupported Media Type"
	titleTooMany      = "Too Many Requests"
	titleTooSlow      = "Request Timeout"
	titleHeader       = "Request Header Fields Too Large"
	titleInternal     = "Internal Server Error"
	titleUnavailable  = "Service Unavailable"
)

// Details that stand for what is nobody's business outside.
const (
	detailInternal = "an internal problem; the service's log says more"
	detailConflict = "it was changed by others at the same moment; try again"
	detailGivenUp  = "the request was given up before it could be answered"
)

// problemDocument is what a client learns of a failure (RFC 9457). Every field
// is always there: some clients can't do without.
type problemDocument struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// statusOf returns the status and the usual title of a code.
func statusOf(code bos.Code) (int, string) {
	switch code {
	case bos.CodeInvalid:
		return http.StatusBadRequest, titleBadRequest
	case bos.CodeUnauthenticated:
		return http.StatusUnauthorized, titleUnauthorized
	case bos.CodeForbidden:
		return http.StatusForbidden, titleForbidden
	case bos.CodeNotFound:
		return http.StatusNotFound, titleNotFound
	case bos.CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed, titleMethod
	case bos.CodeConflict:
		return http.StatusConflict, titleConflict
	case bos.CodeTooLarge:
		return http.StatusRequestEntityTooLarge, titleTooLarge
	case bos.CodeUnsupportedMedia:
		return http.StatusUnsupportedMediaType, titleMedia
	case bos.CodeTooMany:
		return http.StatusTooManyRequests, titleTooMany
	case bos.CodeTooSlow:
		return http.StatusRequestTimeout, titleTooSlow
	case bos.CodeHeaderTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge, titleHeader
	case bos.CodeUnavailable:
		return http.StatusServiceUnavailable, titleUnavailable
	case bos.CodeInternal:
	}
	return http.StatusInternalServerError, titleInternal
}

// describe turns an error into what a client may know of it.
func describe(err error) problemDocument {
	var e *bos.Error
	if !errors.As(err, &e) {
		e = &bos.Error{Code: bos.CodeInternal}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			e = &bos.Error{Code: bos.CodeUnavailable, Message: detailGivenUp}
		}
	}
	d := problemDocument{Type: typeBlank, Detail: e.Message}
	d.Status, d.Title = statusOf(e.Code)
	if e.Title != "" {
		d.Title = e.Title
	}
	switch {
	case d.Status == http.StatusInternalServerError:
		d.Detail = detailInternal
	case e.Code == bos.CodeConflict && e.Title == "":
		// Its words name documents of the store.
		d.Detail = detailConflict
	case e.Dependency != "" && !strings.Contains(d.Detail, e.Dependency):
		d.Detail = strings.TrimSuffix(e.Dependency+" is not available: "+d.Detail, ": ")
	case d.Detail == "":
		d.Detail = strings.ToLower(d.Title)
	}
	d.Detail = strings.Map(shownRune, d.Detail)
	return d
}

// shownRune replaces control characters, which ids of components may have: a
// detail ends up on terminals.
func shownRune(r rune) rune {
	if unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// problem answers a request that failed; it is the one place where errors become
// answers. It reports whether that was possible: not once an answer has begun.
func (s *server) problem(x *exchange, err error) bool {
	d := describe(err)
	log := slog.Any("error", err)
	switch {
	case d.Status == http.StatusInternalServerError:
		s.log.ErrorContext(x.ctx(), "a request failed", slog.String("method", x.r.Method), log)
	case d.Status == http.StatusServiceUnavailable && x.ctx().Err() == nil:
		s.log.WarnContext(x.ctx(), "a request could not be answered", slog.String("method", x.r.Method), log)
	}
	if x.w.status != 0 {
		return false
	}
	x.retryAfter(err)
	body, err := json.Marshal(d)
	if err != nil {
		// Three texts and a number always have a form in JSON.
		s.log.ErrorContext(x.ctx(), "a problem could not be written", slog.Any("error", err))
	}
	x.bytes(d.Status, contentTypeProblem, append(body, '\n'))
	return true
}

// fits replaces the store's words for a document that is too large for it.
func fits(err error, what string) error {
	if bos.CodeOf(err) != bos.CodeTooLarge {
		return err
	}
	return &bos.Error{Code: bos.CodeTooLarge, Message: "request body: with it, " + what + " would be too large to be stored", Err: err}
}

// SPDX-License-Identifier: MIT

package bos

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure an [Error] is. The API turns each code into
// one HTTP status; operators decide by it whether to wait, to retry or to give
// up.
type Code string

// The codes. There are no others.
const (
	CodeNotFound         Code = "not_found"
	CodeConflict         Code = "conflict"
	CodeInvalid          Code = "invalid"
	CodeUnauthenticated  Code = "unauthenticated"
	CodeForbidden        Code = "forbidden"
	CodeTooLarge         Code = "too_large"
	CodeTooMany          Code = "too_many"
	CodeTooSlow          Code = "too_slow"
	CodeHeaderTooLarge   Code = "header_too_large"
	CodeUnsupportedMedia Code = "unsupported_media"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeUnavailable      Code = "unavailable"
	CodeInternal         Code = "internal"
)

// Error is the one error type that crosses package borders. Message is written
// for the person who made the request or watches the node: it names the field,
// the node or the dependency and holds nothing internal. Err is for the log.
type Error struct {
	Code Code
	// Title overrides the title that the API gives to Code ("" keeps it).
	Title string
	// Message is the detail shown to users.
	Message string
	// Dependency names the service that failed, in lower case ("pcs",
	// "store"); set with CodeUnavailable.
	Dependency string
	// RetryAfter is how long to wait before the same may do; 0 says nothing.
	RetryAfter time.Duration
	// Err is the cause, for the log only.
	Err error
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	if e.Message == "" {
		return e.Err.Error()
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first [Error] in err's chain; CodeInternal if
// there is none and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// IsNotFound reports whether err says that something does not exist.
func IsNotFound(err error) bool { return CodeOf(err) == CodeNotFound }

// IsConflict reports whether err says that something changed or exists already.
func IsConflict(err error) bool { return CodeOf(err) == CodeConflict }

// IsUnavailable reports whether err says that a dependency is away.
func IsUnavailable(err error) bool { return CodeOf(err) == CodeUnavailable }

// Errorf makes an [Error] of a code with a message for users.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Unavailable makes the error for a dependency that is away.
func Unavailable(dependency string, cause error) *Error {
	return &Error{
		Code:       CodeUnavailable,
		Message:    dependency + " is not available",
		Dependency: dependency,
		Err:        cause,
	}
}

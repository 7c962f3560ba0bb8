// SPDX-License-Identifier: MIT

package call

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"bos/internal/bos"
)

// Kind says what became of a call.
type Kind int

// The kinds. An operator counts an attempt when it was Refused, waits for the
// service when it was Away, and records nothing when it was Canceled.
const (
	// None is no failure.
	None Kind = iota
	// Refused is an answer that says no: a 4xx other than 408 and 429.
	Refused
	// Away is no usable answer: no connection, a time-out, 408, 429, 5xx, a
	// redirect, a body that can't be understood, or a breaker that is open.
	Away
	// Canceled is a call that its caller gave up.
	Canceled
)

// String returns the kind in lower case, as metrics show it.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Refused:
		return "refused"
	case Away:
		return "away"
	case Canceled:
		return "canceled"
	default:
		return "unknown"
	}
}

// ErrUnsupported says that the service has no such function, so that the
// caller must do without it. errors.Is finds [errors.ErrUnsupported] too.
var ErrUnsupported = fmt.Errorf("the service has no such function: %w", errors.ErrUnsupported)

// Error is the failure of one call. Its text, and that of the [bos.Error] that
// errors.As finds in it, is fit for users: it holds no address and nothing of
// the program's insides. Those are in Err.
type Error struct {
	// Service is the service in lower case.
	Service string
	// Operation is the request's name.
	Operation string
	Kind      Kind
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Words is what the service said, cleaned for users, at most 300
	// characters; "" if it said nothing.
	Words string
	// MaybeDone says that the request may have been carried out although it
	// failed: it was sent and no answer came, or the answer was a 5xx.
	MaybeDone bool
	// Err is the cause, for the log.
	Err error

	// reason is our own description of why there was no usable answer.
	reason string
	// transient failures are worth another try.
	transient bool
	// late failures are answers that did not come in time.
	late bool
	// blameless failures say nothing about the service's health.
	blameless bool
}

// Error describes the failure in words that users may see.
func (e *Error) Error() string {
	return e.Service + " " + e.Operation + ": " + e.describe()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// As lets errors.As find the [bos.Error] that the API and the operators work
// with: unavailable with the dependency for Away, invalid for Refused. A
// canceled call is none: errors.Is finds the context's error in it.
func (e *Error) As(target any) bool {
	out, ok := target.(**bos.Error)
	if !ok {
		return false
	}
	switch e.Kind {
	case Away:
		u := bos.Unavailable(e.Service, e)
		u.Message += ": " + e.describe()
		*out = u
		return true
	case Refused:
		*out = &bos.Error{Code: bos.CodeInvalid, Message: e.Service + " " + e.describe(), Err: e}
		return true
	case None, Canceled:
		return false
	default:
		return false
	}
}

// LogValue shows the failure with its cause, which Error keeps back.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("service", e.Service),
		slog.String("operation", e.Operation),
		slog.String("kind", e.Kind.String()),
		slog.String("reason", e.describe()),
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if e.MaybeDone {
		attrs = append(attrs, slog.Bool("maybe_done", true))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// describe says what happened without naming the service.
func (e *Error) describe() string {
	switch {
	case e.Kind == Canceled:
		return "canceled"
	case e.Kind == Refused && e.Words != "":
		return "refused: " + e.Words
	case e.Kind == Refused:
		return fmt.Sprintf("refused: status %d", e.Status)
	case e.reason != "":
		return e.reason
	case e.Words != "":
		return fmt.Sprintf("status %d: %s", e.Status, e.Words)
	case e.Status != 0:
		return fmt.Sprintf("status %d", e.Status)
	default:
		return "no answer"
	}
}

// IsAway reports whether err is a call that got no usable answer.
func IsAway(err error) bool { return kindOf(err) == Away }

// IsRefused reports whether err is a call that the service refused.
func IsRefused(err error) bool { return kindOf(err) == Refused }

// StatusOf returns the HTTP status of the failed call in err; 0 if there is
// none.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// WordsOf returns what the service said in the failed call in err; "" if it
// said nothing.
func WordsOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Words
	}
	return ""
}

func kindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return None
}

// Answered makes the error for an answer with a status other than 2xx. words
// is what the service said; it is cleaned here. Names of service and operation
// are filled in by [Service.Run].
func Answered(status int, words string, cause error) *Error {
	e := &Error{Status: status, Words: Clean(words), Err: cause}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		// Our credentials are the matter, an expired token as a rule, and not
		// what was asked for: no node may pay for that.
		e.Kind, e.reason = Away, "it does not accept our credentials"
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		e.Kind = Refused
	default:
		e.Kind = Away
		e.MaybeDone = status >= 500
		e.transient = status == http.StatusBadGateway ||
			status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
	}
	return e
}

// Garbage makes the error for an answer that arrived with a good status and
// makes no sense. What was asked for may well have been done.
func Garbage(status int, cause error) *Error {
	return &Error{
		Kind: Away, Status: status, MaybeDone: true, Err: cause,
		reason: "its answer can't be understood",
	}
}

// Garbage is [Garbage] with the names filled in, for clients that find the
// fault after the call.
func (s *Service) Garbage(operation string, cause error) *Error {
	e := Garbage(http.StatusOK, cause)
	e.Service, e.Operation = s.cfg.Name, operation
	return e
}

// Reject makes the error for a request that the service is known to refuse, so
// that it need not be asked. [Bisect] treats it like the service's own refusal
// with status 400.
func (s *Service) Reject(operation, words string) error {
	e := Answered(http.StatusBadRequest, words, nil)
	e.Service, e.Operation = s.cfg.Name, operation
	return e
}

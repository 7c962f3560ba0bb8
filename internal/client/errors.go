// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"
)

// maxProblem bounds how much of an answer that is an error is read.
const maxProblem = 1 << 20

// Problem is an answer of the server that is an error.
type Problem struct {
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Title is the kind of problem in a few words. For an answer that is no
	// problem document it is the status line.
	Title string `json:"title"`
	// Detail is what is wrong with this request. For an answer that is no
	// problem document it is the first line.
	Detail string `json:"detail"`
}

// Error returns title and detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// IsNotFound reports whether an error says that there is no such thing.
func IsNotFound(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// problemOf makes a Problem of an answer that is no success.
func problemOf(res *http.Response) *Problem {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	p := &Problem{}
	if err == nil && isJSON(res.Header.Get("Content-Type")) &&
		json.Unmarshal(body, p) == nil && (p.Title != "" || p.Detail != "") {
		p.Status = res.StatusCode
		if p.Title == "" {
			p.Title = statusLine(res)
		}
		return p
	}
	p = &Problem{Status: res.StatusCode, Title: statusLine(res), Detail: firstLine(body)}
	if to := res.Header.Get("Location"); to != "" && res.StatusCode < 400 {
		p.Detail = "redirected to " + printable(to)
	}
	return p
}

// notJSON makes a Problem of a success that can't be one of BOS.
func notJSON(res *http.Response) *Problem {
	// What can't be read is not shown; that it is no JSON is known already.
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	return &Problem{Status: res.StatusCode, Title: statusLine(res) + ", but the answer is not JSON", Detail: firstLine(body)}
}

func statusLine(res *http.Response) string {
	if text := http.StatusText(res.StatusCode); text != "" {
		return fmt.Sprintf("%d %s", res.StatusCode, text)
	}
	return printable(res.Status)
}

// isJSON reports whether a content type is JSON. Without one it may be.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// firstLine returns the first line of a text that is not blank, so far as it
// can be shown.
func firstLine(text []byte) string {
	for line := range bytes.Lines(text) {
		if s := printable(strings.TrimSpace(string(line))); s != "" {
			return s
		}
	}
	return ""
}

// printable leaves out what a terminal would take for a command, and what is
// too long for a message.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "..."
	}
	return s
}

// ConnectionError says that a server could not be reached, or broke an answer
// off.
type ConnectionError struct {
	// URL is the address that was tried.
	URL string
	// Reason is what happened, in words.
	Reason string
	// Err is the cause.
	Err error
}

// Error names the address and the reason.
func (e *ConnectionError) Error() string { return "cannot reach BOS at " + e.URL + ": " + e.Reason }

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// connectionError says why there is no answer, or no more of it.
func (c *Client) connectionError(ctx context.Context, err error) error {
	var waited *impatience
	if cause := context.Cause(ctx); errors.As(cause, &waited) {
		return &ConnectionError{URL: c.shown, Reason: waited.Error(), Err: cause}
	} else if cause != nil {
		return cause
	}
	// The address is named already, and the error of net/http repeats it.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	reason := err.Error()
	var timeout net.Error
	var noName *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused"
	case errors.As(err, &noName) && noName.IsNotFound:
		reason = "there is no host " + noName.Name
	case errors.As(err, &certificate):
		reason = "its certificate is not trusted: " + certificate.Err.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		reason = "no answer"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		reason = "the connection was closed before the answer was complete"
	}
	return &ConnectionError{URL: c.shown, Reason: reason, Err: err}
}

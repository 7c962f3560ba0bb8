// SPDX-License-Identifier: MIT

package upstreamtest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// Answer is what a service answers to every request, whatever it is.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
	// Breaks ends the body with an error in place of its end.
	Breaks bool
}

const (
	// statuses is how many HTTP statuses there are, from 100 on.
	statuses = 500
	// anyStatus is a multiple of it, from which on a number of a fuzzer's is any
	// status.
	anyStatus = 33000
)

// Number is the number of a fuzzer's that stands for a status.
func Number(status int) uint16 { return uint16(anyStatus + status - 100) }

// FuzzAnswer makes an answer of what a fuzzer comes up with: any number is some
// status, and more often than not it is a good one.
func FuzzAnswer(status uint16, contentType string, body []byte, breaks bool) Answer {
	s := http.StatusOK
	if status >= anyStatus {
		s = 100 + int(status)%statuses
	}
	return Answer{Status: s, ContentType: contentType, Body: body, Breaks: breaks}
}

// Seed adds an answer to a fuzz target's seeds: as a good one, as a refusal, as
// an outage, and broken off.
func Seed(f *testing.F, contentType, body string) {
	for _, status := range []int{200, 302, 400, 404, 503} {
		f.Add(Number(status), contentType, []byte(body), false)
	}
	f.Add(uint16(0), contentType, []byte(body), true)
}

// RoundTrip answers a request without a network.
func (a Answer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body io.Reader = bytes.NewReader(a.Body)
	if a.Breaks {
		body = io.MultiReader(body, broken{})
	}
	return &http.Response{
		StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: r,
		Header: http.Header{"Content-Type": {a.ContentType}}, Body: io.NopCloser(body),
	}, nil
}

type broken struct{}

// Read fails as a connection does that breaks off.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// quick is a scale of time in which no retry waits.
const quick = 1e-9

// host is where the services without a network are; no error may show it.
const host = "secret-host.example.com"

// Answering is a service without a network that gives one answer to all.
func Answering(name string, a Answer) *call.Service {
	return call.New(call.Config{Name: name, BaseURL: "http://" + host, Transport: a, TimeScale: quick})
}

// maxTold bounds the message of an error: the words of a service, at most 300
// characters, and ours.
const maxTold = 600

// Told fails unless an error, if it is one, is fit for users and says which
// service failed, or that what was asked for is not there.
func Told(t testing.TB, service string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *bos.Error
	if !errors.As(err, &e) {
		t.Fatalf("an error without a code: %v", err)
	}
	switch e.Code {
	case bos.CodeUnavailable:
		if e.Dependency != service {
			t.Errorf("%q is the fault of %q, not of %s", e.Message, e.Dependency, service)
		}
	case bos.CodeInvalid:
		if !strings.HasPrefix(e.Message, service+" ") {
			t.Errorf("%q does not say that %s refused", e.Message, service)
		}
	case bos.CodeNotFound, bos.CodeTooLarge:
	default:
		t.Errorf("%q has the code %s", e.Message, e.Code)
	}
	var c *call.Error
	if e.Code != bos.CodeTooLarge && (!errors.As(err, &c) || c.Service != service || c.Operation == "" || c.Kind == call.None) {
		t.Errorf("%q is not the error of a call: %+v", e.Message, c)
	}
	Fit(t, e.Message)
	if strings.Contains(e.Message, host) {
		t.Errorf("%q shows an address", e.Message)
	}
}

// Fit fails unless a text can be shown to users: one line, not long, no control
// characters.
func Fit(t testing.TB, text string) {
	t.Helper()
	if n := utf8.RuneCountInString(text); n > maxTold || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("not fit to be shown, %d characters: %q", n, text)
	}
}

// Endless is the body of an answer that never ends, and counts what was read of
// it.
type Endless struct {
	// Start comes first, Rest again and again.
	Start, Rest string
	Count       int64
}

// maxEndless is what may be read of an answer that never ends: the bound of all
// answers and what a decoder reads ahead.
const maxEndless = 65 << 20

// RoundTrip answers every request with the body from its start.
func (e *Endless) RoundTrip(r *http.Request) (*http.Response, error) {
	e.Count = 0
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(&stream{e: e, left: []byte(e.Start)}),
	}, nil
}

type stream struct {
	e    *Endless
	left []byte
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		s.left = bytes.Repeat([]byte(s.e.Rest), 1+(64<<10)/len(s.e.Rest))
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	s.e.Count += int64(n)
	return n, nil
}

// NeverEnds fails unless each call gives up an answer that never ends, with an
// error that names the service, after a bounded part of it.
func NeverEnds(t *testing.T, name string, calls map[string]func(*call.Service) error) {
	t.Helper()
	for what, do := range calls {
		e := &Endless{Start: `{"text":"`, Rest: "endless "}
		svc := call.New(call.Config{Name: name, BaseURL: "http://" + host, Transport: e, TimeScale: quick})
		err := do(svc)
		if err == nil || e.Count > maxEndless {
			t.Errorf("%s: %v after %d bytes", what, err, e.Count)
		}
		Told(t, name, err)
	}
}

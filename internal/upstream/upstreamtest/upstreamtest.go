// SPDX-License-Identifier: MIT

// Package upstreamtest runs small HTTP servers that answer like the services
// around BOS, for the tests of their clients.
package upstreamtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"bos/internal/upstream/call"
)

// Exchange is one request as a server saw it.
type Exchange struct {
	Method string
	// Target is the path as sent, with the query.
	Target string
	// Attempt is the header BOS-Attempt.
	Attempt string
	Body    string
}

// Server is a service under the control of a test.
type Server struct {
	// Service reaches the server.
	Service *call.Service
	// URL is the server's address without the prefix.
	URL string

	mu   sync.Mutex
	seen []Exchange
}

// Serve runs a service of the given name, below a path prefix such as
// "/hsm/v2", until the test ends. Its retries wait a hundredth of their time.
func Serve(t testing.TB, name, prefix string, h http.HandlerFunc) *Server {
	t.Helper()
	s := &Server{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, Exchange{
			Method:  r.Method,
			Target:  strings.TrimPrefix(r.URL.RequestURI(), prefix),
			Attempt: r.Header.Get("BOS-Attempt"),
			Body:    string(body),
		})
		s.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h(w, r)
	}))
	s.URL = srv.URL
	s.Service = call.New(call.Config{Name: name, BaseURL: srv.URL + prefix, TimeScale: 0.01})
	t.Cleanup(func() {
		s.Service.Close()
		srv.Close()
	})
	return s
}

// Seen returns the requests so far.
func (s *Server) Seen() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Exchange(nil), s.seen...)
}

// Silent is a service that fails the test when it gets a request.
func Silent(t testing.TB, name string) *call.Service {
	t.Helper()
	return call.New(call.Config{
		Name: name, BaseURL: "http://" + name,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s %s was sent", r.Method, r.URL.RequestURI())
			return nil, io.EOF
		}),
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// JSON answers 200 with a body.
func JSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, body)
}

// Problem answers with a problem document.
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":%q,"detail":%q,"status":%d}`, http.StatusText(status), detail, status)
}

// NoRoute answers as the Go services do for a path that they don't have.
func NoRoute(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintln(w, "404 page not found")
}

// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Transport returns a RoundTripper that reaches the services at the addresses of
// [Site.URLs] without sockets, for tests in virtual time. A service that is
// down or resets connections gives the errors that a socket would.
func (s *Site) Transport() http.RoundTripper {
	s.startClock()
	return inProcess{s}
}

type inProcess struct{ site *Site }

// RoundTrip lets the service handle the request in a goroutine of its own: like
// a real server it does not notice at once that its client has gone.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	svc := t.site.serviceAt(r.URL.Host)
	if svc == nil {
		return nil, fmt.Errorf("no simulated service at %q", r.URL.Host)
	}
	if svc.currentFault().Kind == ServiceDown {
		return nil, fmt.Errorf("dial %s: %w", r.URL.Host, syscall.ECONNREFUSED)
	}
	body := []byte(nil)
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	if !t.site.begin() {
		return nil, fmt.Errorf("dial %s: %w", r.URL.Host, syscall.ECONNREFUSED)
	}
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	answer := make(chan *http.Response, 1)
	go func() {
		defer t.site.wg.Done()
		defer cancel()
		answer <- handleInProcess(svc, in) //nolint:bodyclose // the client closes it
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case res := <-answer:
		if res == nil {
			return nil, fmt.Errorf("read from %s: %w", r.URL.Host, syscall.ECONNRESET)
		}
		res.Request = r
		return res, nil
	}
}

// handleInProcess returns the handler's answer, nil where it broke off.
func handleInProcess(h http.Handler, r *http.Request) (res *http.Response) {
	w := &memoryWriter{header: http.Header{}}
	defer func() {
		p := recover()
		if err, ok := p.(error); p != nil && !(ok && errors.Is(err, http.ErrAbortHandler)) {
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return w.response(r.Method)
}

// memoryWriter keeps an answer in memory.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header to fill in.
func (w *memoryWriter) Header() http.Header { return w.header }

// WriteHeader keeps the first status.
func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write keeps the body.
func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *memoryWriter) response(method string) *http.Response {
	w.WriteHeader(http.StatusOK)
	if w.header.Get("Date") == "" {
		w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	length := int64(w.body.Len())
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && method == http.MethodHead {
		length = n
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        w.header,
		Body:          io.NopCloser(&w.body),
		ContentLength: length,
	}
}

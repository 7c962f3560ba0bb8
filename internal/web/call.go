// SPDX-License-Identifier: MIT

package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// problem is why the API, or a page, could not do something.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail) }

// heading is the problem in a few words.
func (p *problem) heading() string {
	if p.Title != "" {
		return p.Title
	}
	return http.StatusText(p.Status)
}

// Text is the problem in a sentence.
func (p *problem) Text() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.heading()
}

// tenantHeader names the tenant in a request of the API.
const tenantHeader = "Cray-Tenant-Name"

// request makes a request of the API as the one who looks at the page. body is
// nil or JSON.
func (v *visit) request(method, target string, body []byte) (*http.Request, error) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("ask for %q: %w", target, err)
	}
	r := v.r.Clone(v.ctx())
	// Nothing of the page's own request gets through by chance.
	r.Method, r.URL, r.RequestURI, r.Pattern, r.Form, r.PostForm = method, u, target, "", nil, nil
	r.Header = http.Header{}
	for _, name := range []string{"X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "User-Agent"} {
		if values := v.r.Header.Values(name); values != nil {
			r.Header[name] = values
		}
	}
	if v.token != "" {
		r.Header.Set("Authorization", v.token)
	}
	if v.tenant != "" {
		r.Header.Set(tenantHeader, v.tenant)
	}
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r, nil
}

// answer takes what the API answers, as a stream: the body of a list may be
// larger than what of it is needed.
type answer struct {
	header http.Header
	status int
	begun  chan struct{}
	body   *io.PipeWriter
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
		close(a.begun)
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// mostProblem bounds how much of a refusal is read, in bytes.
const mostProblem = 1 << 20

// ask asks the API and hands the body of its answer to read, which may stop before
// the end. A refusal is a [problem].
func (v *visit) ask(method, target string, body []byte, read func(io.Reader) error) error {
	r, err := v.request(method, target, body)
	if err != nil {
		return err
	}
	in, out := io.Pipe()
	a := &answer{header: http.Header{}, begun: make(chan struct{}), body: out}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var fault any
		func() {
			defer func() { fault = recover() }()
			v.site.api.ServeHTTP(a, r)
		}()
		a.WriteHeader(http.StatusOK)
		if fault != nil {
			// What the API answers ended too early; it has said why in the log.
			_ = out.CloseWithError(fmt.Errorf("ask for %s: the answer ended too early", target))
			return
		}
		_ = out.Close()
	}()
	// The API must have ended before this request does.
	defer func() {
		_ = in.Close()
		<-done
	}()
	<-a.begun
	if a.status >= http.StatusMultipleChoices {
		p := &problem{Status: a.status, Title: http.StatusText(a.status)}
		if strings.Contains(a.header.Get("Content-Type"), "json") {
			_ = json.NewDecoder(io.LimitReader(in, mostProblem)).Decode(p)
			p.Status = a.status
		}
		return p
	}
	if read == nil {
		return nil
	}
	return read(in)
}

const (
	// tries is how often a document is asked for that the service is too busy to
	// show, tryPause how long it then gets.
	tries    = 4
	tryPause = 300 * time.Millisecond
)

// patiently asks again where the API could not answer at the moment: under load
// its view of the store may be late, and a page is better late too than missing.
func (v *visit) patiently(ask func() error) error {
	for try := 1; ; try++ {
		err := ask()
		var p *problem
		if try == tries || !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable {
			return err
		}
		select {
		case <-time.After(tryPause):
		case <-v.ctx().Done():
			return err
		}
	}
}

// get reads one document.
func (v *visit) get(target string, into any) error {
	return v.patiently(func() error { return v.ask(http.MethodGet, target, nil, decodeInto(target, into)) })
}

// post sends a document and reads the answer; either may be nil.
func (v *visit) post(target string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode what is sent to %s: %w", target, err)
		}
	}
	if into == nil {
		return v.ask(http.MethodPost, target, text, nil)
	}
	return v.ask(http.MethodPost, target, text, decodeInto(target, into))
}

func decodeInto(target string, into any) func(io.Reader) error {
	return func(r io.Reader) error {
		if err := json.NewDecoder(r).Decode(into); err != nil {
			return fmt.Errorf("read the answer of %s: %w", target, err)
		}
		return nil
	}
}

// each reads a list, item by item.
func each[T any](v *visit, target string, use func(T)) error {
	return v.patiently(func() error { return v.ask(http.MethodGet, target, nil, readEach(target, use)) })
}

func readEach[T any](target string, use func(T)) func(io.Reader) error {
	return func(r io.Reader) error {
		dec := json.NewDecoder(r)
		if _, err := dec.Token(); err != nil {
			return fmt.Errorf("read the list of %s: %w", target, err)
		}
		for dec.More() {
			var item T
			if err := dec.Decode(&item); err != nil {
				return fmt.Errorf("read the list of %s: %w", target, err)
			}
			use(item)
		}
		return nil
	}
}

// optional turns a refusal into what is shown in the place of a section; other
// errors stay.
func optional(err error) (*problem, error) {
	var p *problem
	if errors.As(err, &p) && p.Status != http.StatusUnauthorized {
		return p, nil
	}
	return nil, err
}

// passed are the headers that a request for data keeps on its way to the API.
func passed() []string {
	return []string{"Accept", "Accept-Encoding", "If-None-Match", "Last-Event-Id"}
}

// pass lets the API answer to the browser itself.
func (v *visit) pass(target string) error {
	if query := v.r.URL.RawQuery; query != "" {
		target += "?" + query
	}
	r, err := v.request(http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	for _, name := range passed() {
		if values := v.r.Header.Values(name); values != nil {
			r.Header[name] = values
		}
	}
	v.w.Header().Del("Cache-Control")
	v.site.api.ServeHTTP(v.w, r)
	return nil
}

func (s *site) passFleet(v *visit) error { return v.pass("/v2/fleet") }

func (s *site) passEvents(v *visit) error { return v.pass("/v2/events") }

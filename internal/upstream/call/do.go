// SPDX-License-Identifier: MIT

package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bos/internal/bos"
)

const (
	// attemptHeader carries the identity of an attempt with its effects.
	attemptHeader = "BOS-Attempt"
	// maxErrorBody bounds what is read of an answer that is an error. BSS
	// sends back 1.6 MB of parameters that it could not store.
	maxErrorBody = 64 << 10
	// maxDrain bounds what is read of a body that nobody wants, to keep the
	// connection.
	maxDrain = 64 << 10
)

// errTooLong is the error of an answer beyond its bound.
var errTooLong = errors.New("answer longer than its bound")

// Do makes one call: it sends req and decodes the JSON of a 2xx answer into
// out, a pointer; a *[]byte takes the body as it is, and nil drops it. out is
// only written if the call succeeds. The header is that of the last answer, nil
// without one. The error is an [*Error], or a [bos.Error] if req itself can't be
// sent. Members of the answer that out doesn't know are ignored.
//
// Beside what [Service.Run] does, copies of a request that is not answered go
// out while the service is suspect; see [Request.LateOK].
func (s *Service) Do(ctx context.Context, req Request, out any) (http.Header, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = json.Marshal(req.Body, json.Deterministic(true)); err != nil {
			return nil, &bos.Error{Code: bos.CodeInternal, Message: "encoding a request to " + s.cfg.Name, Err: err}
		}
	}
	return s.call(ctx, req, req.mayHedge(), func(ctx context.Context) (answer, error) { return s.exchange(ctx, req, body, out) })
}

// Checker is an answer that can tell whether it makes sense. [Service.Do] asks
// it; an answer that doesn't counts as none, as one that can't be decoded.
type Checker interface {
	Check() error
}

// exchange sends one request and reads its answer.
func (s *Service) exchange(ctx context.Context, req Request, body []byte, out any) (answer, error) {
	hr, token, err := s.prepare(ctx, req, body)
	if err != nil {
		return answer{}, err
	}
	// The transport and not a client: a client would follow redirects, and
	// turn a redirected POST into a GET.
	resp, err := s.transport.RoundTrip(hr)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	s.dated(resp.Header, time.Now())
	r := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return r, s.answered(req, resp, token)
	}
	r.keep, err = decode(resp, req.MaxResponse, out)
	return r, err
}

// prepare makes the HTTP request and returns the token in it.
func (s *Service) prepare(ctx context.Context, req Request, body []byte) (*http.Request, string, error) {
	target := s.cfg.BaseURL + req.Path
	if len(req.Query) > 0 {
		target += "?" + req.Query.Encode()
	}
	var reader io.Reader
	if req.Body != nil {
		reader = bytes.NewReader(body)
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, target, reader)
	if err != nil {
		return nil, "", notSent("it is not configured correctly", err)
	}
	for name, values := range req.Header {
		hr.Header[http.CanonicalHeaderKey(name)] = values
	}
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "bos")
	if req.Body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	if req.Attempt != "" {
		hr.Header.Set(attemptHeader, req.Attempt)
	}
	s.handOn(ctx, hr)
	token := ""
	if s.token != nil {
		if token, err = s.token.get(); err != nil {
			return nil, "", notSent("the token for it can't be read", err)
		}
		hr.Header.Set("Authorization", "Bearer "+token)
	}
	return hr, token, nil
}

// notSent is the error of a request that never left, which says nothing about
// the service.
func notSent(reason string, err error) *Error {
	return &Error{Kind: Away, reason: reason, blameless: true, Err: err}
}

// answered makes the error for an answer that is not 2xx.
func (s *Service) answered(req Request, resp *http.Response, token string) *Error {
	// What can't be read of it is only missing from the words.
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	redact := append([]string{token, s.host}, req.Redact...)
	e := Answered(resp.StatusCode, "", fmt.Errorf("HTTP status %d", resp.StatusCode))
	e.Words = Clean(extractWords(resp.Header.Get("Content-Type"), raw), redact...)
	return e
}

// decode reads the body of a good answer. What it returns writes it into out, if
// there is anything to write.
func decode(resp *http.Response, limit int64, out any) (keep func(), err error) {
	if limit <= 0 {
		limit = defaultMaxResponse
	}
	body := &boundedBody{r: resp.Body, left: limit}
	switch out := out.(type) {
	case nil:
		// The status has said all; a body that breaks off changes nothing.
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		return nil, nil
	case *[]byte:
		raw, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		return func() { *out = raw }, nil
	default:
		// Into a new value each time: of an answer that broke off before a retry
		// nothing is left in out, and copies of a request don't disturb each other.
		fresh := reflect.New(reflect.TypeOf(out).Elem())
		err := json.UnmarshalRead(body, fresh.Interface(),
			jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if body.err != nil {
			return nil, body.err
		}
		if err == nil && body.first == 'n' && fresh.Elem().Kind() == reflect.Struct {
			// It decodes into anything, and means nothing here.
			err = errors.New("null in place of an object")
		}
		if c, ok := fresh.Interface().(Checker); ok && err == nil {
			err = c.Check()
		}
		if err != nil {
			return nil, Garbage(resp.StatusCode, err)
		}
		return func() { reflect.ValueOf(out).Elem().Set(fresh.Elem()) }, nil
	}
}

// boundedBody fails when more than left bytes are read. It keeps the error that
// the body ended with if that was not its regular end, and the first byte that
// is no white space.
type boundedBody struct {
	r     io.Reader
	left  int64
	err   error
	first byte
}

// Read implements [io.Reader].
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// One byte more than allowed, to tell a body of just the allowed length
	// from a longer one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if text := bytes.TrimLeft(p[:n], " \t\r\n"); b.first == 0 && len(text) > 0 {
		b.first = text[0]
	}
	if b.left < 0 {
		b.err = errTooLong
		return 0, b.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// Segment escapes one variable part of a path. It refuses what would not stay
// one part: the empty one, "." and "..".
func Segment(s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", bos.Errorf(bos.CodeInvalid, "%q is not a name", s)
	}
	return url.PathEscape(s), nil
}

// SPDX-License-Identifier: MIT

package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"bos/test/conformance/compare"
)

// Request is a request as it is put on the wire: nothing is added to it that
// HTTP does not need.
type Request struct {
	Method string
	// Path is sent as it is, with its query.
	Path   string
	Header map[string]string
	// Body is nil if there is none.
	Body []byte
}

// bytes is the request on the wire.
func (r Request) bytes(host string) []byte {
	header := map[string]string{"Host": host}
	maps.Copy(header, r.Header)
	switch {
	case r.Body != nil:
		header["Content-Length"] = fmt.Sprint(len(r.Body))
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		header["Content-Length"] = "0"
	}
	header["Connection"] = "close"
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, latin1(header[name]))
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// latin1 encodes a text as ISO-8859-1, as headers are.
func latin1(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

// Sender takes requests to a service.
type Sender interface {
	Send(ctx context.Context, r Request) (compare.Answer, error)
}

// Wire sends each request on a connection of its own.
type Wire struct {
	// Addr is host:port.
	Addr string
	// Prefix is put in front of the paths.
	Prefix string
}

// requestTimeout bounds one request.
const requestTimeout = 2 * time.Minute

// Send implements [Sender].
func (w Wire) Send(ctx context.Context, r Request) (compare.Answer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", w.Addr)
	if err != nil {
		return compare.Answer{}, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return compare.Answer{}, err
	}
	r.Path = w.Prefix + r.Path
	// The server may answer before it has read everything.
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write(r.bytes(w.Addr))
		wrote <- err
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		return compare.Answer{}, fmt.Errorf("%s %.200s: %w", r.Method, r.Path, err)
	}
	answer, err := read(res)
	_ = conn.Close()
	<-wrote
	return answer, err
}

func read(res *http.Response) (compare.Answer, error) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return compare.Answer{}, err
	}
	return compare.Answer{Status: res.StatusCode, ContentType: res.Header.Get("Content-Type"), Body: body}, res.Body.Close()
}

// Direct hands requests to a handler in this process, in virtual time as well.
type Direct struct {
	Handler http.Handler
	Host    string
}

// Send implements [Sender].
func (d Direct) Send(ctx context.Context, r Request) (compare.Answer, error) {
	parsed, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.bytes(d.Host))))
	if err != nil {
		return compare.Answer{}, fmt.Errorf("%s %.200s: %w", r.Method, r.Path, err)
	}
	res, err := d.RoundTrip(parsed.WithContext(ctx))
	if err != nil {
		return compare.Answer{}, err
	}
	return read(res)
}

// RoundTrip implements [http.RoundTripper]: the way of a client to the handler.
func (d Direct) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		// A handler breaks a connection off by this panic.
		p := recover()
		if fault, ok := p.(error); ok && errors.Is(fault, http.ErrAbortHandler) {
			res, err = nil, fmt.Errorf("%s %s: %w", r.Method, r.URL, io.ErrUnexpectedEOF)
		} else if p != nil {
			panic(p)
		}
	}()
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	rec := httptest.NewRecorder()
	d.Handler.ServeHTTP(rec, in)
	if r.Body != nil {
		_ = r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res = rec.Result()
	res.Request = r
	if r.Method == http.MethodHead {
		res.Body = http.NoBody
	}
	if n := rec.Body.Len(); res.ContentLength < 0 && r.Method != http.MethodHead {
		res.ContentLength = int64(n)
	}
	return res, nil
}

// isFailure reports whether a status is no success.
func isFailure(status int) bool { return status < 200 || status > 299 }

// tenantHeader names the tenant of a request.
const tenantHeader = "Cray-Tenant-Name"

// jsonRequest makes a request with a JSON body, which may be nil.
func jsonRequest(method, path, tenant string, body []byte) Request {
	r := Request{Method: method, Path: path, Header: map[string]string{}, Body: body}
	if body != nil {
		r.Header["Content-Type"] = "application/json"
	}
	if tenant != "" {
		r.Header[tenantHeader] = tenant
	}
	return r
}

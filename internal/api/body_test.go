// SPDX-License-Identifier: MIT

package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestContentTypes(t *testing.T) {
	s := start(t, nil)
	for contentType, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "Application/Merge-Patch+JSON": 200, "": 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/xml": 415, "multipart/form-data; boundary=x": 415,
	} {
		s.do("PUT", "/v2/components/x", `{"enabled":false}`, "Content-Type", contentType).wants(status)
	}
	// The content type goes before the body, and the parameters before both.
	s.do("PUT", "/v2/components/x", `{`, "Content-Type", "text/plain").problem(415, "Unsupported Media Type", "Content-Type")
	s.do("PATCH", "/v2/components?skip_bad_ids=x", `{`, "Content-Type", "text/plain").problem(400, "Bad Request", "skip_bad_ids")
	s.do("PUT", "/v2/components/x", "\xef\xbb\xbf{\"enabled\":true,\"enabled\":false}").is(`{"id":"x","enabled":false}`)
	for _, body := range []string{
		"", " ", "null", "{", "{} x", "{\"error\":\"\xff\"}", `{"Enabled":true}`, strings.Repeat("[", 200), `{"enabled":1}`, `{"retry_policy":1.0}`,
	} {
		s.do("PUT", "/v2/components/x", body).problem(400, "Bad Request")
	}
	// Who takes no body does not look at one.
	s.do("GET", "/v2/components/x", "nonsense", "Content-Type", "text/plain").wants(200)
	s.do("DELETE", "/v2/components/x", "nonsense").wants(204)
}

// A body that says that it is too long is not read, one that turns out to be is
// read no further than need be.
func TestTooLongBody(t *testing.T) {
	s := start(t, nil)
	limit := s.server.front.Operation("patch_v2_options").MaxBody()
	for name, body := range map[string]io.Reader{
		"with a length": bytes.NewReader(make([]byte, limit+1)),
		"in chunks":     io.LimitReader(neverEnding{}, 4*limit),
	} {
		r, err := http.NewRequestWithContext(context.Background(), "PATCH", s.url+"/v2/options", body)
		if err != nil {
			t.Fatal(err)
		}
		got := s.send(r)
		got.what = name
		got.problem(413, "Request Entity Too Large", "at most 1 MiB")
	}
	if held := s.server.bodies.held.Load(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A client that waits for leave to send its body gets the refusal instead.
func TestRefusalBeforeTheBody(t *testing.T) {
	s := start(t, nil)
	for _, tc := range []struct {
		path, header string
		status       int
	}{
		{"/nope", "Content-Length: 5", 404},
		{"/v2/sessions", "Content-Length: 5", 405},
		{"/v2/components/x?a=%zz", "Content-Length: 5", 400},
		{"/v2/components/x", "Content-Length: 5\r\nContent-Type: text/plain", 415},
		{"/v2/components/x", "Content-Length: 999999999999", 413},
		{"/v2/components/x", "Transfer-Encoding: chunked", 100},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n%s\r\n\r\n", tc.path, tc.header); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, fmt.Sprintf("HTTP/1.1 %d ", tc.status)) {
			t.Errorf("%s %s: %q, %v, want %d", tc.path, tc.header, line, err, tc.status)
		}
		_ = conn.Close()
	}
}

// A body that ends too early is the request's fault.
func TestTruncatedBody(t *testing.T) {
	s := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "PUT /v2/components/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	reply{tb: t, what: "broken chunks", status: resp.StatusCode, header: resp.Header, body: body}.problem(400, "Bad Request", "request body")
}

// When the bodies of all take too much memory, long ones are refused and short
// ones still pass.
func TestBodyBudget(t *testing.T) {
	s := start(t, nil)
	long := `[{"id":"x1","error":"` + strings.Repeat(" ", 60000) + `"}` + strings.Repeat(" ", freeBody) + `]`
	s.do("PUT", "/v2/components", long).wants(200)
	s.server.bodies.held.Add(mostHeld)
	s.do("PUT", "/v2/components", long).problem(429, "Too Many Requests", "try again")
	s.do("PUT", "/v2/components/x2", `{"enabled":false}`).wants(200)
	s.server.bodies.held.Add(-mostHeld)
	s.do("PUT", "/v2/components", long).wants(200)
	if held := s.server.bodies.held.Load(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

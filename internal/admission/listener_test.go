// SPDX-License-Identifier: MIT

package admission

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/certs"
	"bos/internal/certs/certstest"
)

// server is an HTTP server with bounds, on real connections.
type server struct {
	t       *testing.T
	l       *Listener
	address string
	// reached gets the path of each request that reaches the handler; what is
	// sent to hold lets those to /hold end.
	reached chan string
	hold    chan struct{}

	mu      sync.Mutex
	refused []string
}

func serve(t *testing.T, bounds Bounds, change func(*http.Server)) *server {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: raw.Addr().String(), reached: make(chan string, 100), hold: make(chan struct{})}
	bounds.Refused = func(limit string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = append(s.refused, limit)
	}
	s.l = NewListener(raw, bounds)
	srv := &http.Server{
		Handler: s.l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.reached <- r.URL.Path
			if r.URL.Path == "/hold" {
				<-s.hold
			}
			n, err := io.Copy(io.Discard, r.Body)
			_ = json.NewEncoder(w).Encode([]any{n, err == nil})
		})),
		ConnContext: s.l.ConnContext, ConnState: s.l.ConnState, MaxHeaderBytes: 4 << 20,
		ReadHeaderTimeout: bounds.HeaderTime, IdleTimeout: bounds.HeaderTime,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if change != nil {
		change(srv)
	}
	done := make(chan error)
	go func() {
		if srv.TLSConfig != nil {
			done <- srv.ServeTLS(s.l, "", "")
			return
		}
		done <- srv.Serve(s.l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		// Those who serve a connection end in their own time; if one never does,
		// neither does the test.
		for s.l.Open() != 0 {
			runtime.Gosched()
		}
		if held := s.l.held.Load(); held != 0 {
			t.Errorf("%d bytes of headers were never given back", held)
		}
	})
	return s
}

func (s *server) limits() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// client is a raw connection.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *server) dial() *client {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &client{s.t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// answer reads an answer: its status, and its body or the detail of its problem.
func (c *client) answer() (status int, text string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err.Error()
	}
	var problem struct{ Detail string }
	if res.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(body, &problem) == nil {
		return res.StatusCode, problem.Detail
	}
	return res.StatusCode, strings.TrimSpace(string(body))
}

func (c *client) wants(status int, words string) {
	c.t.Helper()
	if got, text := c.answer(); got != status || !strings.Contains(text, words) {
		c.t.Errorf("%d %q, want %d %q", got, text, status, words)
	}
}

// ends fails unless the server has closed the connection.
func (c *client) ends() {
	c.t.Helper()
	if more, err := io.ReadAll(c.r); len(more) != 0 {
		c.t.Errorf("more: %q, %v", more, err)
	}
}

func few() Bounds {
	return Bounds{Connections: 100, HeaderBytes: 1 << 20, HeaderTime: 500 * time.Millisecond}
}

func TestSlowHeader(t *testing.T) {
	s := serve(t, few(), nil)
	slow := s.dial().send("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: a")
	slow.wants(408, "the header of the request was not complete within 500ms; 34 bytes of it arrived")
	slow.ends()
	// Who says nothing is told nothing.
	s.dial().ends()
	// A second request is as slow as a first.
	c := s.dial().send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	c.wants(200, "[0,true]")
	c.send("GET /b HTTP/1.1\r\n")
	// The server may have read the first byte while it was still answering.
	c.wants(408, "bytes of it arrived")
	if got := s.limits(); !slices.Equal(got, []string{LimitHeaderTime, LimitHeaderTime}) {
		t.Errorf("counted %v", got)
	}
}

// A body may take longer than a header: it has a time of its own.
func TestSlowBodyIsNoSlowHeader(t *testing.T) {
	s := serve(t, few(), func(srv *http.Server) { srv.ReadTimeout = time.Minute })
	c := s.dial().send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
	<-s.reached
	idle := s.dial()
	idle.ends()
	c.send("bc")
	c.wants(200, "[3,true]")
	if got := s.limits(); len(got) != 0 {
		t.Errorf("counted %v", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	bounds := few()
	bounds.Connections, bounds.HeaderTime = 2, time.Minute
	s := serve(t, bounds, nil)
	first, second := s.dial(), s.dial()
	for _, c := range []*client{first, second} {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").wants(200, "")
	}
	third := s.dial()
	third.wants(503, "there are 2 connections already")
	third.ends()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// The server notices in its own time that there is room.
	for s.l.Open() == 2 {
		second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").wants(200, "")
	}
	s.dial().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").wants(200, "")
	if got := s.limits(); !slices.Equal(got, []string{LimitConnections}) {
		t.Errorf("counted %v", got)
	}
}

// Large headers are bounded together; small ones pass all the same, and what a
// request held is given back at its end.
func TestHeadersTogether(t *testing.T) {
	bounds := few()
	bounds.HeaderTime = time.Minute
	s := serve(t, bounds, nil)
	large := "GET /hold HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("a", 700<<10) + "\r\n\r\n"
	first := s.dial().send(large)
	<-s.reached
	second := s.dial()
	go func() { _, _ = io.WriteString(second, large) }()
	second.wants(503, "the headers of all requests together have more than 1048576 bytes, and this one more than 65536")
	s.dial().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").wants(200, "")
	close(s.hold)
	first.wants(200, "")
	first.send(large).wants(200, "")
	if got := s.limits(); !slices.Equal(got, []string{LimitHeaderBytes}) {
		t.Errorf("counted %v", got)
	}
}

// Over TLS nothing can be said to who is slow; the connection ends, and
// everything else is as without.
func TestEncrypted(t *testing.T) {
	ca, dir := certstest.NewCA(t, "ca"), t.TempDir()
	pair := ca.Server("s", time.Now().Add(time.Hour))
	certstest.Write(t, dir, "crt", pair.Cert)
	certstest.Write(t, dir, "key", pair.Key)
	files, err := certs.Open(certs.Files{Cert: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	bounds := few()
	bounds.Encrypted = true
	s := serve(t, bounds, func(srv *http.Server) { srv.TLSConfig = files.Config() })
	s.dial().send("\x16\x03\x01").ends()
	raw := s.dial()
	c := &client{t: t, Conn: tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})}
	c.r = bufio.NewReader(c)
	c.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na").wants(200, "[1,true]")
	c.send("GET / HTTP/1.1\r\nHost: x\r\n").ends()
}

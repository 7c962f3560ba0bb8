// SPDX-License-Identifier: MIT

package admission

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// freeHeader is the size up to which a header is never refused for the
	// others.
	freeHeader = 64 << 10
	// refusalTime bounds the writing of a refusal to a connection.
	refusalTime = time.Second
)

// The limits that a connection can meet, as they are counted.
const (
	LimitConnections = "connections"
	LimitHeaderBytes = "header_bytes"
	LimitHeaderTime  = "header_time"
)

// Bounds are those of a listener.
type Bounds struct {
	// Connections is how many there may be at the same moment.
	Connections int
	// HeaderBytes is how many bytes the headers of all requests may take together
	// while they arrive and are worked on.
	HeaderBytes int64
	// HeaderTime is how long the HTTP server waits for a header; it is only shown.
	HeaderTime time.Duration
	// Encrypted says that what goes over the connections is TLS, so that a
	// refusal can't be said there: the connection just ends.
	Encrypted bool
	// Refused is told of each refusal, for metrics; nil tells nobody. It must be
	// safe for concurrent use.
	Refused func(limit string)
}

// Listener bounds the connections of an HTTP server. The server must use its
// Handler, ConnContext and ConnState.
type Listener struct {
	net.Listener
	bounds Bounds
	open   atomic.Int64
	held   atomic.Int64
}

// NewListener bounds a listener.
func NewListener(l net.Listener, bounds Bounds) *Listener {
	if bounds.Refused == nil {
		bounds.Refused = func(string) {}
	}
	return &Listener{Listener: l, bounds: bounds}
}

// Accept waits for the next connection that is within the bounds; others are
// told so and closed.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if open := l.open.Add(1); open > int64(l.bounds.Connections) {
			l.open.Add(-1)
			l.refuse(c, LimitConnections, http.StatusServiceUnavailable,
				fmt.Sprintf("there are %d connections already, which is all that are served at the same moment; try again", l.bounds.Connections))
			_ = c.Close()
			continue
		}
		b := &conn{Conn: c, listener: l}
		b.inHeader.Store(true)
		return b, nil
	}
}

// Open returns how many connections there are.
func (l *Listener) Open() int { return int(l.open.Load()) }

// refuse says on a connection why it ends, if that can be said there.
func (l *Listener) refuse(c net.Conn, limit string, status int, detail string) {
	l.bounds.Refused(limit)
	if l.bounds.Encrypted {
		return
	}
	body, err := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
	if err != nil || c.SetWriteDeadline(time.Now().Add(refusalTime)) != nil {
		return
	}
	// Whether the client reads it is its own affair.
	_, _ = c.Write([]byte("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) +
		"\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body)))
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// connKey finds the connection of a request in its context.
type connKey struct{}

// ConnContext is the one of the HTTP server.
func (l *Listener) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if b := bounded(c); b != nil {
		return context.WithValue(ctx, connKey{}, b)
	}
	return ctx
}

// ConnState is the one of the HTTP server.
func (l *Listener) ConnState(c net.Conn, state http.ConnState) {
	b := bounded(c)
	if b == nil {
		return
	}
	switch state {
	case http.StateIdle:
		b.release()
		b.inHeader.Store(true)
	case http.StateHijacked:
		b.inHeader.Store(false)
		b.release()
	case http.StateNew, http.StateActive, http.StateClosed:
	}
}

// Handler is what the HTTP server has in front of the handler that answers: from
// there on a header is complete.
func (l *Listener) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, ok := r.Context().Value(connKey{}).(*conn); ok {
			b.inHeader.Store(false)
		}
		next.ServeHTTP(w, r)
	})
}

// bounded returns the connection of ours that is under another.
func bounded(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	b, _ := c.(*conn)
	return b
}

// conn is a bounded connection.
type conn struct {
	net.Conn
	listener *Listener
	// inHeader says that what is read is a header; held is how much of it was
	// read and not released.
	inHeader atomic.Bool
	held     atomic.Int64
	closed   atomic.Bool
}

var errHeaders = errors.New("the headers of all requests are too large together")

// Read reads on while the bounds last. Small headers always pass.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.inHeader.Load() {
		return n, err
	}
	l := c.listener
	mine := c.held.Add(int64(n))
	total := l.held.Add(int64(n))
	if c.closed.Load() {
		// It was closed in between, and nobody else gives this back.
		c.release()
	}
	if total > l.bounds.HeaderBytes && mine > freeHeader {
		l.refuse(c.Conn, LimitHeaderBytes, http.StatusServiceUnavailable, fmt.Sprintf(
			"the headers of all requests together have more than %d bytes, and this one more than %d; try again", l.bounds.HeaderBytes, freeHeader))
		return 0, errHeaders
	}
	if mine > 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.inHeader.CompareAndSwap(true, false) {
		l.refuse(c.Conn, LimitHeaderTime, http.StatusRequestTimeout, fmt.Sprintf(
			"the header of the request was not complete within %v; %d bytes of it arrived", l.bounds.HeaderTime, mine))
	}
	return n, err
}

// release gives back what a header took.
func (c *conn) release() { c.listener.held.Add(-c.held.Swap(0)) }

// Close ends the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.release()
		c.listener.open.Add(-1)
	}
	return err
}

// CloseWrite ends one direction, so that a client gets to read a refusal while
// it is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

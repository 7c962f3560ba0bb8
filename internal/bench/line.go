// SPDX-License-Identifier: MIT

package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// line is one connection to a target and the one client that uses it. Clients
// that are measured by how many requests they get through have one each: on the
// same processors as the server, an [http.Client], which shares its connections
// among goroutines of their own, takes a good part of what there is.
type line struct {
	target *target
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	// stop ends the watch over the context.
	stop func() bool
}

// dial opens so many lines. They end with ctx or with hangUp.
func (t *target) dial(ctx context.Context, count int) ([]*line, error) {
	base, err := url.Parse(t.base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{Timeout: dialTimeout}
	port := "80"
	if base.Scheme == "https" {
		d, port = &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}}, "443"
	}
	if base.Port() != "" {
		port = base.Port()
	}
	lines := make([]*line, 0, count)
	for range count {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
		if err != nil {
			hangUp(lines)
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		lines = append(lines, &line{
			target: t, conn: conn, in: bufio.NewReaderSize(conn, lineBuffer), out: bufio.NewWriterSize(conn, lineBuffer),
			stop: context.AfterFunc(ctx, func() { _ = conn.Close() }),
		})
	}
	return lines, nil
}

const (
	// dialTimeout bounds how long a connection may take to open.
	dialTimeout = 10 * time.Second
	// lineBuffer is how many bytes a line reads and writes at once.
	lineBuffer = 32 << 10
)

// hangUp closes lines.
func hangUp(lines []*line) {
	for _, l := range lines {
		l.stop()
		_ = l.conn.Close()
	}
}

// send makes a request, which must be a success, and throws the answer away.
func (l *line) send(ctx context.Context, method, path string, body []byte) error {
	return l.target.exchange(ctx, method, path, body, l.carry, discard)
}

// carry sends a request over the line and reads the head of its answer.
func (l *line) carry(req *http.Request) (*http.Response, error) {
	if err := l.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	if err := req.Write(l.out); err != nil {
		return nil, err
	}
	if err := l.out.Flush(); err != nil {
		return nil, err
	}
	return http.ReadResponse(l.in, req)
}

// rate lets some clients, each on a line of its own, make count requests and
// returns how many there were in a second.
func (t *target) rate(
	ctx context.Context, clients, count int, request func(ctx context.Context, l *line, client, i int) error,
) (float64, error) {
	lines, err := t.dial(ctx, clients)
	if err != nil {
		return 0, err
	}
	defer hangUp(lines)
	return rate(ctx, clients, count, func(ctx context.Context, client, i int) error { return request(ctx, lines[client], client, i) })
}

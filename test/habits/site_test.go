// SPDX-License-Identifier: MIT

package habits

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/app"
	"bos/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds each exchange; a server that does not answer fails the test.
const patience = time.Minute

// site is a running BOS without operators, at a simulated site of two nodes.
type site struct {
	*app.App
	// manifest is the path of an image that can be booted.
	manifest string
}

// start runs a BOS until the test ends. change may be nil.
func start(t *testing.T, change func(*config.Config)) *site {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	cfg.Simulate, cfg.TimeScale, cfg.Operators = 2, 0.01, []string{config.None}
	if change != nil {
		change(cfg)
	}
	a, err := app.Start(t.Context(), cfg, app.Options{ThrowAway: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &site{App: a, manifest: a.Site().Images()[0].ManifestPath}
}

// answer is what came back on the wire.
type answer struct {
	t      *testing.T
	what   string
	proto  string
	status int
	header http.Header
	// length is that of the header, -1 if it has none.
	length int64
	body   []byte
}

// conn is a connection of a client that writes its requests itself.
type conn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dial opens a connection that is closed with the test.
func (s *site) dial(t *testing.T) *conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &conn{t, c, bufio.NewReader(c)}
}

// send writes a text as it is.
func (c *conn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the answer to a request of a method.
func (c *conn) receive(method string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{c.t, method, resp.Proto, resp.StatusCode, resp.Header, resp.ContentLength, body}
}

// request is a request as it goes over the wire, but for the parts that are the
// same for all: version, host and length. Lines of the head are separated by \n,
// the body follows an empty one.
func (s *site) request(t *testing.T, text string) answer {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	line, headers, _ := strings.Cut(head, "\n")
	lines := []string{line + " HTTP/1.1", "Host: bos.example.com", "Connection: close"}
	if headers != "" {
		lines = append(lines, strings.Split(headers, "\n")...)
	}
	if body != "" && !strings.Contains(headers, "Transfer-Encoding") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	if body != "" && !strings.Contains(headers, "Content-Type") {
		lines = append(lines, "Content-Type: application/json")
	}
	c := s.dial(t)
	c.send(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
	method, _, _ := strings.Cut(line, " ")
	got := c.receive(method)
	got.what = fmt.Sprintf("%.200q", text)
	return got
}

// wants fails unless the answer has a status.
func (a answer) wants(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// problem fails unless the answer is a problem document of a status and a title
// whose detail has some words.
func (a answer) problem(status int, title string, words ...string) {
	a.t.Helper()
	a.wants(status)
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	a.decode(&p)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: content type %q", a.what, got)
	}
	if p.Type != "about:blank" || p.Title != title || p.Status != status || p.Detail == "" {
		a.t.Errorf("%s: %+v, want the title %q", a.what, p, title)
	}
	for _, w := range words {
		if !strings.Contains(p.Detail, w) {
			a.t.Errorf("%s: detail %q does not say %q", a.what, p.Detail, w)
		}
	}
}

func (a answer) decode(into any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
}

// is fails unless the answer is 200 and a JSON value.
func (a answer) is(want string) {
	a.t.Helper()
	a.wants(http.StatusOK)
	var got, expected any
	a.decode(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		a.t.Fatalf("%s: %v", want, err)
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		a.t.Errorf("%s: %s", a.what, diff)
	}
}

// ids fails unless the answer is a list of components with some ids, given in
// one text.
func (a answer) ids(want string) {
	a.t.Helper()
	var list []struct{ ID string }
	a.wants(http.StatusOK).decode(&list)
	got := make([]string, len(list))
	for i, c := range list {
		got[i] = c.ID
	}
	if text := strings.Join(got, " "); text != want {
		a.t.Errorf("%s: components %q, want %q", a.what, text, want)
	}
}

// SPDX-License-Identifier: MIT

package call

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reply makes an answer.
func reply(status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {contentType}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// script is a service whose behaviour a test changes as it goes.
type script struct {
	mu    sync.Mutex
	seen  []string
	times []time.Time
	// act answers; nil answers 200 {}.
	act func(*http.Request) (*http.Response, error)
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
	s.times = append(s.times, time.Now())
	act := s.act
	s.mu.Unlock()
	if act == nil {
		return reply(200, "application/json", "{}"), nil
	}
	return act(r)
}

func (s *script) set(act func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act = act
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// gaps are the times between the requests.
func (s *script) gaps() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for i := 1; i < len(s.times); i++ {
		out = append(out, s.times[i].Sub(s.times[i-1]))
	}
	return out
}

// status makes the service answer with one status.
func status(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return reply(code, "application/problem+json", `{"title":"no luck"}`), nil
	}
}

// refuseConnections makes the service unreachable.
func refuseConnections(*http.Request) (*http.Response, error) { return nil, errRefused() }

// errRefused is what a dialer returns when nobody listens.
func errRefused() error {
	return &net.OpError{
		Op:  "dial",
		Net: "tcp",
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
}

// hang answers nothing until the request is given up.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func newScripted(cfg Config) (*Service, *script) {
	sc := &script{}
	cfg.Name, cfg.BaseURL, cfg.Transport = "pcs", "http://cray-power-control/v1", sc
	return New(cfg), sc
}

var (
	read       = Request{Operation: "look", Method: http.MethodGet, Path: "/thing"}
	write      = Request{Operation: "change", Method: http.MethodPost, Path: "/thing", Body: 1, Write: true}
	idempotent = Request{Operation: "put", Method: http.MethodPut, Path: "/thing", Body: 1, Write: true, Idempotent: true}
)

func do(t *testing.T, s *Service, req Request) error {
	t.Helper()
	_, err := s.Do(t.Context(), req, nil)
	return err
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a call error", err)
	}
	return e
}

// fail makes n calls that find the service away.
func fail(t *testing.T, s *Service, sc *script, req Request, n int) {
	t.Helper()
	sc.set(status(500))
	for range n {
		if err := do(t, s, req); !IsAway(err) {
			t.Fatalf("got %v, want away", err)
		}
	}
}

// SPDX-License-Identifier: MIT

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// callTimeout bounds one request, lists of the largest fleets too.
	callTimeout = 5 * time.Minute
	// readBuffer is how much of an answer is taken at once.
	readBuffer = 256 << 10
	// shownBytes is how much of a refusal an error shows.
	shownBytes = 300
	// maxKept bounds an answer that is kept.
	maxKept = 1 << 30
)

// target is an HTTP service that is measured.
type target struct {
	name   string
	base   string
	client *http.Client
}

func newTarget(name, base string) *target {
	return &target{name: name, base: strings.TrimRight(base, "/"), client: &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			MaxIdleConns: 64, MaxIdleConnsPerHost: 64, DisableCompression: true,
			ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10,
		},
	}}
}

func (t *target) close() { t.client.CloseIdleConnections() }

// loopback refuses an address that is not on this host: a benchmark writes
// what it likes.
func loopback(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no base URL such as http://127.0.0.1:9000", base)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%q is not on this host, and a benchmark only measures what is: it overwrites components", base)
}

// do makes a request and hands the answer, which must be a success, to take.
func (t *target) do(ctx context.Context, method, path string, body []byte, take func(io.Reader) error) error {
	return t.exchange(ctx, method, path, body, t.client.Do, take)
}

// exchange does it with whatever carries a request to the target.
func (t *target) exchange(
	ctx context.Context, method, path string, body []byte,
	carry func(*http.Request) (*http.Response, error), take func(io.Reader) error,
) error {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := carry(req)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, shownBytes))
		return &refusal{t.name, method, path, res.StatusCode, string(text)}
	}
	if err := take(res.Body); err != nil {
		return fmt.Errorf("%s: read the answer to %s %s: %w", t.name, method, path, err)
	}
	return nil
}

// refusal is an answer that is no success.
type refusal struct {
	name, method, path string
	status             int
	text               string
}

// Error says who refused what.
func (r *refusal) Error() string {
	path, _, _ := strings.Cut(r.path, "?")
	return fmt.Sprintf("%s: %s %s: status %d: %s", r.name, r.method, path, r.status, r.text)
}

func refused(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// reading are the buffers of answers that are thrown away: a new one for each
// would cost more than many an answer.
var reading = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// discard reads an answer to its end.
func discard(body io.Reader) error {
	buf, _ := reading.Get().(*[readBuffer]byte)
	defer reading.Put(buf)
	for {
		if _, err := body.Read(buf[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// get returns an answer as a whole.
func (t *target) get(ctx context.Context, path string) ([]byte, error) {
	var out []byte
	err := t.do(ctx, http.MethodGet, path, nil, func(body io.Reader) error {
		var err error
		out, err = io.ReadAll(io.LimitReader(body, maxKept))
		return err
	})
	return out, err
}

// into decodes the answer to a GET.
func (t *target) into(ctx context.Context, path string, value any) error {
	return t.do(ctx, http.MethodGet, path, nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(value) })
}

// send makes a request with a body and throws the answer away.
func (t *target) send(ctx context.Context, method, path string, body []byte) error {
	return t.do(ctx, method, path, body, discard)
}

// took returns how many milliseconds something took.
func took(work func() error) (float64, error) {
	began := time.Now()
	err := work()
	return float64(time.Since(began)) / float64(time.Millisecond), err
}

// rate lets some workers do count pieces of work and returns how many were done
// in a second.
func rate(ctx context.Context, workers, count int, work func(ctx context.Context, worker, i int) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	began := time.Now()
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < count && ctx.Err() == nil; i += workers {
				if err := work(ctx, worker, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// inTurn measures ours and the limit (nil for none) in turn, after one round of
// each that does not count: what disturbs the machine disturbs both.
func inTurn(name string, rounds int, ours, limit func() (float64, error)) (measured, error) {
	m := measured{row: name}
	for round := range rounds + 1 {
		a, err := ours()
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		if round > 0 {
			m.ours = append(m.ours, a)
		}
		if limit == nil {
			continue
		}
		b, err := limit()
		if err != nil {
			return m, fmt.Errorf("%s, the limit: %w", name, err)
		}
		if round > 0 {
			m.limit = append(m.limit, b)
		}
	}
	return m, nil
}

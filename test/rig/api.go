// SPDX-License-Identifier: MIT

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// API speaks to one or several servers of one BOS.
type API struct {
	t      testing.TB
	bases  []string
	client *http.Client
	tenant string
	next   atomic.Int64
}

// As returns a client of the same servers that speaks for a tenant, and waits
// for an answer as long as is said.
func (a *API) As(tenant string, patience time.Duration) *API {
	return &API{t: a.t, bases: a.bases, tenant: tenant, client: &http.Client{Transport: a.client.Transport, Timeout: patience}}
}

// NewAPI returns a client of the servers at some addresses.
func NewAPI(t testing.TB, addresses ...string) *API {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	a := &API{t: t, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
	for _, address := range addresses {
		a.bases = append(a.bases, "http://"+address)
	}
	return a
}

// Answer is what a server said.
type Answer struct {
	Status int
	Body   []byte
}

// OK reports whether the server did what it was asked for.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Into decodes the answer.
func (a Answer) Into(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("decode %.200s: %w", a.Body, err)
	}
	return nil
}

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(b), nil
	case []byte:
		return b, nil
	}
	return json.Marshal(body)
}

// Ask sends a request to the server with a number. An error says that nobody
// knows whether it was carried out.
func (a *API) Ask(ctx context.Context, server int, method, path string, body any) (Answer, error) {
	payload, err := encode(body)
	if err != nil {
		return Answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, method, a.bases[server%len(a.bases)]+path, bytes.NewReader(payload))
	if err != nil {
		return Answer{}, err
	}
	if payload != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if a.tenant != "" {
		r.Header.Set("Cray-Tenant-Name", a.tenant)
	}
	res, err := a.client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, data}, err
}

// Try sends a request to one of the servers, each in turn.
func (a *API) Try(ctx context.Context, method, path string, body any) (Answer, error) {
	return a.Ask(ctx, int(a.next.Add(1)), method, path, body)
}

// retryPause is how long a client waits before it tries again.
const retryPause = 50 * time.Millisecond

// Retry sends a request to one server after the other until one answers it with
// anything but a failure of its own.
func (a *API) Retry(ctx context.Context, method, path string, body any) (Answer, error) {
	for {
		answer, err := a.Try(ctx, method, path, body)
		if err == nil && answer.Status < http.StatusInternalServerError {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("%d %.300s", answer.Status, answer.Body)
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return answer, errors.Join(ctx.Err(), err)
		}
	}
}

// Do is Retry for requests that must succeed within a minute.
func (a *API) Do(method, path string, body any) Answer {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := a.Retry(ctx, method, path, body)
	if err != nil || !answer.OK() {
		a.t.Fatalf("%s %s: %d %.500s, %v", method, path, answer.Status, answer.Body, err)
	}
	return answer
}

// Get decodes what a server has at a path.
func (a *API) Get(path string, v any) {
	a.t.Helper()
	if err := a.Do(http.MethodGet, path, nil).Into(v); err != nil {
		a.t.Fatalf("GET %s: %v", path, err)
	}
}

// Ready waits until the server with a number is ready.
func (a *API) Ready(server int) {
	a.t.Helper()
	a.Until(time.Minute, fmt.Sprintf("server %d is ready", server), func() error {
		answer, err := a.Ask(context.Background(), server, http.MethodGet, "/readyz", nil)
		if err == nil && !answer.OK() {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
}

// Until repeats a check until it holds; the test ends if it does not in time.
func (a *API) Until(within time.Duration, what string, holds func() error) time.Duration {
	a.t.Helper()
	begun := time.Now()
	for {
		err := holds()
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > within {
			a.t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// RoundTripper sends the reports of simulated nodes to the servers in turn, and
// to the next one if one does not answer.
func (a *API) RoundTripper() http.RoundTripper { return balancer{a} }

type balancer struct{ api *API }

// RoundTrip implements [http.RoundTripper].
func (b balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	var fault error
	for range b.api.bases {
		base := b.api.bases[int(b.api.next.Add(1))%len(b.api.bases)]
		next, err := http.NewRequestWithContext(r.Context(), r.Method, base+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		next.Header = r.Header.Clone()
		res, err := b.api.client.Transport.RoundTrip(next)
		if err == nil && res.StatusCode < http.StatusInternalServerError {
			return res, nil
		}
		if err == nil {
			_ = res.Body.Close()
			err = errors.New(res.Status)
		}
		fault = err
	}
	return nil, fault
}

// reportClient is how nodes report to the servers.
func reportClient(a *API) *http.Client {
	return &http.Client{Transport: a.RoundTripper(), Timeout: 13 * time.Second}
}

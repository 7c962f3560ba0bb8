// SPDX-License-Identifier: MIT

package upstreamtest

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"bos/internal/upstream/call"
)

// Copies checks of how many requests a call consists that a service in trouble
// does not answer.
func Copies(t *testing.T, name string, want int32, do func(context.Context, *call.Service) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lost := &losing{}
		s := call.New(call.Config{Name: name, BaseURL: "http://" + host, Transport: lost})
		for range 2 {
			lost.requests.Store(0)
			if err := do(t.Context(), s); !call.IsAway(err) {
				t.Errorf("got %v", err)
			}
		}
		if got := lost.requests.Load(); got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
	})
}

// losing is a service that answers nothing.
type losing struct{ requests atomic.Int32 }

// RoundTrip waits until the request is given up.
func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	l.requests.Add(1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

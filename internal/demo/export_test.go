// SPDX-License-Identifier: MIT

package demo

import (
	"net/http"
	"net/http/httptest"

	"bos/internal/store/mem"
)

// InVirtualTime makes a demonstration one that works in a testing/synctest
// bubble: on a store in memory and without sockets.
func InVirtualTime(cfg Config) Config {
	cfg.wire = &wire{engine: mem.New(), transport: func(h http.Handler) http.RoundTripper { return inProcess{h} }}
	return cfg
}

// inProcess has a handler answer at once.
type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

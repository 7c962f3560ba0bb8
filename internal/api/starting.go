// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"bos/internal/bos"
)

// Starting answers while the store is being opened, which takes as long as a
// majority of its members is away: the process lives, and everything else has
// to wait. The prefix is that of [Config].
func Starting(prefix string) http.Handler {
	body, err := json.Marshal(describe(bos.Unavailable("store", errors.New("it is being opened"))))
	health, healthErr := json.Marshal(health{DBStatus: healthAway, APIStatus: healthOK})
	body = append(body, '\n')
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if rest, ok := strings.CutPrefix(path, prefix+"/"); ok {
			path = "/" + rest
		}
		write := func(status int, contentType string, data []byte) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(status)
			// A client that has gone needs no answer.
			_, _ = w.Write(data)
		}
		switch {
		case path == "/livez":
			write(http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
		case path == "/v2/healthz" && healthErr == nil:
			write(http.StatusOK, contentTypeJSON, health)
		case err == nil:
			write(http.StatusServiceUnavailable, contentTypeProblem, body)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

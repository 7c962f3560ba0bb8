// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"bos/internal/bos"
)

// Probes lets only those requests through to a handler of [New] or [Starting]
// that look after a process: /metrics, /livez and /readyz, guarded as they are
// there. It is for processes that serve no API.
func Probes(all http.Handler) http.Handler {
	paths := []string{"/metrics", "/livez", "/readyz"}
	body, err := json.Marshal(describe(&bos.Error{
		Code: bos.CodeNotFound, Title: titleNoPath,
		Message: "this process serves no API; there is only " + strings.Join(paths, ", "),
	}))
	body = append(body, '\n')
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, path := range paths {
			// What is escaped there stands for something else, or is there for no
			// good reason.
			if r.URL.Path == path && r.URL.RawPath == "" {
				all.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("Content-Type", contentTypeProblem)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		if err == nil {
			// A client that has gone needs no answer.
			_, _ = w.Write(body)
		}
	})
}

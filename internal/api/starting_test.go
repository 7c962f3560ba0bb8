// SPDX-License-Identifier: MIT

package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bos/internal/api"
)

// While the store is opened the process says that it lives, and that it can't
// answer yet.
func TestStarting(t *testing.T) {
	h := api.Starting("/apis/bos")
	tests := []struct {
		path   string
		status int
		want   string
	}{
		{"/livez", http.StatusOK, "ok\n"},
		{"/apis/bos/livez", http.StatusOK, "ok\n"},
		{"/v2/healthz", http.StatusOK, `{"dbStatus":"not_available","apiStatus":"ok"}`},
		{"/readyz", http.StatusServiceUnavailable, `"detail":"store is not available`},
		{"/apis/bos/v2/components", http.StatusServiceUnavailable, `"title":"Service Unavailable"`},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.path, w.Code, w.Body)
		}
	}
}

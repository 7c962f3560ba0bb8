// SPDX-License-Identifier: MIT

package call_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"bos/internal/upstream/call"
)

// A service's time is that of its answers, and passes as time does.
func TestTime(t *testing.T) {
	date := "Sat, 01 Aug 2026 12:00:00 GMT"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = []string{date}
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	s := call.New(call.Config{Name: "pcs", BaseURL: server.URL})
	defer s.Close()
	if _, ok := s.Time(time.Now()); ok {
		t.Error("the time of a service is known that never answered")
	}
	ask := func() {
		t.Helper()
		if _, err := s.Do(t.Context(), call.Request{Operation: "ask", Method: http.MethodGet, Path: "/"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	at := time.Now()
	got, ok := s.Time(at.Add(time.Hour))
	if early := got.Sub(time.Date(2026, 8, 1, 13, 0, 0, 0, time.UTC)); !ok || early < 0 || early > time.Minute {
		t.Errorf("an hour later it is %v", got)
	}
	// What is no date changes nothing.
	date = "soon"
	ask()
	if same, ok := s.Time(at.Add(time.Hour)); !ok || !same.Equal(got) {
		t.Errorf("after an answer without a date it is %v", same)
	}
}

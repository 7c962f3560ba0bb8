// SPDX-License-Identifier: MIT

package call

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
)

// serve runs a real server for one test.
func serve(t *testing.T, cfg Config, h http.HandlerFunc) *Service {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg.Name, cfg.BaseURL = "hsm", srv.URL+"/hsm/v2/"
	cfg.TimeScale = 0.01
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

func TestDoSendsAndDecodes(t *testing.T) {
	type sent struct {
		Method, Target, Body string
		Header               map[string]string
	}
	var got sent
	s := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{r.Method, r.URL.RequestURI(), string(body), map[string]string{}}
		for _, name := range []string{"Accept", "Content-Type", "Bos-Attempt", "X-Extra", "Authorization"} {
			got.Header[name] = r.Header.Get(name)
		}
		w.Header().Set("X-Answer", "yes")
		fmt.Fprint(w, `{"Components":[{"ID":"x1c0s0b0n0","Extra":{}}],"Components2":null}`)
	})
	var out struct{ Components []struct{ ID string } }
	header, err := s.Do(t.Context(), Request{
		Operation: "query", Method: http.MethodPost, Path: "/State/Components/Query",
		Query: url.Values{"type": {"Node"}}, Header: http.Header{"x-extra": {"1"}},
		Body: map[string]any{"b": []string{}, "a": "<&>"}, Attempt: "a-1",
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	want := sent{
		Method: "POST", Target: "/hsm/v2/State/Components/Query?type=Node", Body: `{"a":"<&>","b":[]}`,
		Header: map[string]string{
			"Accept": "application/json", "Content-Type": "application/json",
			"Bos-Attempt": "a-1", "X-Extra": "1", "Authorization": "",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if len(out.Components) != 1 || out.Components[0].ID != "x1c0s0b0n0" || header.Get("x-answer") != "yes" {
		t.Errorf("got %+v, %v", out, header)
	}
}

func TestDoNeedsUnderstandableAnswers(t *testing.T) {
	tests := map[string]string{
		"nothing":       "",
		"page":          "<html>login</html>",
		"other type":    `{"Components":"x"}`,
		"array":         `[]`,
		"cut":           `{"Components":[{"ID":"x1`,
		"two documents": `{} {}`,
		"null":          " \n null",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
			out := struct{ Components []struct{ ID string } }{Components: []struct{ ID string }{{"kept"}}}
			_, err := s.Do(t.Context(), read, &out)
			e := asError(t, err)
			if e.Kind != Away || e.Error() != "hsm look: its answer can't be understood" {
				t.Errorf("got %v (%v)", e, e.Kind)
			}
			if len(out.Components) != 1 || out.Components[0].ID != "kept" {
				t.Errorf("a failed call wrote %+v", out)
			}
		})
	}
}

// checked is an answer that needs its list.
type checked struct {
	List []int `json:"list"`
}

func (c *checked) Check() error {
	if c.List == nil {
		return errors.New("no list")
	}
	return nil
}

func TestAnswersAreChecked(t *testing.T) {
	body := `{"list":[1]}`
	var samples []Sample
	s := serve(t, Config{Observe: func(got Sample) { samples = append(samples, got) }},
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(203)
			fmt.Fprint(w, body)
		})
	out := checked{}
	if _, err := s.Do(t.Context(), read, &out); err != nil || len(out.List) != 1 {
		t.Errorf("got %v, %v", out, err)
	}
	body = `{}`
	for range 5 {
		if _, err := s.Do(t.Context(), read, &out); !IsAway(err) || len(out.List) != 1 {
			t.Errorf("got %v, %v", out, err)
		}
	}
	if !s.Health().ReadsAway {
		t.Error("answers that make no sense didn't open the breaker")
	}
	first, last := samples[0], samples[len(samples)-1]
	first.Duration, last.Duration = 0, 0
	if want := (Sample{Service: "hsm", Operation: "look", Method: "GET", Status: 203}); first != want {
		t.Errorf("sample %+v, want %+v", first, want)
	}
	if want := (Sample{Service: "hsm", Operation: "look", Method: "GET", Status: 203, Err: Away}); last != want {
		t.Errorf("sample %+v, want %+v", last, want)
	}
	// JSON null stands for an empty list, which Go services often mean by it.
	body = "null"
	list := []int{1}
	s = serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	if _, err := s.Do(t.Context(), read, &list); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestDoBoundsAnswers(t *testing.T) {
	body := `["` + strings.Repeat("x", 1000) + `"]`
	tests := []struct {
		name   string
		limit  int64
		stream bool
		ok     bool
	}{
		{"just right", int64(len(body)), false, true},
		{"one over", int64(len(body)) - 1, false, false},
		{"far over, no length given", 10, true, false},
		{"default", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				if tt.stream {
					w.(http.Flusher).Flush()
				}
				fmt.Fprint(w, body)
			})
			req := read
			req.MaxResponse = tt.limit
			var list []string
			_, err := s.Do(t.Context(), req, &list)
			var raw []byte
			_, rawErr := s.Do(t.Context(), req, &raw)
			if (err == nil) != tt.ok || (rawErr == nil) != tt.ok {
				t.Fatalf("got %v and %v", err, rawErr)
			}
			if !tt.ok && asError(t, err).Error() != "hsm look: its answer is too long" {
				t.Errorf("got %v", err)
			}
			if tt.ok && string(raw) != body {
				t.Errorf("raw body %q", raw)
			}
		})
	}
}

func TestConnectionThatBreaksOff(t *testing.T) {
	requests := 0
	s := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests == 1 {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"a":[1,2`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"a":[3]}`)
	})
	var out struct {
		A []int `json:"a"`
	}
	if _, err := s.Do(t.Context(), read, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{3}, out.A); diff != "" || requests != 2 {
		t.Errorf("after %d requests: %s", requests, diff)
	}
}

func TestWhatARealConnectionSaysOfMaybeDone(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	s := New(Config{Name: "pcs", BaseURL: closed.URL, TimeScale: 0.01})
	defer s.Close()
	if e := asError(t, do(t, s, write)); e.MaybeDone || e.Error() != "pcs change: connection refused" {
		t.Errorf("refused: %v, maybe done %v", e, e.MaybeDone)
	}
	s = serve(t, Config{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if e := asError(t, do(t, s, write)); !e.MaybeDone || e.Error() != "hsm change: connection lost" {
		t.Errorf("lost: %v, maybe done %v", e, e.MaybeDone)
	}
	// The server can only see the client leave once it has read the body.
	s = serve(t, Config{Timeout: func() time.Duration { return 50 * time.Millisecond }},
		func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
	if e := asError(t, do(t, s, write)); !e.MaybeDone || e.Error() != "hsm change: no answer in time" {
		t.Errorf("time-out: %v, maybe done %v", e, e.MaybeDone)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	requests := 0
	s := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/login", http.StatusFound)
	})
	if e := asError(t, do(t, s, write)); e.Kind != Away || e.Status != 302 || requests != 1 {
		t.Errorf("got %v, status %d, %d requests", e.Kind, e.Status, requests)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	// What the server says of clients that don't trust it is no concern.
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	notPEM := filepath.Join(t.TempDir(), "no.pem")
	if err := os.WriteFile(notPEM, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"unknown certificate", Config{}, "hsm look: its certificate is not accepted"},
		{"insecure", Config{Insecure: true}, ""},
		{"known certificate", Config{CAFile: ca}, ""},
		{"no such file", Config{CAFile: ca + "x"}, "hsm look: it is not configured correctly"},
		{"no certificate", Config{CAFile: notPEM}, "hsm look: it is not configured correctly"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Name, tt.cfg.BaseURL = "hsm", srv.URL
			s := New(tt.cfg)
			defer s.Close()
			got := ""
			if err := do(t, s, read); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWrongAddresses(t *testing.T) {
	for _, base := range []string{"", "cray-smd", "ftp://x", "http://", "http://x?y=z", "://", "http://x/\x7f"} {
		s := New(Config{Name: "hsm", BaseURL: base})
		if e := asError(t, do(t, s, read)); e.Kind != Away || e.Error() != "hsm look: it is not configured correctly" {
			t.Errorf("%q: %v", base, e)
		}
	}
}

func TestTokenFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	got := ""
	s := serve(t, Config{TokenFile: path}, func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
	})
	check := func(want string) {
		t.Helper()
		if err := do(t, s, read); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if e := asError(t, do(t, s, read)); e.Kind != Away || e.Error() != "hsm look: the token for it can't be read" {
			t.Fatalf("without a file: %v", e)
		}
	}
	if s.Health().Away() {
		t.Error("a missing token was taken for a fault of the service")
	}
	put("first\n")
	check("Bearer first")
	put("second-token\n")
	check("Bearer second-token")
	// Replaced by another file of the same length and time.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	other := path + ".new"
	if err := os.WriteFile(other, []byte("SECOND-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	check("Bearer SECOND-token")
	// While it can't be used, the last one is.
	put("")
	check("Bearer SECOND-token")
	put("two words\r\nX-Injected: 1")
	check("Bearer SECOND-token")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("Bearer SECOND-token")
	put("third")
	check("Bearer third")
}

func TestSecretsDoNotComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("tok-1234567890"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{TokenFile: path}, func(w http.ResponseWriter, r *http.Request) {
		var params string
		_ = json.NewDecoder(r.Body).Decode(&params)
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"detail": fmt.Sprintf("host %s got %s and could not keep %s", r.Host, r.Header.Get("Authorization"), params),
		})
	})
	req := write
	req.Body, req.Redact = "quiet splash ro", []string{"quiet splash ro"}
	_, err := s.Do(t.Context(), req, nil)
	if got, want := WordsOf(err), "host … got Bearer … and could not keep …"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsForTheDomain(t *testing.T) {
	s := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			w.WriteHeader(503)
			fmt.Fprint(w, `{"detail":"Database busy"}`)
		case http.MethodPost:
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(404)
			fmt.Fprint(w, "404 page not found\n")
		default:
			w.WriteHeader(405)
		}
	})
	tests := []struct {
		method string
		want   bos.Error
	}{
		{http.MethodGet, bos.Error{
			Code: bos.CodeUnavailable, Dependency: "hsm",
			Message: "hsm is not available: status 503: Database busy",
		}},
		{http.MethodPost, bos.Error{Code: bos.CodeInvalid, Message: "hsm refused: 404 page not found"}},
		{http.MethodPut, bos.Error{Code: bos.CodeInvalid, Message: "hsm refused: status 405"}},
	}
	for _, tt := range tests {
		req := read
		req.Method = tt.method
		err := fmt.Errorf("wrapped: %w", do(t, s, req))
		var got *bos.Error
		if !errors.As(err, &got) {
			t.Fatalf("%s: no domain error in %v", tt.method, err)
		}
		if got.Code != tt.want.Code || got.Message != tt.want.Message || got.Dependency != tt.want.Dependency {
			t.Errorf("%s: got %+v, want %+v", tt.method, *got, tt.want)
		}
		// And back: whoever passes only the domain error on loses nothing.
		if kindOf(got) != kindOf(err) || StatusOf(got) != StatusOf(err) {
			t.Errorf("%s: the call error is lost", tt.method)
		}
	}
	if e := (&Error{Kind: Canceled}); errors.As(e, new(*bos.Error)) {
		t.Error("a canceled call has a code")
	}
}

func TestBodiesThatCannotBeEncodedAreNotSent(t *testing.T) {
	s := serve(t, Config{}, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	req := write
	req.Body = func() {}
	if err := do(t, s, req); bos.CodeOf(err) != bos.CodeInternal {
		t.Errorf("got %v", err)
	}
}

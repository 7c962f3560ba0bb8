// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve starts a server and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL + "/apis/bos/", Tenant: "blue", UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer makes a handler that gives one answer.
func answer(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

func TestRequests(t *testing.T) {
	var got *http.Request
	var body []byte
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		answer(http.StatusOK, "application/json", `{"extra": 1}`)(w, r)
	})
	raw, err := c.PatchComponent(t.Context(), "a/b c", []byte(`{"enabled":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != `{"extra": 1}` || string(body) != `{"enabled":true}` {
		t.Errorf("sent %s, got %s", body, raw)
	}
	if got.Method != http.MethodPatch || got.RequestURI != "/apis/bos/v2/components/a%2Fb%20c" {
		t.Errorf("%s %s", got.Method, got.RequestURI)
	}
	want := map[string]string{
		"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "test/1", "Cray-Tenant-Name": "blue",
	}
	for name, value := range want {
		if got.Header.Get(name) != value {
			t.Errorf("%s: %s", name, got.Header.Get(name))
		}
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	for _, name := range []string{"", ".", ".."} {
		if err := c.DeleteSession(t.Context(), name); err == nil {
			t.Errorf("DeleteSession of %q", name)
		}
		if err := c.DeleteTemplate(t.Context(), name); err == nil {
			t.Errorf("DeleteTemplate of %q", name)
		}
		if err := c.DeleteComponent(t.Context(), name); err == nil {
			t.Errorf("DeleteComponent of %q", name)
		}
	}
}

func TestNothingIsNotEverything(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	if _, err := c.ComponentsOf(t.Context(), nil, nil); err == nil {
		t.Error("ComponentsOf of nothing")
	}
	if _, err := c.PatchComponents(t.Context(), nil, json.RawMessage(`{}`), false); err == nil {
		t.Error("PatchComponents of nothing")
	}
	if _, err := c.ApplyStaged(t.Context(), nil); err == nil {
		t.Error("ApplyStaged of nothing")
	}
}

func TestProblems(t *testing.T) {
	long := strings.Repeat("x", 1000)
	tests := []struct {
		name, kind, text string
		status           int
		want             Problem
	}{
		{
			name: "a problem document", status: 404, kind: "application/problem+json",
			text: `{"type":"about:blank","title":"Gone","status":404,"detail":"It is gone","more":1}`,
			want: Problem{404, "Gone", "It is gone"},
		},
		{
			name: "one without a title", status: 409, kind: "application/json", text: `{"detail":"Busy"}`,
			want: Problem{409, "409 Conflict", "Busy"},
		},
		{
			name: "a page", status: 503, kind: "text/html", text: "\n \n<b>\x1b[2Jbusy</b>\nmore",
			want: Problem{503, "503 Service Unavailable", "<b>[2Jbusy</b>"},
		},
		{
			name: "a page that says it is JSON", status: 500, kind: "application/json", text: "<html>",
			want: Problem{500, "500 Internal Server Error", "<html>"},
		},
		{name: "nothing", status: 500, want: Problem{500, "500 Internal Server Error", ""}},
		{name: "much", status: 500, text: long, want: Problem{500, "500 Internal Server Error", long[:200] + "..."}},
		{name: "an unknown status", status: 599, text: "a", want: Problem{599, "599 status code 599", "a"}},
		{
			name: "a success that is no JSON", status: 200, kind: "text/plain", text: "hello",
			want: Problem{200, "200 OK, but the answer is not JSON", "hello"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, answer(test.status, test.kind, test.text))
			_, err := c.Options(t.Context())
			var got *Problem
			if !errors.As(err, &got) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
			if IsNotFound(err) != (test.status == 404) {
				t.Error("IsNotFound is wrong")
			}
		})
	}
}

func TestDocumentsThatBreakOff(t *testing.T) {
	c := serve(t, answer(http.StatusOK, "application/json", `{"a": `))
	if raw, err := c.Options(t.Context()); err == nil {
		t.Errorf("%s passed for JSON", raw)
	}
}

func TestLists(t *testing.T) {
	tests := []struct {
		text string
		want []int
		ok   bool
	}{
		{"[]", nil, true},
		{" [1, 2,3 ]\n", []int{1, 2, 3}, true},
		{"[1, 2", []int{1, 2}, false},
		{"[1,", []int{1}, false},
		{"", nil, false},
		{"{}", nil, false},
		{`[1, "a"]`, []int{1}, false},
	}
	for _, test := range tests {
		c := serve(t, answer(http.StatusOK, "application/json", test.text))
		list, err := c.Sessions(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for one, err2 := range Each[int](list) {
			if err = err2; err == nil {
				got = append(got, one)
			}
		}
		if !slices.Equal(got, test.want) || (err == nil) != test.ok {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
}

// TestManyComponents asks for more components than one request can name.
func TestManyComponents(t *testing.T) {
	var ids []string
	for n := range 2000 {
		ids = append(ids, fmt.Sprintf("x1000c0s%db0n0", 1999-n))
	}
	requests := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		if len(r.RequestURI) > 8192 {
			t.Errorf("a request line of %d characters", len(r.RequestURI))
		}
		if r.URL.Query().Get("enabled") != "true" {
			t.Error("the filter got lost")
		}
		asked := strings.Split(r.URL.Query().Get("ids"), ",")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(asked)
	})
	list, err := c.ComponentsOf(t.Context(), append(ids, ids...), url.Values{"enabled": {"true"}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := list.Raw()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode[[]string](raw)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
	if requests < 2 {
		t.Errorf("%d requests", requests)
	}
	if OneRequest(ids) || !OneRequest(ids[:100]) {
		t.Error("OneRequest is wrong")
	}
}

func TestManyComponentsThatEndInAnError(t *testing.T) {
	requests := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests > 1 {
			answer(http.StatusServiceUnavailable, "application/problem+json", `{"title":"Away"}`)(w, r)
			return
		}
		answer(http.StatusOK, "application/json", `["a"]`)(w, r)
	})
	var ids []string
	for n := range 1000 {
		ids = append(ids, fmt.Sprintf("x1000c0s%db0n0", n))
	}
	list, err := c.ComponentsOf(t.Context(), ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	text, err := io.ReadAll(list)
	var problem *Problem
	if !errors.As(err, &problem) || problem.Title != "Away" || string(text) != `["a"` {
		t.Errorf("%s (%v)", text, err)
	}
}

func TestBulkPatches(t *testing.T) {
	var uri, body string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		uri, body = r.RequestURI, string(text)
		answer(http.StatusOK, "application/json", `[]`)(w, r)
	})
	patch := json.RawMessage(`{"enabled":false}`)
	many := make([]string, 6000)
	for i := range many {
		many[i] = fmt.Sprintf("x1000c0s%db0n0", i)
	}
	tests := []struct {
		ids       []string
		skip      bool
		uri, body string
	}{
		{[]string{"a", "b"}, false, "/apis/bos/v2/components", `{"filters":{"ids":"a,b"},"patch":{"enabled":false}}`},
		{[]string{"a", `"`}, true, "/apis/bos/v2/components?skip_bad_ids=true", `[{"enabled":false,"id":"a"},{"enabled":false,"id":"\""}]`},
		{many, false, "/apis/bos/v2/components", `[{"enabled":false,"id":"x1000c0s0b0n0"},`},
	}
	for _, test := range tests {
		list, err := c.PatchComponents(t.Context(), test.ids, patch, test.skip)
		if err != nil {
			t.Fatal(err)
		}
		list.Close()
		if uri != test.uri || !strings.HasPrefix(body, test.body) {
			t.Errorf("%s %.200s", uri, body)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, wrong := range []string{"", "host:9000", "/path", "ftp://host", "http://", "http://h?a=b", "http://h#a", "http://[::1", "http://h\x7f"} {
		if _, err := New(Config{URL: wrong}); err == nil {
			t.Errorf("%q is taken for an address", wrong)
		}
	}
	c, err := New(Config{URL: "https://user:geheim@host/apis/bos//"})
	if err != nil {
		t.Fatal(err)
	}
	if c.URL() != "https://user:xxxxx@host/apis/bos" {
		t.Error(c.URL())
	}
}

func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
		answer(http.StatusOK, "application/json", "{}")(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"first\n", "second", `{"access_token": "third"}`} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Options(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"Bearer first", "Bearer second", "Bearer third"}, sent); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"", " \n", "{", `{"token": "geheim"}`, "geheim geheim", "geheim\x00", "gehe\u00efm"} {
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Options(t.Context()); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if len(sent) != 3 {
		t.Errorf("%d requests were made", len(sent))
	}
}

func TestPatienceEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/options" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "[1,")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var unreachable *ConnectionError
	if _, err = c.Options(t.Context()); !errors.As(err, &unreachable) || unreachable.Reason != "no answer within 20ms" {
		t.Error(err)
	}
	// What has arrived is read; the rest of it is waited for as long again.
	list, err := c.Sessions(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	if _, err = io.ReadAll(list); !errors.As(err, &unreachable) || unreachable.Reason != "no answer within 20ms" {
		t.Error(err)
	}
}

func TestPatienceDoesNotCountTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(t.Context(), time.Second)
		time.Sleep(900 * time.Millisecond)
		p.rest()
		time.Sleep(time.Hour)
		p.wait()
		time.Sleep(900 * time.Millisecond)
		if p.ctx.Err() != nil {
			t.Error("given up too early")
		}
		time.Sleep(200 * time.Millisecond)
		var waited *impatience
		if !errors.As(context.Cause(p.ctx), &waited) || waited.limit != time.Second {
			t.Error("not given up")
		}
		p.end()
	})
}

func TestInterruptions(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := c.Options(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"bos/internal/api/front"
)

func TestRouting(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components/x1", `{"enabled":false}`).wants(200)
	s.template("t")
	s.session("s")
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200}, {"GET", "//", 200}, {"GET", "/v2", 200}, {"GET", "//v2", 200}, {"GET", "///v2", 200},
		{"GET", "/apis/bos", 200}, {"GET", "/apis/bos/", 200}, {"GET", "/apis/bos/v2", 200}, {"GET", "//apis/bos/v2", 200},
		{"GET", "/apis/bos//v2", 200}, {"GET", "/apis/bos/apis/bos/v2", 404}, {"GET", "/apis/bosv2", 404}, {"GET", "/apis", 404},
		{"GET", "/v2/", 404}, {"GET", "/V2", 404}, {"GET", "/v1", 404}, {"GET", "/v1/session", 404}, {"GET", "/nope", 404},
		{"GET", "/v2/nope", 404}, {"GET", "/v2//components", 404}, {"GET", "/v2/components/", 404}, {"GET", "/v2/components//", 404},
		{"GET", "/v2/sessions/", 404}, {"GET", "/v2/sessions/s", 200}, {"GET", "/v2/sessions/s/", 404}, {"GET", "/v2/sessions/s/b", 404},
		{"GET", "/v2/sessions//status", 404}, {"GET", "/v2/sessions/s/status", 200}, {"GET", "/v2/sessions/s/status/", 404},
		{"GET", "/v2/components/x1", 200}, {"GET", "/v2/components/x%31", 200}, {"GET", "/v2/%63omponents/x1", 200},
		{"GET", "/v2/components/x1%2F", 404}, {"GET", "/v2/components%2Fx1", 404}, {"GET", "/v2%2Fcomponents", 404},
		{"GET", "/v2/components/x1%2f", 404}, {"GET", "/v2/sessiontemplates/a%2Fb", 404}, {"PUT", "/v2/sessiontemplates/a%2Fb", 404},
		{"GET", "/v2/sessiontemplates/a%2525", 400}, {"GET", "/v2/components/%2E%2E", 404},
		{"HEAD", "/v2", 200}, {"HEAD", "/v2/components", 200}, {"HEAD", "/v2/sessions", 200}, {"HEAD", "/v2/components/x1", 200},
		{"HEAD", "/v2/sessiontemplates/none", 404}, {"HEAD", "/v2/applystaged", 405},
		{"OPTIONS", "/v2/sessions", 200}, {"OPTIONS", "/v2/components/x1", 200}, {"OPTIONS", "/nope", 404},
		{"POST", "/", 405}, {"TRACE", "/v2", 405}, {"BREW", "/v2", 405}, {"PUT", "/v2/healthz", 405}, {"get", "/v2", 405},
		{"DELETE", "/v2/components", 405}, {"POST", "/v2/components/x1", 405}, {"GET", "/v2/applystaged", 405}, {"PUT", "/v2/sessions", 405},
		{"GET", "/livez", 200}, {"GET", "/apis/bos/livez", 200}, {"GET", "/readyz", 200}, {"GET", "/metrics", 200},
		{"GET", "/openapi.json", 200}, {"GET", "/openapi.yaml", 200}, {"GET", "/apis/bos/openapi.yaml", 200},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			s.tb = t
			got := s.do(tc.method, tc.path, "").wants(tc.status)
			switch {
			case tc.method == "HEAD" || tc.method == "OPTIONS" && tc.status == 200:
				if len(got.body) != 0 {
					t.Errorf("a body: %s", got.body)
				}
			case tc.status == 404 && strings.Contains(string(got.body), "there is nothing"):
				got.problem(404, "Not Found")
			case tc.status == 405:
				got.problem(405, "Method Not Allowed", got.header.Get("Allow"))
			}
			if (tc.status == 405 || tc.method == "OPTIONS" && tc.status == 200) && got.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func TestAllow(t *testing.T) {
	s := start(t, nil)
	for path, want := range map[string]string{
		"/":               "GET, HEAD, OPTIONS",
		"/v2/applystaged": "OPTIONS, POST",
		"/v2/sessions/s":  "DELETE, GET, HEAD, OPTIONS, PATCH",
	} {
		if got := s.do("BREW", path, "").header.Get("Allow"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// A HEAD says how long the answer of the GET is.
func TestHeadHasLength(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"x1"},{"id":"x2"}]`).wants(200)
	for _, path := range []string{"/v2", "/v2/components", "/v2/components/x1", "/v2/options", "/openapi.json"} {
		got := s.do("HEAD", path, "").wants(200)
		if want := fmt.Sprint(len(s.do("GET", path, "").body)); got.header.Get("Content-Length") != want {
			t.Errorf("%s: length %s, want %s", path, got.header.Get("Content-Length"), want)
		}
	}
}

func TestOtherPrefix(t *testing.T) {
	s := start(t, func(c *Config) { c.Prefix = "/boot" })
	s.do("GET", "/boot/v2", "").wants(200)
	s.do("GET", "/apis/bos/v2", "").wants(404)
}

func TestNewRefuses(t *testing.T) {
	good := start(t, nil).server
	cfg := func() Config {
		return Config{Store: good.store, View: good.view, Clock: good.clock, Images: good.images, Explain: good.explain, Plan: good.plan}
	}
	for name, change := range map[string]func(*Config){
		"no store":         func(c *Config) { c.Store = nil },
		"no view":          func(c *Config) { c.View = nil },
		"no clock":         func(c *Config) { c.Clock = nil },
		"no images":        func(c *Config) { c.Images = nil },
		"no explanations":  func(c *Config) { c.Explain = nil },
		"no plans":         func(c *Config) { c.Plan = nil },
		"relative prefix":  func(c *Config) { c.Prefix = "apis" },
		"prefix of slash":  func(c *Config) { c.Prefix = "/" },
		"open prefix":      func(c *Config) { c.Prefix = "/apis/" },
		"prefix with hole": func(c *Config) { c.Prefix = "/a//b" },
	} {
		c := cfg()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := New(cfg()); err != nil {
		t.Errorf("what is needed is not enough: %v", err)
	}
}

// The document and the handlers must fit; a path that could be read in two ways
// is refused.
func TestRouterRefuses(t *testing.T) {
	load := func(paths string) *front.Front {
		f, err := front.Load([]byte("openapi: 3.0.3\npaths:\n" + paths))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	param := func(id, path string) string {
		return fmt.Sprintf("  %s:\n    get:\n      operationId: %s\n", path, id)
	}
	nobody := func(*exchange) error { return nil }
	for name, tc := range map[string]struct {
		paths    string
		handlers []string
	}{
		"missing handler":   {param("a", "/a"), nil},
		"wrong handler":     {param("a", "/a"), []string{"b"}},
		"left over":         {param("a", "/a"), []string{"a", "b"}},
		"literal and param": {param("a", "/x/a") + param("b", "/x/{id}"), []string{"a", "b"}},
		"param and literal": {param("b", "/x/{id}") + param("a", "/x/a"), []string{"a", "b"}},
		"two params":        {param("a", "/x/{id}") + param("b", "/x/{name}/y"), []string{"a", "b"}},
	} {
		handlers := map[string]handler{}
		for _, id := range tc.handlers {
			handlers[id] = nobody
		}
		if _, err := newRouter(load(tc.paths), handlers); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// What goes wrong in a handler is told to the client and nobody else suffers.
func TestFailedHandler(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("late") {
				_, _ = w.Write([]byte("half"))
			}
			panic("secret")
		})
	})
	got := s.do("GET", "/metrics", "")
	got.problem(500, "Internal Server Error", detailInternal)
	if strings.Contains(string(got.body), "secret") {
		t.Errorf("it tells too much: %s", got.body)
	}
	if !strings.Contains(s.log.String(), "secret") {
		t.Error("the log says nothing")
	}
	resp, err := s.client.Get(s.url + "/metrics?late=1")
	if err == nil {
		_ = resp.Body.Close()
		if resp.ContentLength >= 0 {
			t.Errorf("an answer that was broken off looks whole: %v", resp)
		}
	}
	s.do("GET", "/v2", "").wants(200)
}

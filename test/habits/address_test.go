// SPDX-License-Identifier: MIT

package habits

import (
	"fmt"
	"strings"
	"testing"

	"bos/internal/config"
)

// filled starts a BOS with a template t, a session s and the components x1 to
// x4, which differ in what a list can filter.
func filled(t *testing.T) *site {
	t.Helper()
	s := start(t, nil)
	s.request(t, "PUT /v2/sessiontemplates/t\n\n"+s.template()).wants(200)
	s.request(t, "POST /v2/sessions\n\n"+`{"operation":"boot","template_name":"t","name":"s"}`).wants(201)
	s.request(t, "PUT /v2/components\n\n"+`[{"id":"x1","enabled":true,"session":"s","status":{"phase":"powering_on"}},
		{"id":"x2","enabled":false,"session":"s","error":"e"},{"id":"x3","staged_state":{"session":"s"}},
		{"id":"x4","enabled":true}]`).wants(200)
	s.request(t, "PATCH /v2/components/x4\n\n"+`{"status":{"status_override":"failed"}}`).wants(200)
	return s
}

// template is a template that can be booted.
func (s *site) template() string {
	return `{"boot_sets":{"c":{"type":"s3","path":"` + s.manifest + `","node_list":["x1000c0s0b0n0"]}}}`
}

// The paths that clients and the gateways before them write.
func TestPaths(t *testing.T) {
	s := filled(t)
	for path, status := range map[string]int{
		"/": 200, "//": 200, "/v2": 200, "//v2": 200, "///v2/version": 200, "/apis/bos": 200, "/apis/bos/": 200, "/apis/bos/v2": 200,
		"/apis/bos//v2": 200, "//apis/bos/v2/components/x1": 200, "http://bos.example.com/v2": 200, "http://bos.example.com": 200,
		"/v2/": 404, "/v2//components": 404, "/apis": 404, "/apis/": 404, "/apis/bos/v2/": 404, "/apis/bosv2": 404, "/V2": 404, "/v1": 404,
		"/v1/session": 404, "/v2/components/": 404, "/v2/sessions/": 404, "/v2/sessions/s/": 404, "/v2/sessions/s/status/": 404,
		"/v2/sessiontemplates/": 404, "/v2/options/": 404, "/v2/applystaged/": 404, "/v2/healthz/": 404, "/v2/sessions/s/x": 404,
		"/v2/components/x%31": 200, "/v2/%63omponents/x1": 200, "/v2/components/x1?": 200, "/v2/components/x1%2F": 404,
		"/v2/components/a%2Fb": 404, "/v2/components%2Fx1": 404, "/v2%2fcomponents": 404, "/v2/sessions/a%2fb": 404, "/v2/./components": 404,
		"/v2/../v2": 404, "/v2/sessions/s": 200, "/v2/sessions/%73/status": 200,
	} {
		got := s.request(t, "GET "+path)
		if status == 404 {
			got.problem(404, "Not Found")
			continue
		}
		got.wants(status)
		if got.header.Get("Location") != "" {
			t.Errorf("%s: a redirect", path)
		}
	}
}

// An id of a component may have any character but a slash, in its path too.
func TestIdsInPaths(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct{ escaped, id string }{
		{"x3000c0s1b0n0", "x3000c0s1b0n0"}, {"a%20b", "a b"}, {"a+b", "a+b"}, {"%C3%A9", "é"}, {"%E2%98%83", "☃"}, {"a%3Fb", "a?b"},
		{"a%23b", "a#b"}, {"a:b@c", "a:b@c"}, {"a;b", "a;b"}, {"a,b", "a,b"}, {"%25", "%"}, {"%2E", "."}, {"..", ".."}, {"a%22b", `a\"b`},
		{"a%09b", `a\tb`}, {strings.Repeat("i", 127), strings.Repeat("i", 127)},
	} {
		want := `{"id":"` + c.id + `","error":""}`
		s.request(t, "PUT /v2/components/"+c.escaped+"\n\n"+`{"error":""}`).is(want)
		s.request(t, "PATCH /v2/components/"+c.escaped+"\n\n"+`{"id":"other"}`).is(want)
		s.request(t, "GET /v2/components/"+c.escaped).is(`{"id":"` + c.id + `","error":"","status":{"phase":"","status":"stable","status_override":""}}`)
		s.request(t, "DELETE /v2/components/"+c.escaped).wants(204)
		s.request(t, "GET /v2/components/"+c.escaped).problem(404, "The resource was not found", "does not exist")
	}
	s.request(t, "PUT /v2/components/"+strings.Repeat("i", 128)+"\n\n"+`{"error":""}`).problem(400, "Bad Request", "component_id")
	s.request(t, "PUT /v2/components/%FF\n\n"+`{"error":""}`).problem(400, "Bad Request", "component_id")
}

func TestMethods(t *testing.T) {
	s := filled(t)
	for _, path := range []string{
		"/", "/v2", "/v2/version", "/v2/healthz", "/v2/components", "/v2/components/x1", "/v2/sessions", "/v2/sessions/s", "/v2/sessions/s/status",
		"/v2/sessiontemplates", "/v2/sessiontemplates/t", "/v2/sessiontemplatesvalid/t", "/v2/sessiontemplatetemplate", "/v2/options",
	} {
		get, head := s.request(t, "GET "+path).wants(200), s.request(t, "HEAD "+path).wants(200)
		if len(head.body) != 0 || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: body %q, content type %q", path, head.body, head.header.Get("Content-Type"))
		}
		// Lists that are encoded as they are sent have no length; a running
		// session's progress has another one each second.
		if head.length >= 0 && head.length != get.length && !strings.HasSuffix(path, "/status") {
			t.Errorf("HEAD %s: length %d, GET %d", path, head.length, get.length)
		}
		options := s.request(t, "OPTIONS "+path).wants(200)
		allow := options.header.Get("Allow")
		if !strings.Contains(allow, "GET") || !strings.Contains(allow, "HEAD") || !strings.Contains(allow, "OPTIONS") || len(options.body) != 0 {
			t.Errorf("OPTIONS %s: allows %q, body %q", path, allow, options.body)
		}
		for _, method := range []string{"TRACE", "BREW", "CONNECTED", "get", "LINK"} {
			got := s.request(t, method+" "+path)
			got.problem(405, "Method Not Allowed", allow)
			if got.header.Get("Allow") != allow {
				t.Errorf("%s %s: allows %q", method, path, got.header.Get("Allow"))
			}
		}
	}
	s.request(t, "HEAD /v2/components/none").wants(404)
	s.request(t, "HEAD /nope").wants(404)
	s.request(t, "OPTIONS /nope").problem(404, "Not Found")
	s.request(t, "OPTIONS *").wants(200)
	for _, c := range []string{
		"POST /", "PUT /v2/healthz", "DELETE /v2/components", "POST /v2/components/x1", "GET /v2/applystaged", "PUT /v2/sessions", "PUT /v2/sessions/s",
		"POST /v2/sessiontemplates", "PUT /v2/options", "DELETE /v2/options", "PUT /v2/sessions/s/status", "HEAD /v2/applystaged",
	} {
		got := s.request(t, c)
		if strings.HasPrefix(c, "HEAD") {
			got.wants(405)
			continue
		}
		got.problem(405, "Method Not Allowed")
	}
}

// A node's reporter goes silent for hours unless a 404 has a detail.
func TestReportersAreTold(t *testing.T) {
	s := start(t, nil)
	for _, headers := range []string{"", "Cray-Tenant-Name: \n", "Accept: application/json\n", "Accept: text/html\n"} {
		s.request(t, "PATCH /apis/bos/v2/components/x9\n"+headers+"\n"+`{"id":"x9","actual_state":{"bss_token":"t"}}`).
			problem(404, "The resource was not found", "Component 'x9' does not exist")
	}
	s.request(t, "PUT /v2/components/x9\n\n"+`{"enabled":false}`).wants(200)
	s.request(t, "PATCH /apis/bos/v2/components/x9\n\n"+`{"id":"x9","actual_state":{"bss_token":"t"}}`).wants(200)
}

// Links lead where the client came from.
func TestLinks(t *testing.T) {
	s := start(t, func(c *config.Config) { c.ProxyPath = "/apis/bos" })
	version := func(base string, links ...string) string {
		var out []string
		for i, rel := range []string{"self", "versions"}[:len(links)] {
			out = append(out, fmt.Sprintf(`{"rel":%q,"href":%q}`, rel, base+links[i]))
		}
		return `{"major":"2","minor":"50","patch":"0","links":[` + strings.Join(out, ",") + `]}`
	}
	for headers, base := range map[string]string{
		"":                            "http://bos.example.com",
		"X-Forwarded-For: 10.1.1.1\n": "http://bos.example.com/apis/bos",
		"X-Forwarded-For: 10.1.1.1\nX-Forwarded-Proto: https\n":    "https://bos.example.com/apis/bos",
		"x-forwarded-for: 10.1.1.1, 10.1.1.2\nCookie: a=b; c=d\n":  "http://bos.example.com/apis/bos",
		"Accept: application/xml\nUser-Agent: python-requests/2\n": "http://bos.example.com",
	} {
		s.request(t, "GET /\n"+headers).is("[" + version(base, "/") + "]")
		s.request(t, "GET /v2\n"+headers).is(version(base, "/", "/v2"))
		s.request(t, "GET /v2/version?x=y\n"+headers).is(version(base, "/", "/v2"))
	}
}

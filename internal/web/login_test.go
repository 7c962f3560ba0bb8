// SPDX-License-Identifier: MIT

package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// serveOne asks a handler for a page.
func serveOne(t *testing.T, h http.Handler, path string) answered {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	h.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return answered{res, t, w.Body.String()}
}

func TestLogin(t *testing.T) {
	idp := newIssuer(t)
	s := start(t, 4, idp.configure)
	s.get("/ui/").leads(303, "./login")
	s.get("/ui/sessions?age=1h").leads(303, "./login?to=sessions")
	s.get("/ui/t/blue/nodes/x1").leads(303, "./../../../login?to=t%2Fblue%2Fnodes%2Fx1")
	// Scripts are told to load the whole page; data is refused.
	if got := s.get("/ui/sessions?part=active", "HX-Request", "true"); got.StatusCode != 401 || got.Header.Get("HX-Refresh") != "true" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	s.get("/ui/fleet.json", "Accept", "application/json").wants(401)
	s.get("/ui/login?to=sessions").wants(200, `name="to" value="sessions"`)
	s.get("/ui/static/app.css").wants(200)

	for token, why := range map[string]string{
		"": "Give a token", "a b;c": "no token", "abc": "no JWT", strings.Repeat("a", 40000): "at most",
		idp.token("old", "admin", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}): "expired",
		idp.token("nobody", "unknown", nil):                                                 "no role was given to you",
	} {
		got := s.do("POST", "/ui/login", url.Values{"token": {token}}).wants(401, why, `role="alert"`)
		if got.Header.Get("Set-Cookie") != "" {
			t.Errorf("a token that is not accepted is kept: %s", why)
		}
	}

	// A long token takes several cookies.
	long := idp.token("ops", "admin", map[string]any{"preferred_username": "Olga", "padding": strings.Repeat("x", 9000)})
	got := s.do("POST", "/ui/login", url.Values{"token": {"Bearer " + long + "\n"}, "to": {"sessions"}}).leads(303, "./sessions")
	if cookies := got.Cookies(); len(cookies) < 4 {
		t.Errorf("%d cookies for %d bytes", len(cookies), len(long))
	}
	for _, c := range got.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "" || c.Secure || c.MaxAge != 0 {
			t.Errorf("%+v", c)
		}
	}
	s.get("/ui/sessions").wants(200, "Olga", "Log out")
	s.get("/ui/login").leads(303, "./")
	s.get("/ui/fleet.json").wants(200)
	// The API takes no cookies.
	s.get("/v2/components").wants(401)

	// A shorter one leaves nothing of it behind.
	s.do("POST", "/ui/login", url.Values{"token": {idp.token("bob", "admin", nil)}}).leads(303, "./")
	s.get("/ui/").wants(200, "sub:bob")
	s.do("POST", "/ui/logout", url.Values{}).leads(303, "./login")
	s.get("/ui/").leads(303, "./login")
	// A gateway that authenticates needs no login.
	s.get("/ui/", "Authorization", "Bearer "+idp.token("via-gateway", "admin", nil)).wants(200, "sub:via-gateway").lacks("Log out")
	// The password of a proxy is none of ours.
	s.get("/ui/", "Authorization", "Basic b2xnYTpzZXNhbWU=").leads(303, "./login")
	s.do("POST", "/ui/login", url.Values{"token": {idp.token("bob", "admin", nil)}}).leads(303, "./")
	s.get("/ui/", "Authorization", "Basic b2xnYTpzZXNhbWU=").wants(200, "sub:bob")
	for _, to := range []string{"//evil.example", "https://evil.example", "/x", "../x", "a/../../x", "%2e%2e/x", "\\evil", "login"} {
		s.do("POST", "/ui/login", url.Values{"token": {idp.token("bob", "admin", nil)}, "to": {to}}).leads(303, "./")
	}
}

// Behind something that speaks TLS the cookies go over TLS only.
func TestLoginBehindTLS(t *testing.T) {
	idp := newIssuer(t)
	s := start(t, 4, idp.configure)
	got := s.do("POST", "/ui/login", url.Values{"token": {idp.token("bob", "admin", nil)}}, "X-Forwarded-Proto", "https")
	for _, c := range got.leads(303, "./").Cookies() {
		if !c.Secure {
			t.Errorf("%+v", c)
		}
	}
}

// A tenant's admin sees the tenant, and nothing else. The tenant blue has the first
// half of the nodes.
func TestTenant(t *testing.T) {
	idp := newIssuer(t)
	s := start(t, 8, idp.configure)
	nodes := s.discovered()
	admin := "Bearer " + idp.token("ops", "admin", nil)
	s.putTemplate("compute", "Authorization", admin)
	s.putTemplate("blues", "Authorization", admin, "Cray-Tenant-Name", "blue")
	s.do("POST", "/ui/tenant", url.Values{"tenant": {"blue"}}, "Authorization", admin).leads(303, "./t/blue/")
	s.do("POST", "/ui/t/blue/tenant", url.Values{"tenant": {""}}, "Authorization", admin).leads(303, "./../../")
	s.do("POST", "/ui/tenant", url.Values{"tenant": {"a/b"}}, "Authorization", admin).wants(400)
	s.get("/ui/templates", "Authorization", admin).wants(200, `href="./t/blue/templates/blues"`, `href="./templates/compute"`)

	token := idp.token("tina", "tenant-admin", map[string]any{"groups": []string{"/blue-tenant-admin"}})
	s.do("POST", "/ui/login", url.Values{"token": {token}}).leads(303, "./t/blue/")
	s.get("/ui/t/blue/").wants(200, `value="blue"`, "4 nodes", `href="./../../static/`)
	s.get("/ui/t/blue/templates").wants(200, `href="./templates/blues"`).lacks("templates/compute")
	s.get("/ui/t/blue/nodes/"+nodes[0]).wants(200, nodes[0])
	s.get("/ui/t/blue/nodes/"+nodes[5]).wants(404, "does not exist")
	s.get("/ui/").wants(403, "must name your tenant: blue")
	s.get("/ui/t/red/").wants(403, "does not name your tenant")
	s.do("POST", "/ui/t/blue/templates/blues/sessions", url.Values{"operation": {"boot"}, "name": {"b1"}}).leads(303, "./../../sessions/b1")
	s.get("/ui/t/blue/sessions/b1").wants(200, "b1")
	s.get("/ui/sessions", "Authorization", admin).wants(200, `href="./t/blue/sessions/b1"`, "of blue")
}

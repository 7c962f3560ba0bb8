// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"bos/internal/audit"
	"bos/internal/auth"
	"bos/internal/bos"
)

// gate is an access whose callers say who they are in the header Authorization,
// without any proof. What they may do is decided as it always is.
type gate struct {
	auth.Policy
	err error
}

func people() map[string]*auth.Identity {
	return map[string]*auth.Identity{
		"root":  {Name: "sub:root", Display: "Root", Issuer: "https://idp", Method: auth.MethodJWT, Roles: []auth.Role{auth.RoleAdmin}},
		"slurm": {Name: "sub:slurm", Method: auth.MethodJWT, Roles: []auth.Role{auth.RoleWLM}},
		"a":     {Name: "sub:a", Method: auth.MethodJWT, Roles: []auth.Role{auth.RoleTenantAdmin}, Tenants: []string{"tenant-a"}},
		"b":     {Name: "sub:b", Method: auth.MethodJWT, Roles: []auth.Role{auth.RoleTenantAdmin}, Tenants: []string{"tenant-b"}},
		"a1":    {Name: "spiffe://s/compute/a1/workload/bos-reporter", Method: auth.MethodMTLS, Roles: []auth.Role{auth.RoleNode}, Node: "a1"},
		"guest": {Name: "sub:guest", Method: auth.MethodJWT},
	}
}

func (g *gate) Identify(r *http.Request) (*auth.Identity, error) {
	name := r.Header.Get("Authorization")
	if name == "" || g.err != nil {
		return nil, g.err
	}
	identity := people()[name]
	if identity == nil {
		return nil, bos.Errorf(bos.CodeUnauthenticated, "the token expired")
	}
	return identity, nil
}

func (*gate) Challenge(err error) string {
	if err != nil && bos.UserText(err) == "the token expired" {
		return `Bearer realm="bos", error="invalid_token"`
	}
	return `Bearer realm="bos"`
}

// trail keeps what is written into it.
type trail struct {
	mu      sync.Mutex
	entries []audit.Entry
}

func (t *trail) Write(e audit.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

// take returns what was written since the call before.
func (t *trail) take() []audit.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.entries
	t.entries = nil
	return taken
}

// guarded starts an API with access and a trail.
func guarded(tb testing.TB, change func(*Config)) (*site, *trail, *gate) {
	tb.Helper()
	written, access := &trail{}, &gate{}
	return start(tb, func(c *Config) {
		c.Access, c.Trail = access, written
		if change != nil {
			change(c)
		}
	}), written, access
}

// by sends a request of somebody, with the tenant that they have.
func (s *site) by(who, method, path, body string, headers ...string) reply {
	s.tb.Helper()
	if who != "" {
		headers = append(headers, "Authorization", who)
	}
	if i := people()[who]; i != nil && len(i.Tenants) > 0 && !slices.Contains(headers, "Cray-Tenant-Name") {
		headers = append(headers, "Cray-Tenant-Name", i.Tenants[0])
	}
	return s.do(method, path, body, headers...)
}

func TestUnauthenticated(t *testing.T) {
	s, _, access := guarded(t, nil)
	got := s.by("", "GET", "/v2/options", "")
	got.problem(401, "Unauthorized", "this needs authentication")
	if h := got.header.Get("WWW-Authenticate"); h != `Bearer realm="bos"` {
		t.Error(h)
	}
	got = s.by("nobody knows", "DELETE", "/v2/sessions", "")
	got.problem(401, "Unauthorized", "the token expired")
	if h := got.header.Get("WWW-Authenticate"); h != `Bearer realm="bos", error="invalid_token"` {
		t.Error(h)
	}
	// That comes before what is wrong with the request, and after its path.
	s.by("", "PATCH", "/v2/components?skip_bad_ids=x", "{").problem(401, "Unauthorized")
	s.by("guest", "PATCH", "/v2/components?skip_bad_ids=x", "{").problem(400, "Bad Request", "skip_bad_ids")
	s.by("guest", "PATCH", "/v2/components", "{").problem(403, "Forbidden", "no role was given to you")
	s.by("", "GET", "/v2/nothing", "").problem(404, "Not Found")
	s.by("", "PUT", "/v2/options", "").problem(405, "Method Not Allowed")
	s.by("", "HEAD", "/v2/options", "").wants(401)

	for _, path := range []string{"/", "/v2", "/v2/version", "/v2/healthz", "/readyz", "/livez", "/apis/bos/livez"} {
		s.by("", "GET", path, "").wants(200)
	}
	// Who can't be known at the moment is told so, except where it does not matter.
	access.err = &bos.Error{Code: bos.CodeUnavailable, Dependency: "jwks", Message: "the keys can't be had"}
	s.by("root", "GET", "/v2/options", "").problem(503, "Service Unavailable", "jwks", "the keys can't be had")
	s.by("root", "GET", "/v2/version", "").wants(200)
}

func TestMetricsAreGuarded(t *testing.T) {
	s, _, access := guarded(t, nil)
	s.by("", "GET", "/metrics", "").problem(401, "Unauthorized")
	s.by("a", "GET", "/metrics", "").problem(403, "Forbidden")
	s.by("root", "GET", "/metrics", "").wants(200)
	access.OpenMetrics = true
	s.by("", "GET", "/metrics", "").wants(200)
}

func TestForbidden(t *testing.T) {
	s, _, _ := guarded(t, nil)
	s.by("root", "PUT", "/v2/components", `[{"id":"a1","enabled":false},{"id":"a2","enabled":false},{"id":"b1","enabled":false}]`).wants(200)
	report := `{"id":"a1","actual_state":{"bss_token":"t"}}`
	s.by("a1", "PATCH", "/v2/components/a1", report).wants(200)
	s.by("a1", "PATCH", "/apis/bos/v2/components/a1", `{"actual_state":{"bss_token":"t"}}`).wants(200)
	// What the front would clean is judged as it is stored.
	s.by("a1", "PATCH", "/v2/components/a1", `{"enabled":true,"actual_state":{}}`).problem(403, "Forbidden", "id and actual_state only")
	s.by("a1", "PATCH", "/v2/components/a1", `{"id":"a2","id":"a1","actual_state":{}}`).wants(200)
	s.by("a1", "PATCH", "/v2/components/a1", `{"id":"a1","id":"a2","actual_state":{}}`).problem(403, "Forbidden", "the id in the body")
	s.by("a1", "PATCH", "/v2/components/a1", `{"Enabled":true}`).problem(400, "Bad Request")
	s.by("a1", "PATCH", "/v2/components/a2", report).problem(403, "Forbidden", "for itself only: a1")
	s.by("a1", "PATCH", "/v2/components/a%31", report).wants(200)
	s.by("a1", "PATCH", "/v2/components/A1", report).problem(403, "Forbidden")
	s.by("a1", "PATCH", "/v2/components/a1", report, "Cray-Tenant-Name", "tenant-a").problem(403, "Forbidden", "no tenant")
	s.by("a1", "GET", "/v2/components/a1", "").problem(403, "Forbidden", "your role (node) may not use get_v2_component")
	s.by("a1", "PATCH", "/v2/components", `[{"id":"a1","actual_state":{}}]`).problem(403, "Forbidden")
	s.by("root", "PATCH", "/v2/components/a1", `{"id":"a2","enabled":false}`).wants(200)

	s.by("a", "GET", "/v2/components", "").wants(200)
	s.by("a", "GET", "/v2/components", "", "Cray-Tenant-Name", "").problem(403, "Forbidden", "must name your tenant: tenant-a")
	s.by("a", "GET", "/v2/components", "", "Cray-Tenant-Name", "tenant-b").problem(403, "Forbidden", "does not name your tenant")
	s.by("a", "DELETE", "/v2/components/a1", "").problem(403, "Forbidden")
	s.by("a", "GET", "/v2/components/b1", "").problem(404, "The resource was not found")
	if got := s.by("root", "GET", "/v2/components", "").names("id"); !slices.Equal(got, []string{"a1", "a2", "b1"}) {
		t.Errorf("components %v", got)
	}
}

// A body that nobody may send is not read: the refusal comes although the client
// still waits for leave to send it.
func TestForbiddenBeforeTheBody(t *testing.T) {
	s, _, _ := guarded(t, nil)
	c := s.dial()
	c.send("PUT /v2/components HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nCray-Tenant-Name: tenant-a\r\n" +
		"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
	c.answer().problem(403, "Forbidden")
}

// Tenants are apart: whatever an admin of one asks, with whatever header, no
// answer shows what is another's or nobody's, and nothing of that changes.
func TestTenantsAreApart(t *testing.T) {
	s, _, _ := guarded(t, nil)
	s.by("root", "PUT", "/v2/components", `[{"id":"a1","error":"of-a"},{"id":"b1","error":"secret"},{"id":"b2","error":"secret"},{"id":"c1","error":"secret"}]`).wants(200)
	for _, tenant := range []string{"tenant-a", "tenant-b", ""} {
		mark := map[string]string{"tenant-a": "of-a"}[tenant]
		if mark == "" {
			mark = "secret"
		}
		for _, name := range []string{"shared", "only-" + mark} {
			s.by("root", "PUT", "/v2/sessiontemplates/"+name, `{"description":"`+mark+`","boot_sets":{"c":`+bootSet+`}}`, "Cray-Tenant-Name", tenant).wants(200)
			s.by("root", "POST", "/v2/sessions", `{"operation":"boot","template_name":"`+name+`","name":"`+name+`","limit":"`+mark+`","stage":true}`, "Cray-Tenant-Name", tenant).wants(201)
		}
	}
	world := func() string {
		var all strings.Builder
		for _, path := range []string{"/v2/components?ids=b1,b2,c1", "/v2/sessiontemplates", "/v2/options"} {
			all.Write(s.by("root", "GET", path, "").body)
		}
		for _, tenant := range []string{"tenant-b", ""} {
			for _, name := range []string{"shared", "only-secret"} {
				all.Write(s.by("root", "GET", "/v2/sessions/"+name, "", "Cray-Tenant-Name", tenant).body)
			}
		}
		return all.String()
	}
	before := world()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"shared", "only-secret", "only-of-a", "a1", "b1", "c1", "new"})
		path := rapid.SampledFrom([]string{
			"/v2/components", "/v2/components/%s", "/v2/components?ids=b1,a1,c1", "/v2/components?session=shared", "/v2/sessions", "/v2/sessions/%s",
			"/v2/sessions/%s/status", "/v2/sessiontemplates", "/v2/sessiontemplates/%s", "/v2/sessiontemplatesvalid/%s", "/v2/options", "/v2/applystaged",
		}).Draw(t, "path")
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, name.Draw(t, "name"))
		}
		method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}).Draw(t, "method")
		body := rapid.SampledFrom([]string{
			"", `{"xnames":["b1","c1","a1"]}`, `[{"id":"b1","error":"x"}]`, `{"error":"x"}`, `{"patch":{"error":"x"},"filters":{"session":"shared"}}`,
			`{"operation":"shutdown","template_name":"only-secret"}`, `{"operation":"shutdown","template_name":"shared"}`, `{"clear_stage":true}`,
			`{"description":"x","boot_sets":{"c":` + bootSet + `}}`,
		}).Draw(t, "body")
		headers := []string{"Cray-Tenant-Name", rapid.SampledFrom([]string{"tenant-a", "tenant-b", "", "tenant-A", "none"}).Draw(t, "tenant")}
		got := s.by("a", method, path, body, headers...)
		if strings.Contains(string(got.body), "secret") && !strings.Contains(path+body, "secret") {
			t.Fatalf("%s shows %s", got.what, got.body)
		}
		if got.status < 300 && headers[1] != "tenant-a" {
			t.Fatalf("%s with the tenant %q: %d", got.what, headers[1], got.status)
		}
	})
	if diff := cmp.Diff(before, world()); diff != "" {
		t.Errorf("what is not the tenant's has changed: %s", diff)
	}
}

// Every request that changes something is in the trail with what it changed, and
// so is every one that was not allowed; nothing else is.
func TestTrail(t *testing.T) {
	s, written, _ := guarded(t, nil)
	s.by("root", "PUT", "/v2/components", `[{"id":"a1"},{"id":"a2","session":"s"},{"id":"b1","enabled":true}]`).wants(200)
	written.take()
	root := audit.Entry{Who: "sub:root", Display: "Root", Issuer: "https://idp", Method: "jwt", Roles: "admin"}
	tenant := audit.Entry{Who: "sub:a", Method: "jwt", Roles: "tenant-admin", Tenant: "tenant-a"}
	nobody := audit.Entry{Method: "none", Roles: "none"}
	for _, tt := range []struct {
		who, method, path, body string
		base                    audit.Entry
		operation               string
		status                  int
		resources               []string
		denied                  string
	}{
		{"root", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":` + bootSet + `}}`, root, "put_v2_sessiontemplate", 200, []string{"t"}, ""},
		{"root", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{}}`, root, "put_v2_sessiontemplate", 400, []string{"t"}, ""},
		{"root", "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s1"}`, root, "post_v2_session", 201, []string{"s1"}, ""},
		{"root", "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s1"}`, root, "post_v2_session", 409, []string{"s1"}, ""},
		{"root", "PATCH", "/v2/sessions/s1", `{"status":{"status":"complete"}}`, root, "patch_v2_session", 200, []string{"s1"}, ""},
		{"root", "DELETE", "/v2/sessions", "", root, "delete_v2_sessions", 204, []string{"s1"}, ""},
		{"root", "PATCH", "/v2/components", `[{"id":"a1","error":"e"},{"id":"b1","error":"e"}]`, root, "patch_v2_components", 200, []string{"a1", "b1"}, ""},
		{"root", "PATCH", "/v2/components", `{"patch":{"error":"f"},"filters":{"session":"s"}}`, root, "patch_v2_components", 200, []string{"a2"}, ""},
		{"root", "PATCH", "/v2/components", `{"patch":{"error":"f"},"filters":{"ids":"a1,x"}}`, root, "patch_v2_components", 404, []string{"a1", "x"}, ""},
		{"root", "PATCH", "/v2/components/a1", `{"error":"g"}`, root, "patch_v2_component", 200, []string{"a1"}, ""},
		{"root", "POST", "/v2/applystaged", `{"xnames":["a1","x"]}`, root, "post_v2_apply_staged", 200, []string{}, ""},
		{"root", "PATCH", "/v2/options", `{"polling_frequency":7,"strange":1}`, root, "patch_v2_options", 200, []string{"polling_frequency", "strange"}, ""},
		{"root", "DELETE", "/v2/components/a1", "", root, "delete_v2_component", 204, []string{"a1"}, ""},
		{"a", "DELETE", "/v2/components/a2", "", tenant, "delete_v2_component", 403, []string{"a2"}, "your role (tenant-admin) may not use delete_v2_component"},
		{"a", "GET", "/v2/options", "", audit.Entry{Who: "sub:a", Method: "jwt", Roles: "tenant-admin"}, "get_v2_options", 403, nil, "your role (tenant-admin) may not use get_v2_options"},
		{"", "DELETE", "/v2/components/a2", "", nobody, "delete_v2_component", 401, []string{"a2"}, "this needs authentication"},
		{"expired", "GET", "/v2/components", "", nobody, "get_v2_components", 401, nil, "the token expired"},
	} {
		got := s.by(tt.who, tt.method, tt.path, tt.body, "X-Request-Id", "r-1", "X-Forwarded-For", "198.51.100.7")
		want := tt.base
		want.Operation, want.Status, want.Resources, want.Denied, want.RequestID, want.ForwardedFor = tt.operation, tt.status, tt.resources, tt.denied, "r-1", "198.51.100.7"
		entries := written.take()
		ignored := cmpopts.IgnoreFields(audit.Entry{}, "Time", "Duration", "Address")
		if diff := cmp.Diff([]audit.Entry{want}, entries, ignored, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", got.what, diff)
			continue
		}
		if e := entries[0]; e.Time.IsZero() || e.Duration <= 0 || !strings.HasPrefix(e.Address, "127.0.0.1:") {
			t.Errorf("%s: %+v", got.what, e)
		}
		if got.header.Get("X-Request-Id") != "r-1" {
			t.Errorf("%s: the answer's id is %q", got.what, got.header.Get("X-Request-Id"))
		}
	}
	for _, path := range []string{"/v2/components", "/v2/options", "/livez", "/v2", "/nothing"} {
		s.by("root", "GET", path, "")
	}
	s.by("root", "PUT", "/v2/options", "{}").wants(405)
	s.by("root", "DELETE", "/v2/sessions?x=1", "").wants(400)
	if got := written.take(); got != nil {
		t.Errorf("reads are written down: %+v", got)
	}
	// An id that is none is replaced.
	for _, id := range []string{"", "a b", `{"x":1}`, strings.Repeat("a", 129)} {
		made := s.by("root", "DELETE", "/v2/components/a2", "", "X-Request-Id", id).header.Get("X-Request-Id")
		if made == id || len(made) < 20 || written.take()[0].RequestID != made {
			t.Errorf("the id %q becomes %q", id, made)
		}
	}
}

// Nothing of a body is in the trail but names.
func TestTrailHoldsNoSecrets(t *testing.T) {
	s, written, _ := guarded(t, nil)
	const body = `{"actual_state":{"bss_token":"hush","boot_artifacts":{"kernel_parameters":"join=hush"}},"error":"hush"}`
	s.by("root", "PUT", "/v2/components/a1", body).wants(200)
	s.by("root", "PUT", "/v2/components/a1", strings.Replace(body, "error", "hush", 1)).wants(400)
	s.by("a1", "PATCH", "/v2/components/a1", body).problem(403, "Forbidden")
	s.by("root", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":{"type":"s3","path":"s3://b/img/m.json","node_list":["x1"],"kernel_parameters":"join=hush"}}}`).wants(200)
	s.by("hush", "DELETE", "/v2/components/a1", "").wants(401)
	entries := written.take()
	text, err := json.Marshal(entries)
	if err != nil || len(entries) != 5 || strings.Contains(string(text), "hush") {
		t.Errorf("%d: %s, %v", len(entries), text, err)
	}
	if strings.Contains(s.log.String(), "hush") {
		t.Errorf("log: %s", s.log)
	}
}

// Without access everybody may do everything, as ever, and is in the trail as
// nobody.
func TestWithoutAccess(t *testing.T) {
	written := &trail{}
	s := start(t, func(c *Config) { c.Trail = written })
	s.do("PUT", "/v2/components/a1", `{"enabled":false}`, "Authorization", "whatever").wants(200)
	got := written.take()
	if len(got) != 1 || got[0].Method != "none" || got[0].Who != "" || got[0].Roles != "none" || got[0].Operation != "put_v2_component" {
		t.Errorf("%+v", got)
	}
}

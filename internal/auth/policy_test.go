// SPDX-License-Identifier: MIT

package auth

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/api/front"
)

// operations returns the operations of the API's document.
func operations(tb testing.TB) []front.Operation {
	tb.Helper()
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	f, err := front.Load(text)
	if err != nil {
		tb.Fatal(err)
	}
	return f.Operations()
}

// The callers of the matrix. Each role is asked as it would rightly be: the
// tenant's admin with its tenant in the header, the node about itself.
const (
	nobody      = "nobody"
	noRole      = "no role"
	admin       = string(RoleAdmin)
	wlm         = string(RoleWLM)
	tenantAdmin = string(RoleTenantAdmin)
	node        = string(RoleNode)
	monitor     = string(RoleMonitor)
)

func callers() map[string]*Identity {
	return map[string]*Identity{
		nobody: nil, noRole: {Name: "sub:x"},
		admin: {Roles: []Role{RoleAdmin}}, wlm: {Roles: []Role{RoleWLM}},
		tenantAdmin: {Roles: []Role{RoleTenantAdmin}, Tenants: []string{"blue", "green"}},
		node:        {Roles: []Role{RoleNode}, Node: "x1c0s0b0n0"},
		monitor:     {Roles: []Role{RoleMonitor}},
	}
}

// allowed is the matrix: for each operation who may use it, beside the admin.
func allowed() map[string][]string {
	everybody := []string{nobody, noRole, wlm, tenantAdmin, node, monitor}
	adminOnly := []string{}
	return map[string][]string{
		"root_get": everybody, "v2_get": everybody, "get_version_v2": everybody, "get_healthz_v2": everybody,
		"get_readyz": everybody, "get_livez": everybody,
		"get_openapi_json": {wlm, tenantAdmin, monitor}, "get_openapi_yaml": {wlm, tenantAdmin, monitor},
		"get_metrics": {monitor},

		"get_v2_sessions": {tenantAdmin}, "post_v2_session": {wlm, tenantAdmin}, "delete_v2_sessions": adminOnly,
		"get_v2_session": {wlm, tenantAdmin}, "patch_v2_session": adminOnly, "delete_v2_session": adminOnly,
		"get_v2_session_status": {wlm, tenantAdmin}, "save_v2_session_status": adminOnly,
		"get_v2_session_outcome": {wlm, tenantAdmin}, "post_v2_session_plan": {wlm, tenantAdmin},
		"cancel_v2_session": {tenantAdmin}, "pause_v2_session": {tenantAdmin}, "resume_v2_session": {tenantAdmin},

		"get_v2_sessiontemplates": {tenantAdmin}, "get_v2_sessiontemplate": {tenantAdmin},
		"put_v2_sessiontemplate": adminOnly, "patch_v2_sessiontemplate": adminOnly, "delete_v2_sessiontemplate": adminOnly,
		"get_v2_sessiontemplatesvalid": adminOnly, "get_v2_sessiontemplatetemplate": adminOnly,

		"get_v2_components": {tenantAdmin}, "get_v2_component": {tenantAdmin}, "get_v2_fleet": {tenantAdmin},
		"put_v2_components": adminOnly, "patch_v2_components": adminOnly,
		"put_v2_component": adminOnly, "patch_v2_component": {node}, "delete_v2_component": adminOnly,
		"post_v2_apply_staged": {wlm, tenantAdmin}, "get_v2_component_why": {tenantAdmin},
		"get_v2_component_timeline": {tenantAdmin}, "get_v2_events": {tenantAdmin}, "get_v2_session_events": {wlm, tenantAdmin},
		"get_v2_options": adminOnly, "patch_v2_options": adminOnly,
	}
}

// Every operation of the document has a row, and every row is as it is written
// down. An operation that is new fails here until it is decided who may use it.
func TestMatrix(t *testing.T) {
	matrix := allowed()
	for _, o := range operations(t) {
		row, ok := matrix[o.ID]
		if !ok {
			t.Errorf("nobody has decided who may use %s", o.ID)
			continue
		}
		delete(matrix, o.ID)
		for name, identity := range callers() {
			q := Request{Identity: identity, Operation: o.ID, Target: "x1c0s0b0n0"}
			if name == tenantAdmin {
				q.Tenant = "green"
			}
			if o.HasBody() {
				q.Body = &Shape{Fields: []string{"id", "actual_state"}, ID: "x1c0s0b0n0"}
			}
			got := Policy{}.Decide(q)
			if want := name == admin || slices.Contains(row, name); got.Allowed != want {
				t.Errorf("%s, %s: %+v, want allowed %v", o.ID, name, got, want)
			}
			if got.Anonymous != (!got.Allowed && identity == nil) || (got.Reason == "") != got.Allowed {
				t.Errorf("%s, %s: %+v", o.ID, name, got)
			}
		}
	}
	for id := range matrix {
		t.Errorf("%s is in the matrix and not in the document", id)
	}
}

func TestUnknownOperation(t *testing.T) {
	for name, identity := range callers() {
		if d := (Policy{}).Decide(Request{Identity: identity, Operation: "get_v3"}); d.Allowed {
			t.Errorf("%s may use an operation that nobody knows", name)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	for name, identity := range callers() {
		if d := (Policy{OpenMetrics: true}).Decide(Request{Identity: identity, Operation: "get_metrics"}); !d.Allowed {
			t.Errorf("%s may not read open metrics", name)
		}
		if d := (Policy{OpenMetrics: true}).Decide(Request{Identity: identity, Operation: "get_v2_options"}); d.Allowed != (name == admin) {
			t.Errorf("%s: open metrics change other rights: %+v", name, d)
		}
	}
}

// What the terms of tenant admins and nodes leave out, and the reason that is
// given.
func TestTerms(t *testing.T) {
	who := callers()
	both := &Identity{Roles: []Role{RoleTenantAdmin, RoleNode}, Tenants: []string{"blue"}, Node: "x1c0s0b0n0"}
	many := &Identity{Roles: []Role{RoleTenantAdmin}, Tenants: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}}
	report := &Shape{Fields: []string{"actual_state"}}
	for _, tt := range []struct {
		name   string
		q      Request
		reason string
	}{
		{"own tenant", Request{Identity: who[tenantAdmin], Operation: "post_v2_session", Tenant: "blue"}, ""},
		{"no tenant", Request{Identity: who[tenantAdmin], Operation: "post_v2_session"}, "the header Cray-Tenant-Name must name your tenant: blue, green"},
		{"another's", Request{Identity: who[tenantAdmin], Operation: "get_v2_components", Tenant: "red"}, "does not name your tenant: blue, green"},
		{"letter case", Request{Identity: who[tenantAdmin], Operation: "get_v2_components", Tenant: "Blue"}, "does not name your tenant"},
		{"many tenants", Request{Identity: many, Operation: "get_v2_components"}, "a, b, c, d, e, f, g, h, …"},
		{"not its operation", Request{Identity: who[tenantAdmin], Operation: "delete_v2_session", Tenant: "blue"}, "your role (tenant-admin) may not use delete_v2_session"},
		{"any tenant of a WLM", Request{Identity: who[wlm], Operation: "post_v2_apply_staged", Tenant: "red"}, ""},
		{"own report", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: report}, ""},
		{"empty report", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: &Shape{}}, ""},
		{"another node", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n1", Body: report}, "a node may report for itself only: x1c0s0b0n0"},
		{"another spelling", Request{Identity: who[node], Operation: "patch_v2_component", Target: "X1c0s0b0n0", Body: report}, "for itself only"},
		{"another's id", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: &Shape{Fields: []string{"id"}, ID: "x1c0s0b0n1"}}, "the id in the body"},
		{"empty id", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: &Shape{Fields: []string{"id"}}}, "the id in the body"},
		{"more than a report", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: &Shape{Fields: []string{"actual_state", "enabled"}}}, "id and actual_state only"},
		{"with a tenant", Request{Identity: who[node], Operation: "patch_v2_component", Target: "x1c0s0b0n0", Tenant: "blue", Body: report}, "no tenant"},
		{"two roles, one allows", Request{Identity: both, Operation: "patch_v2_component", Target: "x1c0s0b0n0", Body: report}, ""},
		{"two roles, the useful reason", Request{Identity: both, Operation: "get_v2_components"}, "must name your tenant: blue"},
		{"two roles, none allows", Request{Identity: both, Operation: "get_v2_options"}, "your role (tenant-admin,node) may not use get_v2_options"},
		{"no role", Request{Identity: who[noRole], Operation: "get_v2_options"}, "no role was given to you"},
		{"nobody", Request{Operation: "get_v2_options"}, "this needs authentication"},
	} {
		d := Policy{}.Decide(tt.q)
		if d.Allowed != (tt.reason == "") || !strings.Contains(d.Reason, tt.reason) {
			t.Errorf("%s: %+v, want the reason %q", tt.name, d, tt.reason)
		}
	}
}

func TestNeedsShape(t *testing.T) {
	who := callers()
	for name, want := range map[string]bool{nobody: false, admin: false, node: true, tenantAdmin: false, wlm: false} {
		q := Request{Identity: who[name], Operation: "patch_v2_component", Target: "x1c0s0b0n0"}
		if q.NeedsShape() != want {
			t.Errorf("%s: NeedsShape is %v", name, !want)
		}
	}
	both := Request{Identity: &Identity{Roles: []Role{RoleAdmin, RoleNode}, Node: "n"}, Operation: "patch_v2_component", Target: "n"}
	if both.NeedsShape() {
		t.Error("an admin's body is looked at")
	}
}

// drawRequest draws a request from a small world, so that things often match.
func drawRequest(t *rapid.T, ops []front.Operation) Request {
	names := rapid.SampledFrom([]string{"", "a", "b", "c"})
	q := Request{
		Operation: rapid.SampledFrom(ops).Draw(t, "operation").ID,
		Tenant:    names.Draw(t, "tenant"),
		Target:    names.Draw(t, "target"),
	}
	if rapid.Bool().Draw(t, "known") {
		q.Identity = &Identity{
			Roles:   rapid.SliceOfDistinct(rapid.SampledFrom(Roles()), rapid.ID[Role]).Draw(t, "roles"),
			Tenants: rapid.SliceOfN(names, 0, 2).Draw(t, "tenants"),
			Node:    names.Draw(t, "node"),
		}
	}
	return q
}

func drawShape(t *rapid.T) *Shape {
	fields := rapid.SampledFrom([]string{"id", "actual_state", "enabled", "desired_state", ""})
	return &Shape{
		Fields: rapid.SliceOfDistinct(fields, rapid.ID[string]).Draw(t, "fields"),
		ID:     rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "id"),
	}
}

// What is refused before the body is known is refused with every body, and
// where no body is asked for none matters.
func TestBodiesOnlyRefuse(t *testing.T) {
	ops := operations(t)
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t, ops)
		before := Policy{}.Decide(q)
		needed := q.NeedsShape()
		q.Body = drawShape(t)
		after := Policy{}.Decide(q)
		if after.Allowed && !before.Allowed {
			t.Fatalf("allowed only with its body: %+v", q)
		}
		if !needed && after.Allowed != before.Allowed {
			t.Fatalf("the body matters, and nobody asks for it: %+v", q)
		}
	})
}

// Tenants are apart: who is a tenant's admin and nothing else is allowed
// nothing but what is open, the document, and requests whose header names one
// of its tenants; and never writes what is not a session or staged.
func TestTenantIsolation(t *testing.T) {
	ops := operations(t)
	unconfined := []string{"get_openapi_json", "get_openapi_yaml"}
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t, ops)
		if q.Identity == nil {
			q.Identity = &Identity{Tenants: []string{"a"}, Node: "a"}
		}
		q.Identity.Roles = []Role{RoleTenantAdmin}
		q.Body = drawShape(t)
		r, _ := rightsFor(q.Operation)
		allowed := Policy{}.Decide(q).Allowed
		own := q.Tenant != "" && slices.Contains(q.Identity.Tenants, q.Tenant)
		if allowed && !r.open && !own && !slices.Contains(unconfined, q.Operation) {
			t.Fatalf("beyond its tenant: %+v of %+v", q, q.Identity)
		}
		i := slices.IndexFunc(ops, func(o front.Operation) bool { return o.ID == q.Operation })
		sessions := []string{
			"post_v2_session", "post_v2_session_plan", "cancel_v2_session", "pause_v2_session", "resume_v2_session", "post_v2_apply_staged",
		}
		writes := ops[i].Method != http.MethodGet && !slices.Contains(sessions, q.Operation)
		if allowed && writes {
			t.Fatalf("writes: %+v", q)
		}
		// Where the header is what confines, the operation looks at it.
		if allowed && own && !r.open && !slices.Contains(unconfined, q.Operation) && !ops[i].Tenanted() {
			t.Fatalf("%s does not look at the header", q.Operation)
		}
	})
}

// A node changes nothing but its own actual state.
func TestNodeIsolation(t *testing.T) {
	ops := operations(t)
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t, ops)
		if q.Identity == nil {
			q.Identity = &Identity{Tenants: []string{"a"}, Node: "a"}
		}
		q.Identity.Roles = []Role{RoleNode}
		q.Body = drawShape(t)
		r, _ := rightsFor(q.Operation)
		if r.open || !(Policy{}).Decide(q).Allowed {
			return
		}
		if q.Operation != "patch_v2_component" || q.Target != q.Identity.Node || q.Target == "" || q.Tenant != "" {
			t.Fatalf("%+v of %+v", q, q.Identity)
		}
		for _, f := range q.Body.Fields {
			if f != "id" && f != "actual_state" || f == "id" && q.Body.ID != q.Identity.Node {
				t.Fatalf("body %+v of %+v", q.Body, q.Identity)
			}
		}
	})
}

// More roles never allow less.
func TestRolesAdd(t *testing.T) {
	ops := operations(t)
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t, ops)
		if q.Identity == nil || !(Policy{}).Decide(q).Allowed {
			return
		}
		more := *q.Identity
		more.Roles = append(slices.Clone(more.Roles), rapid.SampledFrom(Roles()).Draw(t, "more"))
		q.Identity = &more
		if !(Policy{}).Decide(q).Allowed {
			t.Fatalf("with one more role it is refused: %+v", q)
		}
	})
}

func TestIdentityNames(t *testing.T) {
	i := &Identity{Name: "sub:1", Issuer: "https://idp", Method: MethodJWT}
	if i.RoleNames() != "none" || (*Identity)(nil).RoleNames() != "none" || (*Identity)(nil).Has(RoleAdmin) {
		t.Error("nobody has a role")
	}
	other := *i
	other.Issuer = "https://other"
	if i.Key() == other.Key() {
		t.Error("two issuers' subjects are one")
	}
	var g grants
	for _, role := range []Role{RoleNode, RoleWLM, RoleTenantAdmin, RoleWLM} {
		g.add(role)
	}
	g.nodes = []string{"x1", "x1"}
	g.apply(i)
	if diff := cmp.Diff([]Role{RoleWLM, RoleNode}, i.Roles); diff != "" || i.Node != "x1" {
		t.Errorf("%s of %+v", diff, i)
	}
	two := Identity{}
	(&grants{roles: map[Role]bool{RoleNode: true}, nodes: []string{"x1", "x2"}}).apply(&two)
	if len(two.Roles) != 0 {
		t.Errorf("one caller is two nodes: %+v", two)
	}
}

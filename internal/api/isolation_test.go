// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/mem"
)

// The names that every tenant uses, and all nodes: of tenant-a, of tenant-b, of
// no tenant, and one that nobody has.
var (
	sharedNames = []string{"s", "t", "u"}
	allNodes    = []string{"a1", "a2", "a3", "b1", "b2", "c1", "zz"}
)

// drawStep draws any request of a tenant's: about its own nodes, others', and
// such as do not exist. Requests of nobody keep off the tenants' nodes, which it
// may change.
func drawStep(t *rapid.T, tenant string) step {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	nodes := allNodes
	if tenant == "" {
		nodes = []string{"b1", "b2", "c1"}
	}
	id := func() string { return pick("id", nodes...) }
	name := func() string { return pick("name", sharedNames...) }
	node := func() string {
		return pick("node", `"session":"`+name()+`","enabled":true`, `"staged_state":{"session":"`+name()+`","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}`,
			`"error":"of `+tenant+`","status":{"phase":"configuring"}`, `"status":{"status_override":"failed"},"error":"e"`, `"enabled":false,"session":""`,
			`"actual_state":{"bss_token":"t"}`)
	}
	c := step{tenant: tenant}
	set := func(method, path, body string) step {
		c.method, c.path, c.body = method, path, body
		return c
	}
	kinds := []string{
		"read", "read", "read", "list", "list", "put template", "patch template", "delete template", "create", "patch session", "save status", "delete session",
		"steer session", "delete sessions", "put node", "patch node", "delete node", "put nodes", "patch nodes", "patch ids", "apply",
	}
	if tenant != "" {
		kinds = append(kinds, "patch session's nodes")
	}
	switch pick("what", kinds...) {
	case "read":
		return set("GET", pick("path", "/v2/sessions/"+name(), "/v2/sessions/"+name()+"/status", "/v2/sessions/"+name()+"/outcome", "/v2/sessiontemplates/"+name(), "/v2/sessiontemplatesvalid/"+name(), "/v2/components/"+id(), "/v2/components/"+id()+"/why", "/v2/components/"+id()+"/timeline", "/v2/sessions/"+name()+"/events", "/v2/events"), "")
	case "list":
		return set("GET", pick("path", "/v2/sessions", "/v2/sessions?status=complete", "/v2/sessions?min_age=0", "/v2/sessiontemplates", "/v2/components",
			"/v2/components?session="+name(), "/v2/components?staged_session="+name()+"&enabled="+pick("enabled", "true", "false"), "/v2/components?status=configuring,failed",
			"/v2/components?page_size=2&start_after_id="+id(), "/v2/components?ids="+strings.Join(nodes, ",")), "")
	case "put template":
		return set("PUT", "/v2/sessiontemplates/"+name(), `{"description":"of `+tenant+`","boot_sets":{"c":`+bootSet+`}}`)
	case "patch template":
		return set("PATCH", "/v2/sessiontemplates/"+name(), `{"description":"`+pick("description", "x", "y")+`"}`)
	case "delete template":
		return set("DELETE", "/v2/sessiontemplates/"+name(), "")
	case "create":
		return set("POST", "/v2/sessions", `{"operation":"`+pick("operation", "boot", "reboot", "shutdown")+`","template_name":"`+name()+`","name":"`+name()+`","stage":`+pick("stage", "true", "false")+`}`)
	case "patch session":
		return set("PATCH", "/v2/sessions/"+name(), `{"components":"`+id()+`","status":{"status":"`+pick("status", "pending", "running", "complete")+`","error":"of `+tenant+`"}}`)
	case "save status":
		return set("POST", "/v2/sessions/"+name()+"/status", "")
	case "delete session":
		return set("DELETE", "/v2/sessions/"+name(), "")
	case "steer session":
		return set("POST", "/v2/sessions/"+name()+"/"+pick("how", "cancel", "pause", "resume"), "")
	case "delete sessions":
		return set("DELETE", "/v2/sessions"+pick("query", "", "?status=pending", "?status=complete&min_age=0"), "")
	case "put node":
		return set("PUT", "/v2/components/"+id(), "{"+node()+"}")
	case "patch node":
		return set("PATCH", "/v2/components/"+id(), "{"+node()+"}")
	case "delete node":
		return set("DELETE", "/v2/components/"+id(), "")
	case "put nodes":
		return set("PUT", "/v2/components", `[{"id":"`+id()+`",`+node()+`},{"id":"`+id()+`",`+node()+`}]`)
	case "patch nodes":
		return set("PATCH", "/v2/components?skip_bad_ids="+pick("skip", "true", "false"), `[{"id":"`+id()+`",`+node()+`},{"id":"`+id()+`",`+node()+`}]`)
	case "patch ids":
		return set("PATCH", "/v2/components", `{"patch":{`+node()+`},"filters":{"ids":"`+id()+`,`+id()+`"}}`)
	case "apply":
		return set("POST", "/v2/applystaged", `{"xnames":["`+id()+`","`+id()+`","`+id()+`"]}`)
	default:
		return set("PATCH", "/v2/components", `{"patch":{`+node()+`},"filters":{"session":"`+name()+`"}}`)
	}
}

// beginning gives a tenant a template, sessions and nodes to begin with.
func beginning(tenant, driven, staged string) []step {
	return []step{
		{tenant: tenant, method: "PUT", path: "/v2/sessiontemplates/t", body: `{"description":"of ` + tenant + `","boot_sets":{"c":` + bootSet + `}}`},
		{tenant: tenant, method: "POST", path: "/v2/sessions", body: `{"operation":"boot","template_name":"t","name":"s"}`},
		{tenant: tenant, method: "POST", path: "/v2/sessions", body: `{"operation":"reboot","template_name":"t","name":"u","stage":true}`},
		{tenant: tenant, method: "PUT", path: "/v2/components/" + driven, body: `{"enabled":true,"session":"s","error":"of ` + tenant + `"}`},
		{tenant: tenant, method: "PUT", path: "/v2/components/" + staged, body: `{"enabled":false,"staged_state":{"session":"u"}}`},
	}
}

// ask carries out a step without a network, and returns all that the client
// sees.
func (s *site) ask(t rapid.TB, c step) string {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), c.method, c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cray-Tenant-Name", c.tenant)
	got := httptest.NewRecorder()
	s.server.ServeHTTP(got, r)
	if got.Code >= 500 {
		t.Fatalf("%+v: %d %s", c, got.Code, got.Body)
	}
	return fmt.Sprintf("%s %s %s: %d %s %s", c.method, c.path, c.body, got.Code, got.Header().Get("Content-Type"), got.Body)
}

// everything is all that a tenant can read.
func (s *site) everything(t rapid.TB, tenant string) []string {
	t.Helper()
	paths := []string{"/v2/components", "/v2/sessions", "/v2/sessiontemplates"}
	for _, id := range allNodes {
		paths = append(paths, "/v2/components/"+id)
	}
	for _, name := range sharedNames {
		paths = append(paths, "/v2/sessions/"+name, "/v2/sessions/"+name+"/status", "/v2/sessiontemplates/"+name, "/v2/sessiontemplatesvalid/"+name,
			"/v2/components?session="+name, "/v2/components?staged_session="+name)
	}
	out := make([]string, 0, len(paths))
	for _, path := range paths {
		out = append(out, s.ask(t, step{method: "GET", path: path, tenant: tenant}))
	}
	return out
}

// Whatever others do, before, between and after, each answer that a tenant gets
// is the one that it would get if it were alone: texts of errors, too.
func TestATenantIsAlone(t *testing.T) {
	shared, alone := start(t, stopClock), start(t, stopClock)
	rapid.Check(t, func(rt *rapid.T) {
		wipe(rt, shared)
		wipe(rt, alone)
		for _, c := range beginning("tenant-a", "a1", "a2") {
			alone.ask(rt, c)
			shared.ask(rt, c)
		}
		for _, c := range append(beginning("tenant-b", "b1", "b2"), beginning("", "c1", "b2")...) {
			shared.ask(rt, c)
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			for range rapid.IntRange(0, 3).Draw(rt, "others") {
				shared.ask(rt, drawStep(rt, rapid.SampledFrom([]string{"", "tenant-b"}).Draw(rt, "other")))
			}
			c := drawStep(rt, "tenant-a")
			if diff := cmp.Diff(alone.ask(rt, c), shared.ask(rt, c)); diff != "" {
				rt.Fatalf("alone (-) and among others (+): %s", diff)
			}
		}
		if diff := cmp.Diff(alone.everything(rt, "tenant-a"), shared.everything(rt, "tenant-a")); diff != "" {
			rt.Fatalf("alone (-) and among others (+): %s", diff)
		}
	})
}

// wipe deletes all documents.
func wipe(t rapid.TB, s *site) {
	t.Helper()
	kvs, revision, err := s.store.List(context.Background(), store.Root)
	if err != nil {
		t.Fatal(err)
	}
	for len(kvs) > 0 {
		part := kvs[:min(len(kvs), store.MaxOps)]
		kvs = kvs[len(part):]
		var txn store.Txn
		for _, kv := range part {
			txn.Ops = append(txn.Ops, store.Op{Key: kv.Key, Delete: true, Expect: store.AnyRevision})
		}
		if revision, err = s.store.Commit(context.Background(), txn); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.server.view.WaitFor(context.Background(), revision); err != nil {
		t.Fatal(err)
	}
}

// counted counts what is asked of a store: calls, and documents that come back
// or are written.
type counted struct {
	*mem.Engine
	calls, documents atomic.Int64
}

func (c *counted) note(documents int) {
	c.calls.Add(1)
	c.documents.Add(int64(documents))
}

func (c *counted) Get(ctx context.Context, key string) (store.KV, error) {
	c.note(1)
	return c.Engine.Get(ctx, key)
}

func (c *counted) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	kvs, revision, err := c.Engine.List(ctx, prefix)
	c.note(len(kvs))
	return kvs, revision, err
}

func (c *counted) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	c.note(len(txn.Ops))
	return c.Engine.Commit(ctx, txn)
}

// A tenant's requests cost what the tenant has, however much others have under
// the same names: nothing more is looked at in the view and the store.
func TestATenantPaysForItself(t *testing.T) {
	const few, many = 3, 400
	site := func(others int) (*site, *counted) {
		c := &counted{Engine: mem.New()}
		s := startOver(t, c, stopClock)
		mine := []string{"a1", "a2", "a3"}
		theirs := make([]string, others)
		for i := range theirs {
			theirs[i] = fmt.Sprintf("b%d", i)
		}
		s.tenants.nodes["tenant-b"] = theirs
		fill(t, s, "tenant-a", few, mine)
		fill(t, s, "tenant-b", others, theirs)
		return s, c
	}
	small, smallStore := site(few)
	large, largeStore := site(many)
	for _, c := range costs() {
		c.tenant = "tenant-a"
		cost := func(s *siteCost) string {
			visits, calls, documents := s.site.server.view.Visits(), s.store.calls.Load(), s.store.documents.Load()
			answer := s.site.ask(t, c)
			s.visits = s.site.server.view.Visits() - visits
			return fmt.Sprintf("%s (%d calls and %d documents of the store)", answer, s.store.calls.Load()-calls, s.store.documents.Load()-documents)
		}
		a, b := &siteCost{site: small, store: smallStore}, &siteCost{site: large, store: largeStore}
		if diff := cmp.Diff(cost(a), cost(b)); diff != "" {
			t.Errorf("beside %d (-) and beside %d (+): %s", few, many, diff)
		}
		// Where an index of the other's is shorter than the list of the tenant's
		// own nodes, it may be looked at in place of that.
		if b.visits > a.visits+few {
			t.Errorf("%s %s: %d visits, beside %d others %d", c.method, c.path, a.visits, many, b.visits)
		}
	}
}

type siteCost struct {
	site   *site
	store  *counted
	visits int64
}

// costs are requests of all kinds, in an order in which each finds what it needs.
func costs() []step {
	return []step{
		{method: "GET", path: "/v2/components"}, {method: "GET", path: "/v2/components?session=s0"}, {method: "GET", path: "/v2/components?staged_session=s1"},
		{method: "GET", path: "/v2/components?session=s2"}, {method: "GET", path: "/v2/components?status=configuring"}, {method: "GET", path: "/v2/components?enabled=true"},
		{method: "GET", path: "/v2/components?ids=a1,b1"}, {method: "GET", path: "/v2/components?page_size=2&start_after_id=a1"}, {method: "GET", path: "/v2/components/a1"},
		{method: "GET", path: "/v2/components/b1"}, {method: "GET", path: "/v2/sessions"}, {method: "GET", path: "/v2/sessions?status=pending"}, {method: "GET", path: "/v2/sessions/s0"},
		{method: "GET", path: "/v2/sessions/s0/status"}, {method: "GET", path: "/v2/sessions/s1/status"}, {method: "POST", path: "/v2/sessions/s0/status"},
		{method: "GET", path: "/v2/sessiontemplates"}, {method: "GET", path: "/v2/sessiontemplates/t0"}, {method: "GET", path: "/v2/sessiontemplatesvalid/t0"},
		{method: "PUT", path: "/v2/sessiontemplates/t0", body: `{"boot_sets":{"c":` + bootSet + `}}`}, {method: "PATCH", path: "/v2/sessiontemplates/t0", body: `{"enable_cfs":false}`},
		{method: "POST", path: "/v2/sessions", body: `{"operation":"boot","template_name":"t0","name":"new"}`}, {method: "PATCH", path: "/v2/sessions/new", body: `{"components":"a1"}`},
		{method: "PATCH", path: "/v2/components", body: `{"patch":{"error":"x"},"filters":{"session":"s0"}}`}, {method: "PATCH", path: "/v2/components", body: `[{"id":"a1"},{"id":"b1"}]`},
		{method: "PATCH", path: "/v2/components?skip_bad_ids=true", body: `[{"id":"a1","error":"y"},{"id":"b1"}]`}, {method: "PATCH", path: "/v2/components/a1", body: `{"error":"z"}`},
		{method: "PUT", path: "/v2/components/a1", body: `{"staged_state":{"session":"s1"}}`}, {method: "POST", path: "/v2/applystaged", body: `{"xnames":["a1","b1"]}`},
		{method: "DELETE", path: "/v2/components/a1"}, {method: "DELETE", path: "/v2/sessions/s0"}, {method: "DELETE", path: "/v2/sessions?status=pending"},
		{method: "DELETE", path: "/v2/sessiontemplates/t0"},
	}
}

// fill gives a tenant templates t0, t1, …, sessions s0, s1, … and nodes that
// session s0 drives and s1 has staged.
func fill(t *testing.T, s *site, tenant string, n int, nodes []string) {
	t.Helper()
	var list bytes.Buffer
	for i, id := range nodes {
		fmt.Fprintf(&list, `,{"id":%q,"enabled":true,"session":"s0","staged_state":{"session":"s1"},"status":{"phase":"configuring"},"error":"e%d"}`, id, i)
	}
	steps := []step{{method: "PUT", path: "/v2/components", body: "[" + strings.TrimPrefix(list.String(), ",") + "]"}}
	for i := range n {
		steps = append(steps, step{method: "PUT", path: fmt.Sprintf("/v2/sessiontemplates/t%d", i), body: `{"boot_sets":{"c":` + bootSet + `}}`},
			step{method: "POST", path: "/v2/sessions", body: fmt.Sprintf(`{"operation":"boot","template_name":"t0","name":"s%d"}`, i)})
	}
	for _, c := range steps {
		c.tenant = tenant
		if got := s.ask(t, c); !strings.Contains(got, ": 20") {
			t.Fatal(got)
		}
	}
	if _, ok := s.server.view.Session(bos.SessionKey{Tenant: tenant, Name: "s0"}); !ok {
		t.Fatal("not filled")
	}
}

// SPDX-License-Identifier: MIT

package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// tenantCalls are the requests that ask which nodes a tenant has. Of those many
// calls tell of trouble in another way.
var tenantCalls = []struct {
	method, path, body string
	many               bool
}{
	{"GET", "/v2/components", "", false},
	{"GET", "/v2/components/a1", "", false},
	{"GET", "/v2/components/a1/why", "", false},
	{"GET", "/v2/components/a1/timeline", "", false},
	{"PUT", "/v2/components/a1", `{"enabled":false}`, false},
	{"PATCH", "/v2/components/a1", `{"enabled":false}`, false},
	{"DELETE", "/v2/components/a1", "", false},
	{"PUT", "/v2/components", `[{"id":"a1"}]`, false},
	{"PUT", "/v2/components", `[]`, false},
	{"PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":` + bootSet + `}}`, false},
	{"POST", "/v2/sessions", `{"operation":"boot","template_name":"t"}`, false},
	{"PATCH", "/v2/components", `[{"id":"a1"}]`, true},
	{"PATCH", "/v2/components", `[]`, true},
	{"PATCH", "/v2/components", `{"patch":{"error":""},"filters":{"session":"s"}}`, true},
	{"POST", "/v2/applystaged", `{"xnames":["a1"]}`, true},
	{"POST", "/v2/applystaged", `{"xnames":[]}`, true},
}

func TestUnknownTenant(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"unknown": nil, "a site without tenants": func(c *Config) { c.Tenants = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, change)
			for _, c := range tenantCalls {
				got := s.as("nobody", c.method, c.path, c.body)
				switch {
				case c.many:
					got.problem(400, "Bad Request", "Data not found for tenant nobody")
				case strings.HasPrefix(c.path, "/v2/components"):
					got.problem(400, "Invalid tenant", "Data not found for tenant nobody")
				default:
					got.problem(400, "Invalid tenant", "The provided tenant does not exist")
				}
			}
			s.as("nobody", "GET", "/v2/sessiontemplates", "").is(`[]`)
			s.as("nobody", "GET", "/v2/sessions", "").is(`[]`)
			s.as("nobody", "DELETE", "/v2/sessions", "").wants(204)
			for _, path := range []string{"/v2/sessiontemplates/t", "/v2/sessiontemplatesvalid/t"} {
				s.as("nobody", "GET", path, "").problem(404, "The resource was not found", "Session template for tenant 'nobody' 't' does not exist")
			}
			s.as("nobody", "PATCH", "/v2/sessiontemplates/t", `{}`).wants(404)
			s.as("nobody", "DELETE", "/v2/sessiontemplates/t", "").wants(404)
			for _, path := range []string{"/v2/sessions/x", "/v2/sessions/x/status"} {
				s.as("nobody", "GET", path, "").problem(404, "The resource was not found", "Session for tenant 'nobody' 'x' does not exist")
			}
			s.as("", "GET", "/v2/components", "").is(`[]`)
			// A body that is wrong is told first.
			s.as("nobody", "PUT", "/v2/components/a1", `{}`).problem(400, "Bad Request")
		})
	}
}

func TestTenantsTrouble(t *testing.T) {
	s := start(t, nil)
	refusal := call.Answered(403, "forbidden", errors.New("http://cray-tapms secret"))
	refusal.Service = "tapms"
	away := call.Answered(502, "", errors.New("http://cray-tapms secret"))
	away.Service = "tapms"
	for _, c := range tenantCalls {
		s.tenants.fail(fmt.Errorf("ask: %w", refusal))
		got := s.as("tenant-a", c.method, c.path, c.body)
		if c.many {
			got.problem(400, "Bad Request", "tapms")
		} else {
			got.problem(503, "Service Unavailable", "tapms")
		}
		s.tenants.fail(fmt.Errorf("ask: %w", away))
		s.as("tenant-a", c.method, c.path, c.body).problem(503, "Service Unavailable", "tapms is not available")
	}
	s.as("tenant-a", "GET", "/v2/sessiontemplates", "").is(`[]`)
	s.as("", "GET", "/v2/components", "").is(`[]`)
}

// A tenant sees and writes its own nodes; others do not exist for it, and
// nothing is written of a request that names one.
func TestTenantIsConfined(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"a1"},{"id":"a2"},{"id":"b1","session":"s"},{"id":"c1"}]`).wants(200)
	const tenant = "tenant-a"
	if got := s.as(tenant, "GET", "/v2/components", "").names("id"); fmt.Sprint(got) != "[a1 a2]" {
		t.Errorf("it sees %s", got)
	}
	if got := s.as(tenant, "GET", "/v2/components?ids=b1,a2,c1", "").names("id"); fmt.Sprint(got) != "[a2]" {
		t.Errorf("it sees %s", got)
	}
	s.as("tenant-empty", "GET", "/v2/components", "").is(`[]`)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v2/components/b1", ""},
		{"PUT", "/v2/components/b1", `{"error":"x"}`},
		{"PATCH", "/v2/components/b1", `{"error":"x"}`},
		{"DELETE", "/v2/components/b1", ""},
		{"PUT", "/v2/components", `[{"id":"a1","error":"x"},{"id":"b1","error":"x"}]`},
		{"PATCH", "/v2/components", `[{"id":"a1","error":"x"},{"id":"b1","error":"x"}]`},
		{"PATCH", "/v2/components", `{"patch":{"error":"x"},"filters":{"ids":"a1,b1"}}`},
	} {
		s.as(tenant, c.method, c.path, c.body).problem(404, "The resource was not found", "Component 'b1' does not exist")
	}
	s.as(tenant, "PATCH", "/v2/components", `{"patch":{"error":"x"},"filters":{"session":"s"}}`).is(`[]`)
	for _, n := range s.server.view.Records([]string{"a1", "b1"}) {
		if n.Component.Error.IsSet() {
			t.Errorf("%s was written", n.Component.ID)
		}
	}
	s.as(tenant, "PATCH", "/v2/components?skip_bad_ids=true", `[{"id":"a1","error":"y"},{"id":"b1","error":"y"}]`).is(`[{"id":"a1","error":"y"}]`)
	s.as(tenant, "PUT", "/v2/components/a3", `{"error":"new"}`).is(`{"id":"a3","error":"new"}`)
	s.as(tenant, "POST", "/v2/applystaged", `{"xnames":["b1","a1","c1"]}`).is(`{"succeeded":[],"failed":[],"ignored":["b1","a1","c1"]}`)
}

// Without a tenant a tenant's staged session can be started, and another
// tenant's of the same name is not meant.
func TestApplyStagedKnowsTheOwner(t *testing.T) {
	s := start(t, nil)
	for _, tenant := range []string{"tenant-a", "tenant-b"} {
		s.as(tenant, "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":`+bootSet+`}}`).wants(200)
	}
	s.as("tenant-a", "POST", "/v2/sessions", `{"operation":"reboot","template_name":"t","name":"s","stage":true}`).wants(201)
	s.as("tenant-b", "POST", "/v2/sessions", `{"operation":"shutdown","template_name":"t","name":"s","stage":true}`).wants(201)
	const staged = `{"staged_state":{"session":"s","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}}`
	s.as("tenant-a", "PUT", "/v2/components/a1", staged).wants(200)
	s.as("tenant-b", "PUT", "/v2/components/b1", staged).wants(200)
	s.do("PUT", "/v2/components/a2", staged).wants(200)
	s.do("POST", "/v2/applystaged", `{"xnames":["b1","zz","a1","a2","b1"]}`).is(`{"succeeded":["a1"],"failed":["b1","a2","b1"],"ignored":["zz"]}`)
	s.as("tenant-a", "GET", "/v2/sessions/s/status", "").same(`{"status":"pending","managed_components_count":1,"percent_staged":0,
		"percent_successful":0,"percent_failed":0,"error_summary":{},"timing":"*",
		"phases":{"percent_complete":0,"percent_powering_on":0,"percent_powering_off":0,"percent_configuring":0}}`)
	s.do("PATCH", "/v2/options", `{"clear_stage":true}`).wants(200)
	s.as("tenant-a", "POST", "/v2/applystaged", `{"xnames":["a1","a1"]}`).is(`{"succeeded":["a1"],"failed":[],"ignored":["a1"]}`)
}

// A bulk delete of one does not touch another's sessions, whatever their names.
func TestBulkDeleteIsConfined(t *testing.T) {
	s := start(t, nil)
	owners := []string{"", "tenant-a", "tenant-b"}
	for _, owner := range owners {
		s.as(owner, "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":`+bootSet+`}}`).wants(200)
		for _, name := range []string{"s", "r"} {
			s.as(owner, "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"`+name+`"}`).wants(201)
		}
		s.as(owner, "PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(200)
	}
	left := func() string {
		var out string
		for _, rec := range s.server.view.Sessions("") {
			out += fmt.Sprintf("%s/%s ", rec.Session.Tenant, rec.Session.Name)
		}
		return out
	}
	for _, c := range []struct{ tenant, query, left string }{
		{"", "", "/r tenant-a/r tenant-a/s tenant-b/r tenant-b/s "},
		{"tenant-a", "", "/r tenant-a/r tenant-b/r tenant-b/s "},
		{"tenant-b", "?status=pending", "/r tenant-a/r tenant-b/s "},
		{"", "?status=pending", "tenant-a/r tenant-b/s "},
		{"", "?status=complete", "tenant-a/r tenant-b/s "},
	} {
		s.as(c.tenant, "DELETE", "/v2/sessions"+c.query, "").wants(204)
		if got := left(); got != c.left {
			t.Errorf("after %q %s: %s", c.tenant, c.query, got)
		}
	}
}

var _ Tenants = (*tenants)(nil)

// The words of the clients of services are understood here.
func TestErrorsOfServicesAreKnown(t *testing.T) {
	if code := bos.CodeOf(call.Answered(403, "", nil)); code != bos.CodeInvalid {
		t.Errorf("a refusal is %s", code)
	}
	if code := bos.CodeOf(call.Answered(500, "", nil)); code != bos.CodeUnavailable {
		t.Errorf("an outage is %s", code)
	}
}

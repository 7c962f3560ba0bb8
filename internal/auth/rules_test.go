// SPDX-License-Identifier: MIT

package auth

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseRules(t *testing.T) {
	for text, want := range map[string]string{
		"spiffe://*/*/{node}/workload/bos-reporter=node": "",
		"cn:bos-admin=admin":                             "",
		"cn:{tenant}-admin=tenant-admin":                 "",
		"cn:a=b=tenant-admin:blue":                       "",
		"sub:system:slurm=wlm":                           "",
		"cn:admin":                                       "it is not PATTERN=ROLE",
		"cn:admin=root":                                  `"root" is no role; there are admin,wlm,tenant-admin,node,monitor`,
		"admin=admin":                                    "its pattern must begin with one of spiffe://, sub:, cn: and go on",
		"cn:=admin":                                      "and go on",
		"cn:x=node":                                      "the role node needs {node} in the pattern",
		"cn:{node}=admin":                                "{node} may be there once, for the role node",
		"cn:{node}-{node}=node":                          "{node} may be there once",
		"cn:{tenant}=wlm":                                "{tenant} may be there once, for the role tenant-admin",
		"cn:x=tenant-admin":                              "needs either {tenant} in the pattern or :TENANT at the end",
		"cn:{tenant}=tenant-admin:blue":                  "needs either",
		"cn:x=tenant-admin:":                             "only the role tenant-admin has a tenant",
		"cn:x=admin:blue":                                "only the role tenant-admin has a tenant",
	} {
		_, err := ParseRules([]string{text})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestParseRoles(t *testing.T) {
	roles, err := ParseRoles([]string{"bos=write=admin", "slurm=wlm"})
	if diff := cmp.Diff(map[string]Role{"bos=write": RoleAdmin, "slurm": RoleWLM}, roles); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	for _, bad := range [][]string{{"admin"}, {"=admin"}, {"a=b"}, {"a=admin", "a=wlm"}} {
		if _, err := ParseRoles(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if roles, err = ParseRoles(DefaultRoles()); err != nil || len(roles) != len(Roles()) {
		t.Errorf("the default: %v, %v", roles, err)
	}
}

func TestGiveByNames(t *testing.T) {
	rules, err := ParseRules(append(DefaultRules(),
		"cn:{tenant}-admin=tenant-admin", "cn:{node}.node=node", "spiffe://site/ns/*/sa/prometheus=monitor", "sub:root=admin", "cn:ops=tenant-admin:red"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		names []string
		want  Identity
	}{
		{[]string{"spiffe://shasta/compute/x3000c0s1b0n0/workload/bos-reporter"}, Identity{Roles: []Role{RoleNode}, Node: "x3000c0s1b0n0"}},
		{[]string{"spiffe://shasta/compute/x3000c0s1b0n0/workload/cfs-state-reporter"}, Identity{}},
		{[]string{"spiffe://shasta/x3000c0s1b0n0/workload/bos-reporter"}, Identity{}},
		{[]string{"spiffe://shasta/a/b/x1/workload/bos-reporter"}, Identity{}},
		{[]string{"spiffe://shasta/compute/x1/workload/bos-reporter/more"}, Identity{}},
		{[]string{"cn:spiffe://shasta/compute/x1/workload/bos-reporter"}, Identity{}},
		{[]string{"sub:spiffe://shasta/compute/x1/workload/bos-reporter"}, Identity{}},
		{[]string{"cn:blue-admin"}, Identity{Roles: []Role{RoleTenantAdmin}, Tenants: []string{"blue"}}},
		{[]string{"cn:-admin"}, Identity{}},
		{[]string{"cn:ops"}, Identity{Roles: []Role{RoleTenantAdmin}, Tenants: []string{"red"}}},
		{[]string{"cn:ops\nx"}, Identity{}},
		{[]string{"cn:x1.node"}, Identity{Roles: []Role{RoleNode}, Node: "x1"}},
		{[]string{"cn:x1xnode"}, Identity{}},
		{[]string{"spiffe://site/ns/mon/sa/prometheus", "cn:ops"}, Identity{Roles: []Role{RoleTenantAdmin, RoleMonitor}, Tenants: []string{"red"}}},
		{[]string{"sub:root"}, Identity{Roles: []Role{RoleAdmin}}},
		{[]string{"cn:root"}, Identity{}},
	} {
		var got Identity
		(&Authenticator{cfg: Config{Rules: rules}}).giveByNames(&got, tt.names, &grants{})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.names, diff)
		}
	}
}

// A pattern without placeholders is for exactly that name.
func TestLiteralPatterns(t *testing.T) {
	texts := rapid.StringMatching(`[a-zA-Z0-9.+()\[\]|^$?-]{1,8}`)
	rapid.Check(t, func(t *rapid.T) {
		pattern, name := texts.Draw(t, "pattern"), texts.Draw(t, "name")
		rules, err := ParseRules([]string{"cn:" + pattern + "=admin"})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{name, pattern} {
			var g grants
			rules[0].give("cn:"+n, &g)
			if g.roles[RoleAdmin] != (n == pattern) {
				t.Fatalf("%q and %q", pattern, n)
			}
		}
	})
}

func TestIsSPIFFE(t *testing.T) {
	for id, want := range map[string]bool{
		"spiffe://shasta.local/compute/x1/workload/bos-reporter": true, "spiffe://a/B_c.d-e": true,
		"spiffe://shasta": false, "spiffe:///x": false, "spiffe://A/x": false, "spiffe://a/": false, "spiffe://a//b": false,
		"spiffe://a/../b": false, "spiffe://a/%41": false, "spiffe://a/b?c": false, "spiffe://a:1/b": false, "SPIFFE://a/b": false,
		"spiffe://a/b#c": false, "spiffe://a/é": false, "x": false, "spiffe://a/" + strings.Repeat("b", maxName): false,
	} {
		if isSPIFFE(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func TestClaims(t *testing.T) {
	var c claims
	err := json.Unmarshal([]byte(`{
		"resource_access":{"shasta":{"roles":["admin","other",1,""]},"a.b":{"c":["d"]}},
		"scope":"openid  bos.admin", "x.y":["dotted"], "x":{"y":["nested"]},
		"groups":["/blue-tenant-admin","green-tenant-admin","-tenant-admin","admins"],
		"n":7,"typ":"Refresh","xname":"x1"}`), &c)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"resource_access.shasta.roles": {"admin", "other"}, "scope": {"openid", "bos.admin"}, "x.y": {"dotted"},
		"resource_access.a.b": nil, "n": nil, "n.m": nil, "nothing": nil, "": nil, "resource_access": nil, "xname": {"x1"},
	} {
		if diff := cmp.Diff(want, c.values(name)); diff != "" && len(want)+len(c.values(name)) > 0 {
			t.Errorf("%q: %s", name, diff)
		}
	}
	if !c.wrongType() || (claims{"typ": json.RawMessage(`"Bearer"`)}).wrongType() || (claims{}).wrongType() {
		t.Error("the type of tokens")
	}
	names := ClaimNames{Roles: "resource_access.shasta.roles", Tenants: "groups", TenantSuffix: "-tenant-admin", Node: "xname"}
	var g grants
	names.give(c, map[string]Role{"admin": RoleTenantAdmin}, &g)
	var i Identity
	g.apply(&i)
	want := Identity{Roles: []Role{RoleTenantAdmin}, Tenants: []string{"blue", "green"}, Node: "x1"}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Error(diff)
	}
}

// No claims make it fail or find what is not there.
func FuzzClaims(f *testing.F) {
	f.Add(`{"a":{"b":["c"]}}`, "a.b")
	f.Add(`{"a":null}`, "a.b.c")
	f.Fuzz(func(t *testing.T, text, name string) {
		var c claims
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		for _, value := range c.values(name) {
			if value == "" {
				t.Error("an empty value")
			}
		}
	})
}

// SPDX-License-Identifier: MIT

// Package auth finds out who a request is from, by a bearer token or a client
// certificate, and decides what they may do. What a role may do is in
// [Policy.Decide], a pure function over the operations of the API's document;
// everything else here only finds out the [Identity] that it decides about.
package auth

import (
	"slices"
	"strings"
)

// Role is a set of rights. An identity may have several; what one of them
// allows is allowed.
type Role string

// The roles. What each may do is in [Policy.Decide].
const (
	// RoleAdmin may do everything.
	RoleAdmin Role = "admin"
	// RoleWLM is a workload manager: it creates sessions, follows them and says
	// when what is staged on nodes shall start.
	RoleWLM Role = "wlm"
	// RoleTenantAdmin sees its tenant and creates sessions there.
	RoleTenantAdmin Role = "tenant-admin"
	// RoleNode is a node that reports what it booted, and nothing else.
	RoleNode Role = "node"
	// RoleMonitor reads the metrics.
	RoleMonitor Role = "monitor"
)

// Roles returns all roles.
func Roles() []Role {
	return []Role{RoleAdmin, RoleWLM, RoleTenantAdmin, RoleNode, RoleMonitor}
}

// Method is how somebody proved who they are.
type Method string

// The methods; MethodNone is that of a service that asks nobody.
const (
	MethodNone Method = "none"
	MethodJWT  Method = "jwt"
	MethodMTLS Method = "mtls"
)

// Identity is who a request is from.
type Identity struct {
	// Name is unique among all callers: a SPIFFE ID, or "sub:" and the subject
	// of a token, or "cn:" and the common name of a certificate.
	Name string
	// Display is the name that people know, if a token says it; for logs only.
	Display string
	// Issuer is who issued the token; "" for a certificate. Name is unique
	// together with it.
	Issuer string
	Method Method
	// Roles are in the order of [Roles], each once.
	Roles []Role
	// Tenants are those that RoleTenantAdmin is for.
	Tenants []string
	// Node is the component that RoleNode is for.
	Node string
}

// Has reports whether the identity has a role. Nobody has none.
func (i *Identity) Has(role Role) bool { return i != nil && slices.Contains(i.Roles, role) }

// Key tells callers apart: two requests with the same key are from the same.
func (i *Identity) Key() string { return string(i.Method) + " " + i.Issuer + " " + i.Name }

// RoleNames writes the roles for people, "none" for no role.
func (i *Identity) RoleNames() string {
	if i == nil || len(i.Roles) == 0 {
		return "none"
	}
	names := make([]string, len(i.Roles))
	for n, role := range i.Roles {
		names[n] = string(role)
	}
	return strings.Join(names, ",")
}

// grants collects what an identity is given, from several sources.
type grants struct {
	roles   map[Role]bool
	tenants []string
	nodes   []string
}

func (g *grants) add(role Role) {
	if g.roles == nil {
		g.roles = map[Role]bool{}
	}
	g.roles[role] = true
}

// apply writes what was collected into an identity. A role that is for a tenant
// or a node is of no use without it, and one that is for several nodes is
// nobody's: it is left out.
func (g *grants) apply(i *Identity) {
	slices.Sort(g.tenants)
	slices.Sort(g.nodes)
	i.Tenants = slices.Compact(g.tenants)
	if nodes := slices.Compact(g.nodes); len(nodes) == 1 {
		i.Node = nodes[0]
	}
	for _, role := range Roles() {
		switch {
		case !g.roles[role], role == RoleTenantAdmin && len(i.Tenants) == 0, role == RoleNode && i.Node == "":
		default:
			i.Roles = append(i.Roles, role)
		}
	}
}

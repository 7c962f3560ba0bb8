// SPDX-License-Identifier: MIT

package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Request is what a decision is about.
type Request struct {
	// Identity is who asks; nil is somebody who did not say.
	Identity *Identity
	// Operation is the operationId in the API's document.
	Operation string
	// Tenant is the one of the header Cray-Tenant-Name, "" without one.
	Tenant string
	// Target is the one thing that the path names, "" if it names none.
	Target string
	// Body is what the body holds; nil while that is not known. Somebody who may
	// not do a thing with any body is refused before it is known.
	Body *Shape
}

// Shape is what a decision has to know of a body that is an object.
type Shape struct {
	// Fields are the names of its members.
	Fields []string
	// ID is the member id, "" if there is none.
	ID string
}

// Decision says whether a request is allowed. Reason says why not, in words for
// the one who asked; it holds nothing that they don't know.
type Decision struct {
	Allowed bool
	// Anonymous says that it is not allowed because nobody said who they are.
	Anonymous bool
	Reason    string
}

// Policy is what can be chosen about the rights.
type Policy struct {
	// OpenMetrics shows the metrics to everybody.
	OpenMetrics bool
}

// terms say how a role may use an operation.
type terms int

const (
	never terms = iota
	always
	// ownTenant is with a header that names a tenant of the caller's.
	ownTenant
	// ownReport is for the node that the path names, to say what it booted.
	ownReport
)

// rights are what the roles may do with one operation. Open is for everybody,
// known or not. An admin may do everything.
type rights struct {
	open                            bool
	wlm, tenantAdmin, node, monitor terms
}

// rightsFor is the matrix of roles and operations. An operation that is not in
// it is nobody's.
//
// What is open tells nothing about the site: probes can't show who they are,
// and the version is that of the contract.
func rightsFor(operation string) (r rights, known bool) {
	switch operation {
	case "root_get", "v2_get", "get_version_v2", "get_healthz_v2", "get_readyz", "get_livez":
		return rights{open: true}, true
	case "get_openapi_json", "get_openapi_yaml":
		return rights{wlm: always, tenantAdmin: always, monitor: always}, true
	case "get_metrics":
		return rights{monitor: always}, true

	case "post_v2_session", "post_v2_apply_staged", "get_v2_session", "get_v2_session_status",
		"get_v2_session_outcome", "get_v2_session_events", "post_v2_session_plan":
		return rights{wlm: always, tenantAdmin: ownTenant}, true
	case "cancel_v2_session", "pause_v2_session", "resume_v2_session",
		"get_v2_sessions", "get_v2_sessiontemplates", "get_v2_sessiontemplate", "get_v2_components", "get_v2_component",
		"get_v2_component_why", "get_v2_component_timeline", "get_v2_events", "get_v2_fleet":
		return rights{tenantAdmin: ownTenant}, true
	case "patch_v2_component":
		return rights{node: ownReport}, true

	case "put_v2_sessiontemplate", "patch_v2_sessiontemplate", "delete_v2_sessiontemplate",
		"get_v2_sessiontemplatesvalid", "get_v2_sessiontemplatetemplate",
		"delete_v2_sessions", "patch_v2_session", "delete_v2_session", "save_v2_session_status",
		"put_v2_components", "patch_v2_components", "put_v2_component", "delete_v2_component",
		"get_v2_options", "patch_v2_options":
		return rights{}, true
	}
	return rights{}, false
}

// of returns the terms of a role.
func (r rights) of(role Role) terms {
	switch role {
	case RoleAdmin:
		return always
	case RoleWLM:
		return r.wlm
	case RoleTenantAdmin:
		return r.tenantAdmin
	case RoleNode:
		return r.node
	case RoleMonitor:
		return r.monitor
	}
	return never
}

// Decide says whether a request is allowed. It is a pure function: what it says
// depends on its arguments only. What it refuses with an unknown body it refuses
// with every body.
func (p Policy) Decide(q Request) Decision {
	r, known := rightsFor(q.Operation)
	switch {
	case !known:
		return refuse("no role may use " + q.Operation)
	case r.open || p.OpenMetrics && q.Operation == "get_metrics":
		return Decision{Allowed: true}
	case q.Identity == nil:
		return Decision{Anonymous: true, Reason: "this needs authentication"}
	case len(q.Identity.Roles) == 0:
		return refuse("you are known, but no role was given to you")
	}
	// Of several refusals the one of a role that may use the operation on some
	// terms is the most useful.
	reason := ""
	for _, role := range q.Identity.Roles {
		why := q.meets(r.of(role))
		if why == "" {
			return Decision{Allowed: true}
		}
		if r.of(role) != never {
			reason = why
		}
	}
	if reason == "" {
		reason = fmt.Sprintf("your role (%s) may not use %s", q.Identity.RoleNames(), q.Operation)
	}
	return refuse(reason)
}

func refuse(reason string) Decision { return Decision{Reason: reason} }

// meets says what about a request does not meet the terms, "" if it does.
func (q Request) meets(t terms) string {
	switch t {
	case always:
		return ""
	case ownTenant:
		return q.withinTenant()
	case ownReport:
		return q.reportsItself()
	case never:
	}
	return "never"
}

// withinTenant says what is wrong with the tenant of a request. One without a
// tenant is refused rather than taken for one of the caller's tenant: it would
// mean something else than the same request of somebody else.
func (q Request) withinTenant() string {
	switch {
	case slices.Contains(q.Identity.Tenants, q.Tenant) && q.Tenant != "":
		return ""
	case q.Tenant == "":
		return "the header Cray-Tenant-Name must name your tenant: " + shown(q.Identity.Tenants)
	}
	return "the header Cray-Tenant-Name does not name your tenant: " + shown(q.Identity.Tenants)
}

// mostShown bounds how many of the caller's own tenants are repeated.
const mostShown = 8

func shown(names []string) string {
	if len(names) > mostShown {
		return strings.Join(names[:mostShown], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// The members of a node's report.
const (
	fieldID          = "id"
	fieldActualState = "actual_state"
)

// reportsItself says what about a request is not a node's report of itself.
func (q Request) reportsItself() string {
	own := q.Identity.Node
	switch {
	case own == "" || q.Target != own:
		return "a node may report for itself only: " + own
	case q.Tenant != "":
		return "a node reports for no tenant; leave the header Cray-Tenant-Name out"
	case q.Body == nil:
		return ""
	}
	for _, field := range q.Body.Fields {
		switch {
		case field != fieldID && field != fieldActualState:
			return "a node may report id and actual_state only"
		case field == fieldID && q.Body.ID != own:
			return "the id in the body is not that of the node"
		}
	}
	return ""
}

// NeedsShape reports whether a decision about the request depends on its body,
// so that nobody else's has to be looked at.
func (q Request) NeedsShape() bool {
	r, _ := rightsFor(q.Operation)
	if r.node != ownReport || !q.Identity.Has(RoleNode) {
		return false
	}
	q.Body = &Shape{Fields: []string{""}}
	return !Policy{}.Decide(q).Allowed
}

// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// tenant is a tenant of TAPMS and its nodes.
type tenant struct {
	name    string
	uuid    string
	group   string
	members []int32
}

// layOutTenants makes two tenants with half of the compute nodes each.
func (s *Site) layOutTenants() {
	for _, name := range []string{"blue", "green"} {
		s.tenants = append(s.tenants, tenant{
			name: name, uuid: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)).String(), group: name,
			members: findGroup(s.groups, name).members,
		})
	}
}

func (s *Site) addTAPMS(svc *service) {
	svc.prefixes = []string{"/v1alpha3", "/v1alpha2", "/v1alpha1", "/v1"}
	svc.routes = []route{
		{"GET", "/tenants", s.tapmsList},
		{"POST", "/tenants", s.tapmsOwners},
		{"GET", "/tenants/*", s.tapmsGet},
		{"GET", "/tenant/*", s.tapmsGet},
	}
}

// body renders a tenant as the Kubernetes object that TAPMS passes on.
func (s *Site) tenantBody(t *tenant) map[string]any {
	resources := []any{map[string]any{
		"type": "compute", "xnames": s.ids(t.members), "hsmpartitionname": "", "hsmgrouplabel": t.group,
		"enforceexclusivehsmgroups": false,
	}}
	return map[string]any{
		"kind":       "Tenant",
		"apiVersion": "tapms.hpe.com/v1alpha3",
		"metadata":   map[string]any{"name": t.name, "namespace": "tenants"},
		"spec": map[string]any{
			"tenantname": t.name, "state": "Deployed", "childnamespaces": []string{}, "tenantresources": resources,
			"tenantkms": map[string]any{"enablekms": false}, "tenanthooks": nil,
		},
		"status": map[string]any{
			"childnamespaces": []string{}, "tenantresources": resources, "uuid": t.uuid,
			"tenantkms": map[string]any{}, "tenanthooks": []any{},
		},
	}
}

// tapmsList is GET /tenants: a Kubernetes list.
func (s *Site) tapmsList(w http.ResponseWriter, _ *req) {
	items := []any{}
	s.mu.Lock()
	for i := range s.tenants {
		items = append(items, s.tenantBody(&s.tenants[i]))
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string]any{
		"kind": "TenantList", "apiVersion": "tapms.hpe.com/v1alpha3", "metadata": map[string]any{}, "items": items,
	})
}

// tapmsGet is GET /tenants/{name or uuid}. Its 404 is a bare JSON string.
func (s *Site) tapmsGet(w http.ResponseWriter, q *req) {
	key := q.args[0]
	s.mu.Lock()
	i := slices.IndexFunc(s.tenants, func(t tenant) bool { return t.name == key || t.uuid == key })
	var out any = "Tenant with name/uuid '" + key + "' not found."
	if i >= 0 {
		out = s.tenantBody(&s.tenants[i])
	}
	s.mu.Unlock()
	reply(w, pick(i >= 0, http.StatusOK, http.StatusNotFound), typeJSON, out)
}

// tapmsOwners is POST /tenants with a list of xnames: the tenants that own any.
func (s *Site) tapmsOwners(w http.ResponseWriter, q *req) {
	var names []string
	if err := json.Unmarshal(q.body, &names); err != nil {
		reply(w, http.StatusInternalServerError, typeJSON, map[string]string{"message": err.Error()})
		return
	}
	out := []any{}
	s.mu.Lock()
	for i := range s.tenants {
		owned := s.ids(s.tenants[i].members)
		if slices.ContainsFunc(names, func(x string) bool { return slices.Contains(owned, x) }) {
			out = append(out, s.tenantBody(&s.tenants[i]))
		}
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

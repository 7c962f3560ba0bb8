// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"bos/internal/bos"
	"bos/internal/sessionplan"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/hsm"
	"bos/internal/upstream/pcs"
)

// machines are the services that a plan asks, as the test says they are: HSM
// knows every node that it is asked about, and lists some as Compute; their
// power is off but for those that are on.
type machines struct {
	*tenants
	mu                   sync.Mutex
	compute              []string
	disabled, locked, on bos.Set
	away                 string
}

func newMachines(t *tenants) *machines { return &machines{tenants: t} }

func (m *machines) set(change func(*machines)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *machines) answers(service string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away == service {
		return bos.Unavailable(service, context.DeadlineExceeded)
	}
	return nil
}

func (m *machines) node(id, role string) hsm.Node {
	return hsm.Node{ID: id, Role: role, Arch: "X86", Enabled: !m.disabled.Has(id)}
}

func (m *machines) Nodes(context.Context) ([]hsm.Node, error) {
	out := []hsm.Node{}
	for _, id := range m.compute {
		out = append(out, m.node(id, "Compute"))
	}
	return out, m.answers("hsm")
}

func (m *machines) Query(_ context.Context, ids []string, _ bool) (map[string]hsm.Node, error) {
	out := map[string]hsm.Node{}
	for _, id := range ids {
		out[id] = m.node(id, "")
	}
	return out, m.answers("hsm")
}

func (m *machines) Groups(context.Context) (map[string][]string, error)     { return nil, nil }
func (m *machines) Partitions(context.Context) (map[string][]string, error) { return nil, nil }

func (m *machines) Locked(context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for id := range m.locked {
		out[id] = true
	}
	return out, nil
}

func (m *machines) Fresh(ctx context.Context, name string) ([]string, error) {
	return m.Cached(ctx, name)
}

func (m *machines) Target(_ context.Context, t *bos.Template, set *bos.BootSet, _ string) (bos.Target, error) {
	const image = "s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/"
	return bos.Target{
		BootArtifacts: bos.BootArtifacts{
			Kernel: bos.Some(image + "kernel"), Initrd: bos.Some(image + "initrd"),
			KernelParameters: bos.Some(set.KernelParameters.Value()),
		},
		Configuration: t.ConfigurationFor(set),
	}, m.answers("s3")
}

func (m *machines) PowerStatus(_ context.Context, ids []string) (map[string]pcs.Power, error) {
	out := map[string]pcs.Power{}
	for _, id := range ids {
		out[id] = pcs.Power{Found: true, State: pcs.StateOff}
		if m.on.Has(id) {
			out[id] = pcs.Power{Found: true, State: pcs.StateOn}
		}
	}
	return out, m.answers("pcs")
}

func (m *machines) Components(_ context.Context, ids []string) (map[string]cfs.Component, error) {
	out := map[string]cfs.Component{}
	for _, id := range ids {
		out[id] = cfs.Component{ID: id, ConfigurationStatus: "unconfigured"}
	}
	return out, m.answers("cfs")
}

// plan lets an API make plans with these services.
func (m *machines) plan(cfg *Config) {
	p := &sessionplan.Planner{
		Resolver: sessionplan.Resolver{HSM: m, Images: m, Tenants: m}, PCS: m, CFS: m, View: cfg.View, Clock: cfg.Clock,
	}
	cfg.Plan = p.Plan
}

// A plan writes nothing, whatever it finds, and says what is away.
func TestPlanWritesNothing(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":{"type":"s3","path":"s3://b/img/m.json","node_list":["a1","a2","a3","x1"]}}}`).wants(http.StatusOK)
	s.do("PUT", "/v2/components", `[{"id":"a1"},{"id":"a2","enabled":true,"session":"s"},{"id":"a3"}]`).wants(http.StatusOK)
	s.session("s")
	s.machines.set(func(m *machines) {
		m.compute = []string{"a1", "a2", "a3", "x1"}
		m.locked, m.on = bos.NewSet("a3"), bos.NewSet("a1", "a2")
	})
	before := s.server.view.Revision()
	ask := func(body string) reply { return s.do("POST", "/v2/sessionplan", body) }
	var plan bos.SessionPlan
	ask(`{"operation":"shutdown","template_name":"t","limit":"a1,a2,a3,x1"}`).wants(http.StatusOK).json(&plan)
	if plan.Count != 2 || plan.Nodes != "a1,a2" || len(plan.Included) != 1 || plan.Included[0].Action != bos.NextPowerOffGraceful {
		t.Errorf("included: %+v", plan)
	}
	if len(plan.Excluded) != 2 || plan.Excluded[0].Nodes != "a3" || plan.Excluded[0].Reason != bos.ExcludedLocked || plan.Excluded[1].Reason != bos.ExcludedNoComponent {
		t.Errorf("excluded: %+v", plan.Excluded)
	}
	if len(plan.TakenOver) != 1 || plan.TakenOver[0] != (bos.TakenOver{Session: "s", Count: 1, Nodes: "a2"}) {
		t.Errorf("taken over: %+v", plan.TakenOver)
	}
	ask(`{"operation":"boot","template_name":"t","stage":true}`).wants(http.StatusOK).json(&plan)
	if len(plan.Included) != 1 || plan.Included[0].Action != bos.NextStage || len(plan.TakenOver) != 0 {
		t.Errorf("staged: %+v", plan)
	}
	ask(`{"operation":"boot","template_name":"t","limit":"nobody"}`).wants(http.StatusOK).json(&plan)
	if plan.Count != 0 || len(plan.Warnings) != 2 || plan.Excluded[0].Count != 4 {
		t.Errorf("nobody: %+v", plan)
	}
	for _, service := range []string{"hsm", "s3", "pcs", "cfs"} {
		s.machines.set(func(m *machines) { m.away = service })
		ask(`{"operation":"boot","template_name":"t"}`).problem(http.StatusServiceUnavailable, titleUnavailable, service)
	}
	s.machines.set(func(m *machines) { m.away = "" })
	ask(`{"operation":"boot","template_name":"t","name":"s"}`).problem(http.StatusConflict, titleExists, "'s'")
	ask(`{"operation":"boot","template_name":"none"}`).problem(http.StatusBadRequest, titleBadRequest, "none")
	if after := s.server.view.Revision(); after != before {
		t.Errorf("something was written: revision %d, then %d", before, after)
	}
}

// A tenant's plan is about the tenant's template and nodes, and names no
// session of anybody else.
func TestPlanOfTenant(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"a1","enabled":true,"session":"secret"},{"id":"b1"}]`).wants(http.StatusOK)
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":`+bootSet+`}}`).wants(http.StatusOK)
	s.session("secret")
	s.machines.set(func(m *machines) { m.compute = []string{"a1", "b1"} })
	s.as("tenant-a", "POST", "/v2/sessionplan", `{"operation":"boot","template_name":"t"}`).problem(http.StatusBadRequest, titleBadRequest, "t")
	s.as("tenant-a", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":{"type":"s3","path":"s3://b/img/m.json","node_roles_groups":["Compute"]}}}`).wants(http.StatusOK)
	var plan bos.SessionPlan
	s.as("tenant-a", "POST", "/v2/sessionplan", `{"operation":"boot","template_name":"t"}`).wants(http.StatusOK).json(&plan)
	if plan.Nodes != "a1" || plan.Excluded[0].Reason != bos.ExcludedOtherTenant || plan.Tenant != "tenant-a" {
		t.Errorf("%+v", plan)
	}
	if len(plan.TakenOver) != 1 || plan.TakenOver[0] != (bos.TakenOver{Count: 1, Nodes: "a1"}) {
		t.Errorf("taken over: %+v", plan.TakenOver)
	}
	s.as("tenant-a", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":{"type":"s3","path":"s3://b/img/m.json","node_list":["b1"]}}}`).wants(http.StatusOK)
	s.as("tenant-a", "POST", "/v2/sessionplan", `{"operation":"boot","template_name":"t"}`).problem(http.StatusBadRequest, titleBadRequest, "b1")
}

// SPDX-License-Identifier: MIT

// Package sessionplan finds out what a session is about: which nodes, which
// image and configuration each gets, which nodes are left out and why. Set-up
// acts on it; the dry run of a session shows it, with what would be done.
package sessionplan

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/upstream/call"
	"bos/internal/upstream/hsm"
	"bos/internal/view"
)

// HSM is what is asked of the hardware state manager about a session.
type HSM interface {
	Nodes(ctx context.Context) ([]hsm.Node, error)
	Query(ctx context.Context, ids []string, enabledOnly bool) (map[string]hsm.Node, error)
	Groups(ctx context.Context) (map[string][]string, error)
	Partitions(ctx context.Context) (map[string][]string, error)
	Locked(ctx context.Context) (map[string]bool, error)
}

// Tenants says which nodes a tenant has, freshly asked.
type Tenants interface {
	Fresh(ctx context.Context, name string) ([]string, error)
}

// Images finds out what a boot set boots.
type Images interface {
	Target(ctx context.Context, t *bos.Template, set *bos.BootSet, updateFrequency string) (bos.Target, error)
}

// Resolver asks the services about the nodes of sessions. Tenants is nil at a
// site without them.
type Resolver struct {
	HSM     HSM
	Images  Images
	Tenants Tenants
}

// Resolve finds out the nodes of each boot set of a session's template, in its
// order, and the state that they shall get; the images of boot sets without
// nodes are not looked at. Warnings are about what the template names in vain.
//
// The error has [bos.CodeUnavailable] and names the service while one is away;
// any other code is a fault of the session, its template or image.
func (r Resolver) Resolve(ctx context.Context, s *bos.Session, v *view.View) (sets []decide.BootSetPlan, warnings []string, err error) {
	template, ok := v.Template(bos.TemplateKey{Tenant: s.Tenant, Name: s.TemplateName})
	if !ok {
		return nil, nil, bos.Errorf(bos.CodeInvalid, "%s",
			bos.NotFoundText("Session template", bos.TemplateKey{Tenant: s.Tenant, Name: s.TemplateName}))
	}
	limit, err := bos.ParseLimit(s.Limit)
	if err != nil {
		return nil, nil, err
	}
	q := &inquiry{Resolver: r, session: s}
	if err := q.ask(ctx, &template.Template, limit); err != nil {
		return nil, nil, err
	}
	opts := v.Options()
	for name, set := range template.Template.BootSets.All() {
		plan, err := q.nodes(ctx, name, &set, limit)
		if err != nil {
			return nil, q.warnings, err
		}
		switch {
		case len(plan.Nodes) == 0:
			q.warnings = append(q.warnings, fmt.Sprintf("boot set '%s' has no nodes to act upon", name))
		case s.Operation == bos.OperationShutdown:
			plan.Target = decide.OffTarget()
		default:
			plan.Target, err = r.Images.Target(ctx, &template.Template, &set, opts.ComponentActualStateTTL)
			if err != nil {
				return nil, q.warnings, inBootSet(name, err)
			}
		}
		sets = append(sets, plan)
	}
	return sets, q.warnings, nil
}

// inBootSet puts the name of a boot set in front of what users read of an
// error; an outage stays one.
func inBootSet(name string, err error) error {
	if bos.IsUnavailable(err) {
		return err
	}
	return &bos.Error{Code: bos.CodeOf(err), Message: fmt.Sprintf("boot set '%s': %s", name, bos.UserText(err)), Err: err}
}

// inquiry is what is asked about one session: each question at most once, and
// only if the session needs the answer.
type inquiry struct {
	Resolver
	session *bos.Session
	site    decide.Site
	// all are all nodes of HSM; nil if they were not asked for.
	all      map[string]hsm.Node
	warnings []string
}

// ask asks what holds for all boot sets: the tenant's nodes, locks, and what
// the names in boot sets and limit stand for.
func (q *inquiry) ask(ctx context.Context, t *bos.Template, limit bos.Limit) error {
	if err := q.askTenant(ctx); err != nil {
		return err
	}
	locked, err := q.HSM.Locked(ctx)
	if err != nil {
		return fmt.Errorf("ask hsm for locked nodes: %w", err)
	}
	q.site.Locked = bos.NewSet(slices.Collect(maps.Keys(locked))...)
	groups, roles := !limit.IsZero(), !limit.IsZero()
	for _, set := range t.BootSets.All() {
		groups = groups || len(set.NodeGroups.Value()) > 0
		roles = roles || len(set.NodeRolesGroups.Value()) > 0
	}
	if groups {
		list, err := q.HSM.Groups(ctx)
		if err != nil {
			return fmt.Errorf("ask hsm for groups: %w", err)
		}
		q.site.Inventory.Groups = sets(list)
	}
	if !limit.IsZero() {
		list, err := q.HSM.Partitions(ctx)
		if err != nil {
			return fmt.Errorf("ask hsm for partitions: %w", err)
		}
		q.site.Inventory.Partitions = sets(list)
	}
	if roles {
		return q.askRoles(ctx)
	}
	return nil
}

// askTenant asks afresh which nodes are the tenant's: what is remembered must
// not decide what is touched.
func (q *inquiry) askTenant(ctx context.Context) error {
	name := q.session.Tenant
	if name == "" {
		return nil
	}
	if q.Tenants == nil {
		return bos.Errorf(bos.CodeInvalid, "the session belongs to tenant '%s', but this site has no tenants", name)
	}
	nodes, err := q.Tenants.Fresh(ctx, name)
	if err != nil {
		return fmt.Errorf("ask tapms for tenant %q: %w", name, err)
	}
	q.site.Tenant = bos.NewSet(nodes...)
	return nil
}

func (q *inquiry) askRoles(ctx context.Context) error {
	list, err := q.HSM.Nodes(ctx)
	if err != nil {
		return fmt.Errorf("ask hsm for all nodes: %w", err)
	}
	roles := map[string]bos.Set{}
	add := func(role, id string) {
		if roles[role] == nil {
			roles[role] = bos.Set{}
		}
		roles[role].Add(id)
	}
	q.all = make(map[string]hsm.Node, len(list))
	for _, n := range list {
		q.all[n.ID] = n
		if n.Role == "" {
			continue
		}
		add(n.Role, n.ID)
		if n.SubRole != "" {
			add(n.Role+"_"+n.SubRole, n.ID)
		}
	}
	q.site.Inventory.Roles = roles
	return nil
}

func sets(lists map[string][]string) map[string]bos.Set {
	out := make(map[string]bos.Set, len(lists))
	for name, ids := range lists {
		out[name] = bos.NewSet(ids...)
	}
	return out
}

// nodes sorts the nodes that a boot set names.
func (q *inquiry) nodes(ctx context.Context, name string, set *bos.BootSet, limit bos.Limit) (decide.BootSetPlan, error) {
	plan := decide.BootSetPlan{Name: name}
	candidates, warnings, err := decide.Candidates(set, q.site)
	if err != nil {
		return plan, err
	}
	for _, w := range warnings {
		q.warnings = append(q.warnings, fmt.Sprintf("boot set '%s': %s", name, w))
	}
	if len(candidates) == 0 {
		return plan, nil
	}
	known := q.all
	if known == nil {
		known, err = q.HSM.Query(ctx, slices.Sorted(maps.Keys(candidates)), false)
		if err != nil {
			return plan, fmt.Errorf("ask hsm for the nodes of boot set %q: %w", name, err)
		}
	}
	q.site.Nodes = make(map[string]decide.HSMNode, len(candidates))
	for id := range candidates {
		if n, ok := known[call.Canonical(id)]; ok {
			q.site.Nodes[id] = decide.HSMNode{Arch: n.Arch, Enabled: n.Enabled}
		}
	}
	plan.Nodes, plan.Excluded = decide.Sift(q.session, set, limit, candidates, q.site)
	return plan, nil
}

// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/upstream/call"
	"bos/internal/upstream/hsm"
)

// plan resolves a session, stores the plan, and returns the session as planned.
func (t *setupTerm) plan(ctx context.Context, rec *bos.SessionRecord, log *slog.Logger) (*bos.SessionRecord, error) {
	sets, err := t.resolve(ctx, &rec.Session, log)
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return nil, bos.Errorf(bos.CodeInvalid, "%s", decide.TextNoNodes)
	}
	chunks := decide.Plan(rec.Sealed.UID, sets)
	fence := t.l.Fence()
	nodes := 0
	for n, chunk := range chunks {
		nodes += len(chunk.Nodes)
		if _, err := t.Store.PutDoc(ctx, store.PlanKey(rec.Sealed.UID, n), chunk, &fence); err != nil {
			return nil, fmt.Errorf("store the plan of session %q: %w", rec.Session.Name, err)
		}
	}
	planned, err := t.update(ctx, rec, func(s *bos.SessionRecord) {
		s.Sealed.Setup, s.Sealed.Chunks, s.Sealed.Nodes = bos.SetupPlanned, len(chunks), nodes
		s.Session.Status.Error = nil
	})
	if err == nil && planned == nil {
		err = errGone
	}
	return planned, err
}

// resolver asks the services about a session's nodes, each question at most
// once and only if the session needs the answer.
type resolver struct {
	*setupTerm
	session *bos.Session
	site    decide.Site
	// all are all nodes of HSM; nil if they were not asked for.
	all map[string]hsm.Node
}

// resolve finds out the nodes of each boot set and the state that they shall
// get. Boot sets without nodes are left out; their images are not looked at.
func (t *setupTerm) resolve(ctx context.Context, s *bos.Session, log *slog.Logger) ([]decide.BootSetPlan, error) {
	template, ok := t.View.Template(bos.TemplateKey{Tenant: s.Tenant, Name: s.TemplateName})
	if !ok {
		return nil, bos.Errorf(bos.CodeInvalid, "%s",
			bos.NotFoundText("Session template", bos.TemplateKey{Tenant: s.Tenant, Name: s.TemplateName}))
	}
	limit, err := bos.ParseLimit(s.Limit)
	if err != nil {
		return nil, err
	}
	r := &resolver{setupTerm: t, session: s}
	if err := r.ask(ctx, &template.Template, limit); err != nil {
		return nil, err
	}
	opts := t.View.Options()
	var plans []decide.BootSetPlan
	for name, set := range template.Template.BootSets.All() {
		nodes, err := r.nodes(ctx, name, &set, limit, log)
		if err != nil {
			return nil, err
		}
		if len(nodes) == 0 {
			log.Info("a boot set has no nodes to act upon", slog.String("boot_set", name))
			continue
		}
		target := decide.OffTarget()
		if s.Operation != bos.OperationShutdown {
			target, err = t.Images.Target(ctx, &template.Template, &set, opts.ComponentActualStateTTL)
			if err != nil {
				return nil, inBootSet(name, err)
			}
		}
		plans = append(plans, decide.BootSetPlan{Nodes: nodes, Target: target})
	}
	return plans, nil
}

// inBootSet puts the name of a boot set in front of what users read of an
// error; an outage stays one.
func inBootSet(name string, err error) error {
	if bos.IsUnavailable(err) {
		return err
	}
	return &bos.Error{Code: bos.CodeOf(err), Message: fmt.Sprintf("boot set '%s': %s", name, bos.UserText(err)), Err: err}
}

// ask asks what holds for all boot sets: the tenant's nodes, locks, and what
// the names in boot sets and limit stand for.
func (r *resolver) ask(ctx context.Context, t *bos.Template, limit bos.Limit) error {
	if err := r.askTenant(ctx); err != nil {
		return err
	}
	locked, err := r.HSM.Locked(ctx)
	if err != nil {
		return fmt.Errorf("ask hsm for locked nodes: %w", err)
	}
	r.site.Locked = bos.NewSet(slices.Collect(maps.Keys(locked))...)
	groups, roles := !limit.IsZero(), !limit.IsZero()
	for _, set := range t.BootSets.All() {
		groups = groups || len(set.NodeGroups.Value()) > 0
		roles = roles || len(set.NodeRolesGroups.Value()) > 0
	}
	if groups {
		list, err := r.HSM.Groups(ctx)
		if err != nil {
			return fmt.Errorf("ask hsm for groups: %w", err)
		}
		r.site.Inventory.Groups = sets(list)
	}
	if !limit.IsZero() {
		list, err := r.HSM.Partitions(ctx)
		if err != nil {
			return fmt.Errorf("ask hsm for partitions: %w", err)
		}
		r.site.Inventory.Partitions = sets(list)
	}
	if roles {
		return r.askRoles(ctx)
	}
	return nil
}

// askTenant asks afresh which nodes are the tenant's: what is remembered must
// not decide what is touched.
func (r *resolver) askTenant(ctx context.Context) error {
	name := r.session.Tenant
	if name == "" {
		return nil
	}
	if r.Tenants == nil {
		return bos.Errorf(bos.CodeInvalid, "the session belongs to tenant '%s', but this site has no tenants", name)
	}
	nodes, err := r.Tenants.Fresh(ctx, name)
	if err != nil {
		return fmt.Errorf("ask tapms for tenant %q: %w", name, err)
	}
	r.site.Tenant = bos.NewSet(nodes...)
	return nil
}

func (r *resolver) askRoles(ctx context.Context) error {
	list, err := r.HSM.Nodes(ctx)
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
	r.all = make(map[string]hsm.Node, len(list))
	for _, n := range list {
		r.all[n.ID] = n
		if n.Role == "" {
			continue
		}
		add(n.Role, n.ID)
		if n.SubRole != "" {
			add(n.Role+"_"+n.SubRole, n.ID)
		}
	}
	r.site.Inventory.Roles = roles
	return nil
}

func sets(lists map[string][]string) map[string]bos.Set {
	out := make(map[string]bos.Set, len(lists))
	for name, ids := range lists {
		out[name] = bos.NewSet(ids...)
	}
	return out
}

// nodes returns the nodes of a boot set that the session acts upon.
func (r *resolver) nodes(ctx context.Context, name string, set *bos.BootSet, limit bos.Limit, log *slog.Logger) ([]string, error) {
	candidates, warnings, err := decide.Candidates(set, r.site)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		log.Warn("a boot set names what does not exist", slog.String("boot_set", name), slog.String("warning", w))
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	known := r.all
	if known == nil {
		known, err = r.HSM.Query(ctx, slices.Sorted(maps.Keys(candidates)), false)
		if err != nil {
			return nil, fmt.Errorf("ask hsm for the nodes of boot set %q: %w", name, err)
		}
	}
	r.site.Nodes = make(map[string]decide.HSMNode, len(candidates))
	for id := range candidates {
		if n, ok := known[call.Canonical(id)]; ok {
			r.site.Nodes[id] = decide.HSMNode{Arch: n.Arch, Enabled: n.Enabled}
		}
	}
	return decide.NodesOf(r.session, set, limit, candidates, r.site), nil
}

// apply writes the plan of a session to its nodes, chunk by chunk, and returns
// the nodes of which BOS has no component. Chunks and nodes that were written
// before are left alone.
func (t *setupTerm) apply(ctx context.Context, rec *bos.SessionRecord) (unknown []string, err error) {
	for n := range rec.Sealed.Chunks {
		if n > 0 {
			t.giveWay()
		}
		key := store.PlanKey(rec.Sealed.UID, n)
		kv, err := t.Store.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read the plan of session %q: %w", rec.Session.Name, err)
		}
		chunk, err := store.Decode[bos.PlanChunk](kv)
		if err != nil {
			return nil, fmt.Errorf("read the plan of session %q: %w", rec.Session.Name, err)
		}
		if now, ok := t.View.Session(rec.Session.Key()); !ok || now.Sealed.UID != rec.Sealed.UID {
			return nil, errGone
		}
		if !chunk.Applied {
			if err := t.applyChunk(ctx, rec, key, &chunk); err != nil {
				return nil, err
			}
		}
		for _, node := range chunk.Nodes {
			if node.Unknown {
				unknown = append(unknown, node.ID)
			}
		}
	}
	return unknown, nil
}

// applyChunk writes one chunk of a plan to its nodes and notes that it did.
func (t *setupTerm) applyChunk(ctx context.Context, rec *bos.SessionRecord, key string, chunk *bos.PlanChunk) error {
	targets := make(map[string]bos.Target, len(chunk.Nodes))
	ids := make([]string, len(chunk.Nodes))
	for i, node := range chunk.Nodes {
		ids[i], targets[node.ID] = node.ID, chunk.Targets[node.Target]
	}
	unknown := bos.Set{}
	fence := t.l.Fence()
	_, err := t.Store.UpdateRecords(ctx, store.RecordUpdate{
		IDs: ids, Read: t.View.Record, Fence: &fence,
		Change: func(id string, old *bos.Record) (*bos.Record, error) {
			if old == nil {
				unknown.Add(id)
				return nil, nil //nolint:nilnil // nothing to write
			}
			delete(unknown, id)
			if old.Sealed.Plan == rec.Sealed.UID {
				return nil, nil //nolint:nilnil // written before
			}
			next := decide.SetUp(t.write(), &rec.Session, rec.Sealed.UID, targets[id], *old)
			return &next, nil
		},
	})
	if err != nil {
		return fmt.Errorf("set up the nodes of session %q: %w", rec.Session.Name, err)
	}
	for i := range chunk.Nodes {
		chunk.Nodes[i].Unknown = unknown.Has(chunk.Nodes[i].ID)
	}
	chunk.Applied = true
	if _, err := t.Store.PutDoc(ctx, key, chunk, &fence); err != nil {
		return fmt.Errorf("note how far session %q is: %w", rec.Session.Name, err)
	}
	return nil
}

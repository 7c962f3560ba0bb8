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
	"bos/internal/sessionplan"
	"bos/internal/store"
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

// resolve finds out the nodes of each boot set and the state that they shall
// get. Boot sets without nodes are left out.
func (t *setupTerm) resolve(ctx context.Context, s *bos.Session, log *slog.Logger) ([]decide.BootSetPlan, error) {
	resolver := sessionplan.Resolver{HSM: t.HSM, Images: t.Images, Tenants: t.Tenants}
	sets, warnings, err := resolver.Resolve(ctx, s, t.View)
	for _, w := range warnings {
		log.Warn("a session's template names what does not exist or has no nodes", slog.String("warning", w))
	}
	return slices.DeleteFunc(sets, func(set decide.BootSetPlan) bool { return len(set.Nodes) == 0 }), err
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
		now, ok := t.View.Session(rec.Session.Key())
		switch {
		case !ok || now.Sealed.UID != rec.Sealed.UID:
			return nil, errGone
		case now.Stopped():
			return nil, errStopped
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
	// lost are the sessions that drove nodes of this one until now.
	lost := map[string]*bos.Record{}
	fence := t.l.Fence()
	result, err := t.Store.UpdateRecords(ctx, store.RecordUpdate{
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
			delete(lost, id)
			if !rec.Session.Stage && old.Component.Enabled.Value() && old.OwnSession() != rec.Session.Key() {
				lost[id] = old
			}
			next := decide.SetUp(t.write(), &rec.Session, rec.Sealed.UID, targets[id], *old)
			return &next, nil
		},
	})
	if err != nil {
		return fmt.Errorf("set up the nodes of session %q: %w", rec.Session.Name, err)
	}
	t.tellSetUp(&rec.Session, result.Written, lost)
	for i := range chunk.Nodes {
		chunk.Nodes[i].Unknown = unknown.Has(chunk.Nodes[i].ID)
	}
	chunk.Applied = true
	if _, err := t.Store.PutDoc(ctx, key, chunk, &fence); err != nil {
		return fmt.Errorf("note how far session %q is: %w", rec.Session.Name, err)
	}
	return nil
}

// tellSetUp tells of nodes that a session has set up, to those too who lost them.
func (t *setupTerm) tellSetUp(s *bos.Session, written, lost map[string]*bos.Record) {
	told := happenings{}
	what := decide.SetUpHappening(s)
	if s.Stage {
		// A staged session does not own its nodes.
		t.Events.Record(what.Type, s.Key(), what.Text, slices.Collect(maps.Keys(written))...)
		return
	}
	for id, rec := range written {
		told.add(what, rec)
		if before := lost[id]; before != nil && before.Component.Session.Value() != "" {
			text := bos.TakenOverText(before.Sealed.Owner, s.Key())
			told.add(decide.Happening{Type: bos.EventTakenOver, Text: text}, before)
		}
	}
	t.tell(told)
}

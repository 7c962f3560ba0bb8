// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"bos/internal/bos"
	"bos/internal/view"
)

func (s *server) putComponent(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	var doc bos.Component
	if err := s.decoders.decode(x.body, &doc); err != nil {
		return err
	}
	now, err := s.put(x, []string{id}, map[string]bos.Component{id: doc})
	if err != nil {
		return err
	}
	return s.written(x, now, id)
}

func (s *server) putComponents(x *exchange) error {
	within, err := s.nodesOf(x.ctx(), x.tenant)
	if err != nil {
		return err
	}
	ids, docs, err := s.byID(x.body)
	if err != nil {
		return err
	}
	x.about(ids...)
	for _, id := range ids {
		if !mayTouch(within, id) {
			return noComponent(id)
		}
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	now, err := s.put(x, ids, docs)
	if err != nil {
		return err
	}
	return x.components(ids, now, (*bos.Component).AppendJSON)
}

// put replaces components, or creates them.
func (s *server) put(x *exchange, ids []string, docs map[string]bos.Component) (map[string]*bos.Record, error) {
	w := s.writer(x.tenant)
	return s.update(x.ctx(), ids, func(id string, old, _ *bos.Record) (*bos.Record, error) {
		doc := docs[id]
		doc.ID = id
		rec := w.Put(old, doc)
		if old != nil {
			rec.Revision = old.Revision
		}
		return &rec, nil
	})
}

// byID reads a list of components: their ids in order, each once, and for each
// the last that was sent.
func (s *server) byID(body []byte) ([]string, map[string]bos.Component, error) {
	var sent []bos.Component
	if err := s.decoders.decode(body, &sent); err != nil {
		return nil, nil, err
	}
	if err := s.limits.checkItems(len(sent)); err != nil {
		return nil, nil, err
	}
	ids := make([]string, 0, len(sent))
	docs := make(map[string]bos.Component, len(sent))
	for _, doc := range sent {
		if _, again := docs[doc.ID]; !again {
			ids = append(ids, doc.ID)
		}
		docs[doc.ID] = doc
	}
	return ids, docs, nil
}

// patchComponent changes one component. Nodes report with it what they booted.
func (s *server) patchComponent(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	var patch bos.Component
	if err := s.decoders.decode(x.body, &patch); err != nil {
		return err
	}
	w := s.writer(x.tenant)
	now, err := s.update(x.ctx(), []string{id}, func(id string, old, _ *bos.Record) (*bos.Record, error) {
		if old == nil {
			return nil, noComponent(id)
		}
		if patch.ActualState.IsSet() && inTransit(&old.Component) {
			return nil, &bos.Error{
				Code: bos.CodeConflict, Title: titleActualState,
				Message: "BOS is currently changing the state of the node, and the actual state can not be accurately recorded",
			}
		}
		rec := w.Patch(*old, patch)
		return &rec, nil
	})
	if err != nil {
		return err
	}
	return s.written(x, now, id)
}

// inTransit reports whether BOS is changing what a node runs, so that a report
// of it may be older than that. After a power-on the report is what is awaited.
func inTransit(c *bos.Component) bool {
	return c.Enabled.Value() &&
		c.StatusNow() != bos.StatusStable &&
		c.LastAction.Value().Action.Value() != bos.ActionPoweringOn
}

// patchComponents changes many components: each in its own way, or all that a
// filter selects in the same.
func (s *server) patchComponents(x *exchange) error {
	within, err := s.nodesOfMany(x.ctx(), x.tenant)
	if err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	skip, _ := x.params.Bool("skip_bad_ids")
	if bytes.HasPrefix(bytes.TrimLeft(x.body, " \t\r\n"), []byte("[")) {
		ids, patches, err := s.byID(x.body)
		if err != nil {
			return err
		}
		return s.patchListed(x, ids, within, skip, func(id string) bos.Component { return patches[id] })
	}
	var update struct {
		Patch   bos.Component `json:"patch"`
		Filters struct {
			IDs     string `json:"ids"`
			Session string `json:"session"`
		} `json:"filters"`
	}
	if err := s.decoders.decode(x.body, &update); err != nil {
		return err
	}
	if session := update.Filters.Session; session != "" {
		return s.patchSelected(x, session, within, update.Patch)
	}
	ids := once(strings.Split(update.Filters.IDs, ","))
	return s.patchListed(x, ids, within, skip, func(string) bos.Component { return update.Patch })
}

// patchListed changes components by their ids. One that does not exist, or is
// not the tenant's, is refused before anything is written, or left out.
func (s *server) patchListed(x *exchange, ids []string, within bos.Set, skip bool, patchOf func(id string) bos.Component) error {
	w := s.writer(x.tenant)
	x.about(ids...)
	now, err := s.update(x.ctx(), ids, func(id string, old, before *bos.Record) (*bos.Record, error) {
		switch {
		case old != nil && mayTouch(within, id):
			rec := w.Patch(*old, patchOf(id))
			return &rec, nil
		case before != nil || skip:
			return nil, nil
		}
		return nil, noComponent(id)
	})
	if err != nil {
		return err
	}
	return x.components(ids, now, (*bos.Component).AppendJSON)
}

// patchSelected changes the components that a session works on. One that leaves
// the session meanwhile is left alone. The answer looks like a read that the
// patch is written into: status.status is the one before.
func (s *server) patchSelected(x *exchange, session string, within bos.Set, patch bos.Component) error {
	selected := s.view.Components(view.Filter{Session: session, Within: within})
	ids := make([]string, len(selected))
	for i, n := range selected {
		ids[i] = n.ID()
	}
	x.about(ids...)
	w := s.writer(x.tenant)
	before := make(map[string]bos.StatusName, len(ids))
	now, err := s.update(x.ctx(), ids, func(id string, old, _ *bos.Record) (*bos.Record, error) {
		if old == nil || old.Component.Session.Value() != session {
			return nil, nil
		}
		before[id] = old.Component.StatusNow()
		rec := w.PatchSelected(*old, patch)
		return &rec, nil
	})
	if err != nil {
		return err
	}
	return x.components(ids, now, func(c *bos.Component, dst []byte) []byte { return c.AppendViewAt(dst, before[c.ID]) })
}

// written answers with one component as it was written.
func (s *server) written(x *exchange, now map[string]*bos.Record, id string) error {
	rec := now[id]
	if rec == nil {
		return fmt.Errorf("component %q is not among what was written", id)
	}
	out := s.buffers.Get()
	defer s.buffers.Put(out)
	*out = rec.Component.AppendJSON(*out)
	x.bytes(http.StatusOK, contentTypeJSON, *out)
	return nil
}

// components answers with those components that there are, in the order of the
// ids.
func (x *exchange) components(ids []string, now map[string]*bos.Record, encode func(*bos.Component, []byte) []byte) error {
	written := make([]*bos.Record, 0, len(now))
	for _, id := range ids {
		if rec := now[id]; rec != nil {
			written = append(written, rec)
		}
	}
	return list(x, written, func(dst []byte, rec *bos.Record) ([]byte, error) {
		return encode(&rec.Component, dst), nil
	})
}

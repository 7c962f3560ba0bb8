// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"net/http"
	"strings"

	"bos/internal/bos"
	"bos/internal/view"
)

func noComponent(id string) error {
	return bos.Errorf(bos.CodeNotFound, "Component '%s' does not exist", id)
}

// componentID names the component of a request.
func componentID(x *exchange) string { return x.text("component_id") }

func (s *server) listComponents(x *exchange) error {
	within, err := s.nodesOf(x.ctx(), x.tenant)
	if err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	list, tag := s.view.ComponentsAt(componentFilter(x, within))
	if !x.unchanged(tag) {
		s.nodes(x, list)
	}
	return nil
}

// componentFilter reads the filter of a list of components. Empty phases and
// statuses filter nothing; an empty list of ids selects nothing.
func componentFilter(x *exchange, within bos.Set) view.Filter {
	f := view.Filter{
		Session:       x.text("session"),
		StagedSession: x.text("staged_session"),
		Phase:         bos.Phase(x.text("phase")),
		StartAfter:    x.text("start_after_id"),
		Within:        within,
	}
	if ids, ok := x.params.String("ids"); ok {
		f.IDs = bos.Some(strings.Split(ids, ","))
	}
	if enabled, ok := x.params.Bool("enabled"); ok {
		f.Enabled = bos.Some(enabled)
	}
	if status := x.text("status"); status != "" {
		f.Statuses = strings.Split(status, ",")
	}
	f.PageSize, _ = x.params.Int("page_size")
	return f
}

// ownComponent finds the component of a request and checks that it is within
// the tenant's nodes; another's does not exist.
func (s *server) ownComponent(x *exchange) (id string, err error) {
	within, err := s.nodesOf(x.ctx(), x.tenant)
	if err != nil {
		return "", err
	}
	id = componentID(x)
	if !mayTouch(within, id) {
		return "", noComponent(id)
	}
	return id, s.sync(x.ctx())
}

func (s *server) getComponent(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	n, tag, ok := s.view.NodeAt(id)
	if !ok {
		return noComponent(id)
	}
	if !x.unchanged(tag) {
		s.node(x, n)
	}
	return nil
}

func (s *server) deleteComponent(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	revision, err := s.store.DeleteRecord(x.ctx(), id)
	if bos.IsNotFound(err) {
		return noComponent(id)
	}
	if err != nil {
		return fmt.Errorf("delete a component: %w", err)
	}
	s.settle(x.ctx(), revision)
	x.none()
	return nil
}

// whyComponent explains a component.
func (s *server) whyComponent(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	rec := s.view.Record(id)
	if rec == nil {
		return noComponent(id)
	}
	session, _ := s.view.Session(rec.OwnSession())
	return x.json(http.StatusOK, s.explain(x.ctx(), rec, session))
}

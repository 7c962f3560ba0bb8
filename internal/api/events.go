// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"bos/internal/bos"
	"bos/internal/view"
	"bos/internal/xname"
)

// defaultEvents is how many events an answer has if the request says nothing.
const defaultEvents = 1000

// eventPage is a part of what happened, oldest first.
type eventPage struct {
	Events []*bos.Event `json:"events"`
	// Next is the revision after which to ask for more; null at the end.
	Next *int64 `json:"next"`
}

// eventQuery reads from where and how many events are asked for.
func eventQuery(x *exchange) view.EventQuery {
	q := view.EventQuery{Tenant: x.tenant, Limit: defaultEvents}
	if after, ok := x.params.Int("after"); ok {
		q.After = int64(after)
	}
	if limit, ok := x.params.Int("limit"); ok {
		q.Limit = limit
	}
	return q
}

func (s *server) eventPage(x *exchange, q view.EventQuery) error {
	list, next := s.view.Events(q)
	page := eventPage{Events: list}
	if page.Events == nil {
		page.Events = []*bos.Event{}
	}
	if next > 0 {
		page.Next = &next
	}
	return x.json(http.StatusOK, page)
}

// sessionEvents tells what happened to a session and to its nodes on its behalf.
// One that was deleted has events for as long as they are kept.
func (s *server) sessionEvents(x *exchange) error {
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	key := sessionKey(x)
	q := eventQuery(x)
	q.Session = &key
	if _, ok := s.view.Session(key); !ok {
		if kept, _ := s.view.Events(view.EventQuery{Session: &key, Limit: 1}); len(kept) == 0 {
			return noSession(key)
		}
	}
	return s.eventPage(x, q)
}

// timeline tells what happened to a component; to a tenant, on its behalf.
func (s *server) timeline(x *exchange) error {
	id, err := s.ownComponent(x)
	if err != nil {
		return err
	}
	if s.view.Record(id) == nil {
		return noComponent(id)
	}
	q := eventQuery(x)
	q.Nodes = bos.NewSet(id)
	return s.eventPage(x, q)
}

// listEvents tells everything that happened, or what concerns a session or some
// components.
func (s *server) listEvents(x *exchange) error {
	if _, err := s.nodesOf(x.ctx(), x.tenant); err != nil {
		return err
	}
	q := eventQuery(x)
	nodes, err := nodeRange(x)
	if err != nil {
		return err
	}
	q.Nodes = nodes
	if name := x.text("session"); name != "" {
		q.Session = &bos.SessionKey{Tenant: x.tenant, Name: name}
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	return s.eventPage(x, q)
}

// nodeRange reads the components that a request is about; nil is all.
func nodeRange(x *exchange) (bos.Set, error) {
	text, ok := x.params.String("component")
	if !ok {
		return nil, nil
	}
	ids, err := xname.Expand(text)
	if err != nil {
		return nil, bos.Errorf(bos.CodeInvalid, "query parameter component: %v", err)
	}
	return bos.NewSet(ids...), nil
}

// tellChanges records what clients did to components.
func (s *server) tellChanges(before, now map[string]*bos.Record) {
	if s.events == nil {
		return
	}
	type happening struct {
		typ  bos.EventType
		text string
	}
	told := map[happening][]*bos.Record{}
	for id, rec := range now {
		if typ, text := bos.ClientEvent(before[id], rec); typ != "" {
			told[happening{typ, text}] = append(told[happening{typ, text}], rec)
		}
	}
	for what, records := range told {
		s.events.RecordNodes(what.typ, what.text, records)
	}
}

// SPDX-License-Identifier: MIT

package view

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
)

// change is an event of which what takes time was done before the lock is taken.
type change struct {
	store.Event
	// node is a component that was read, fault why it could not be.
	node  *Node
	fault error
}

// prepare reads the components among some events; only the goroutine that feeds
// the view may call it.
func (v *View) prepare(events []store.Event) []change {
	out := make([]change, len(events))
	for i, event := range events {
		out[i] = change{Event: event}
		if id, ok := strings.CutPrefix(event.Key, store.PrefixComponents); ok && !event.Deleted {
			out[i].node, out[i].fault = v.read(id, event.KV)
		}
	}
	return out
}

// read makes a node of a component.
func (v *View) read(id string, kv store.KV) (*Node, error) {
	// Only this goroutine changes the nodes.
	old := v.nodes.get(id)
	rec, err := store.DecodeRecord(kv, id, v.encoder.texts.bytes)
	if err != nil {
		return nil, err
	}
	return v.encoder.node(rec, old), nil
}

// apply takes note of one document; the lock is held. A document that can't be
// read is reported, and counts as if it were not there.
func (v *View) apply(c change) {
	delete(v.skipped, c.Key)
	err := v.dispatch(c)
	if err == nil {
		return
	}
	v.skipped[c.Key] = c.Revision
	v.log.Warn("a document in the store can't be read and is skipped",
		slog.String("key", c.Key), slog.Int64("revision", c.Revision), slog.Any("error", err))
	c.Deleted, c.node, c.fault = true, nil, nil
	_ = v.dispatch(c)
}

func (v *View) dispatch(c change) error {
	key, event := c.Key, c.Event
	if id, ok := strings.CutPrefix(key, store.PrefixComponents); ok {
		return v.applyNode(id, c)
	}
	if rest, ok := strings.CutPrefix(key, store.PrefixSessions); ok {
		return v.applySession(rest, event)
	}
	if rest, ok := strings.CutPrefix(key, store.PrefixTemplates); ok {
		return v.applyTemplate(rest, event)
	}
	if rest, ok := strings.CutPrefix(key, store.PrefixStatuses); ok {
		return v.applyStatus(rest, event)
	}
	if rest, ok := strings.CutPrefix(key, store.PrefixResults); ok {
		return v.applyResult(rest, event)
	}
	if rest, ok := strings.CutPrefix(key, store.PrefixPlans); ok {
		return v.applyPlan(rest, event)
	}
	if token, ok := strings.CutPrefix(key, store.PrefixTokens); ok {
		return v.applyToken(token, event)
	}
	if id, ok := strings.CutPrefix(key, store.PrefixAttempts); ok {
		return v.applyAttempt(id, event)
	}
	if strings.HasPrefix(key, store.PrefixEvents) {
		return v.applyEvent(event)
	}
	switch key {
	case store.KeyOptions:
		return v.applyOptions(event)
	case store.KeyClock:
		if event.Deleted {
			return nil
		}
		instant, err := clock.Decode(event.Value)
		if err == nil {
			v.clock.Follow(instant)
		}
		return err
	}
	// The schema and the leaders are nobody's business here.
	return nil
}

func (v *View) applyNode(id string, c change) error {
	if c.fault != nil {
		return c.fault
	}
	old := v.nodes.put(id, c.node)
	v.changed.components = max(v.changed.components, c.Revision)
	if c.node == nil && old != nil {
		v.graves.add(tombstone{revision: c.Revision, node: id})
	}
	for f := range v.feeds {
		f.node(id, old, c.node)
	}
	return nil
}

func (v *View) applySession(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
	v.changed.sessions = max(v.changed.sessions, event.Revision)
	if old, ok := v.sessions.get(key); ok {
		delete(v.byUID, old.Sealed.UID)
		v.inState[old.Session.Status.Status].drop(key)
	}
	v.sessions.drop(key)
	_, wasStopped := v.stopped[key]
	delete(v.stopped, key)
	defer func() {
		if _, stopped := v.stopped[key]; wasStopped && !stopped {
			v.wake(key)
		}
	}()
	if event.Deleted {
		v.graves.add(tombstone{revision: event.Revision, session: key})
	} else {
		rec, err := store.DecodeSession(event.KV, key)
		if err != nil {
			// One that can't be read is shown to nobody, as after a restart.
			return err
		}
		v.sessions.put(key, rec)
		v.byUID[rec.Sealed.UID] = key
		state := rec.Session.Status.Status
		if v.inState[state] == nil {
			v.inState[state] = owned[*bos.SessionRecord]{}
		}
		v.inState[state].put(key, rec)
		if rec.Stopped() {
			v.stopped[key] = struct{}{}
		}
	}
	for f := range v.feeds {
		f.session(key)
	}
	return nil
}

// wake tells of all nodes of a session that is no longer stopped: those that had
// to leave them alone may act again.
func (v *View) wake(key bos.SessionKey) {
	for slot := range v.nodes.bySession[key] {
		for f := range v.feeds {
			f.node(slot.node.ID(), slot.node, slot.node)
		}
	}
}

var errNoTenantKey = bos.Errorf(bos.CodeInternal, "its key names no tenant and name")

func (v *View) applyTemplate(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
	v.changed.templates = max(v.changed.templates, event.Revision)
	if event.Deleted {
		v.templates.drop(key)
		return nil
	}
	rec, err := store.DecodeTemplate(event.KV, key)
	if err != nil {
		return err
	}
	v.templates.put(key, rec)
	return nil
}

func (v *View) applyStatus(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
	if event.Deleted {
		delete(v.statuses, key)
		return nil
	}
	if _, err := store.Decode[bos.ExtendedStatus](event.KV); err != nil {
		return err
	}
	v.statuses[key] = bytes.Clone(event.Value)
	return nil
}

func (v *View) applyResult(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
	if event.Deleted {
		delete(v.results, key)
		return nil
	}
	if _, err := store.Decode[bos.StoredResult](event.KV); err != nil {
		return err
	}
	v.results[key] = bytes.Clone(event.Value)
	return nil
}

func (v *View) applyPlan(rest string, event store.Event) error {
	// What a session is set up on is a part of the session.
	v.changed.sessions = max(v.changed.sessions, event.Revision)
	uid, number, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return bos.Errorf(bos.CodeInternal, "its key names no chunk")
	}
	if event.Deleted {
		delete(v.plans[uid], n)
		if len(v.plans[uid]) == 0 {
			delete(v.plans, uid)
		}
		return nil
	}
	chunk, err := store.Decode[bos.PlanChunk](event.KV)
	if err != nil {
		return err
	}
	for i := range chunk.Nodes {
		if known := v.nodes.get(chunk.Nodes[i].ID); known != nil {
			chunk.Nodes[i].ID = known.ID()
		}
	}
	if v.plans[uid] == nil {
		v.plans[uid] = map[int]*bos.PlanChunk{}
	}
	v.plans[uid][n] = &chunk
	return nil
}

func (v *View) applyToken(token string, event store.Event) error {
	if event.Deleted {
		delete(v.tokens, token)
		return nil
	}
	t, err := store.Decode[store.Token](event.KV)
	if err != nil {
		return err
	}
	v.encoder.texts.artifacts(&t.BootArtifacts)
	v.tokens[token] = t
	return nil
}

func (v *View) applyAttempt(id string, event store.Event) error {
	closed := v.attempts[id]
	if event.Deleted {
		delete(v.attempts, id)
	} else {
		a, err := store.Decode[bos.Attempt](event.KV)
		if err != nil {
			return err
		}
		for i, node := range a.Nodes {
			if known := v.nodes.get(node); known != nil {
				a.Nodes[i] = known.ID()
			}
		}
		v.attempts[id], closed = &a, nil
	}
	for f := range v.feeds {
		f.attempt(closed)
	}
	return nil
}

func (v *View) applyOptions(event store.Event) error {
	v.changed.options = max(v.changed.options, event.Revision)
	options := bos.DefaultOptions()
	if !event.Deleted {
		var err error
		if options, err = bos.DecodeOptions(event.Value); err != nil {
			return err
		}
	}
	v.options = options
	for f := range v.feeds {
		f.option()
	}
	return nil
}

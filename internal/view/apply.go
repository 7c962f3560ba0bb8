// SPDX-License-Identifier: MIT

package view

import (
	"log/slog"
	"strconv"
	"strings"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
)

// apply takes note of one document; the lock is held. A document that can't be
// read is reported, and counts as if it were not there.
func (v *View) apply(event store.Event) {
	delete(v.skipped, event.Key)
	err := v.dispatch(event)
	if err == nil {
		return
	}
	v.skipped[event.Key] = event.Revision
	v.log.Warn("a document in the store can't be read and is skipped",
		slog.String("key", event.Key), slog.Int64("revision", event.Revision), slog.Any("error", err))
	event.Deleted = true
	_ = v.dispatch(event)
}

func (v *View) dispatch(event store.Event) error {
	key := event.Key
	if id, ok := strings.CutPrefix(key, store.PrefixComponents); ok {
		return v.applyNode(id, event)
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
	if rest, ok := strings.CutPrefix(key, store.PrefixPlans); ok {
		return v.applyPlan(rest, event)
	}
	if token, ok := strings.CutPrefix(key, store.PrefixTokens); ok {
		return v.applyToken(token, event)
	}
	if id, ok := strings.CutPrefix(key, store.PrefixAttempts); ok {
		return v.applyAttempt(id, event)
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

func (v *View) applyNode(id string, event store.Event) error {
	var next *Node
	if !event.Deleted {
		if known := v.nodes.byID[id]; known != nil {
			id = known.ID()
		}
		rec, err := store.DecodeRecord(event.KV, id, v.intern.bytes)
		if err != nil {
			return err
		}
		next = &Node{Record: rec, Status: rec.Component.StatusNow()}
		next.JSON = rec.Component.AppendView(make([]byte, 0, 1024))
	}
	old := v.nodes.put(id, next)
	for f := range v.feeds {
		f.node(id, old, next)
	}
	return nil
}

func (v *View) applySession(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
	if old, ok := v.sessions.get(key); ok {
		delete(v.byUID, old.Sealed.UID)
		v.inState[old.Session.Status.Status].drop(key)
	}
	v.sessions.drop(key)
	if !event.Deleted {
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
	}
	for f := range v.feeds {
		f.session(key)
	}
	return nil
}

var errNoTenantKey = bos.Errorf(bos.CodeInternal, "its key names no tenant and name")

func (v *View) applyTemplate(rest string, event store.Event) error {
	key, ok := store.ParseTenantKey(rest)
	if !ok {
		return errNoTenantKey
	}
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
	v.statuses[key] = event.Value
	return nil
}

func (v *View) applyPlan(rest string, event store.Event) error {
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
		if known := v.nodes.byID[chunk.Nodes[i].ID]; known != nil {
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
	v.intern.artifacts(&t.BootArtifacts)
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
			if known := v.nodes.byID[node]; known != nil {
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

// interner keeps one copy of texts that many components share: artifacts,
// configurations, sessions, times.
type interner struct {
	texts map[string]string
}

// maxInterned bounds the interner; when it is full it begins anew.
const maxInterned = 1 << 14

func (n *interner) text(s string) string {
	if one, ok := n.texts[s]; ok {
		return one
	}
	return n.keep(s)
}

// bytes implements [bos.Texts].
func (n *interner) bytes(b []byte) string {
	if one, ok := n.texts[string(b)]; ok {
		return one
	}
	return n.keep(string(b))
}

func (n *interner) keep(s string) string {
	if s == "" {
		return ""
	}
	if n.texts == nil || len(n.texts) >= maxInterned {
		n.texts = make(map[string]string)
	}
	n.texts[s] = s
	return s
}

func (n *interner) opt(o *bos.Opt[string]) {
	if s, ok := o.Get(); ok {
		*o = bos.Some(n.text(s))
	}
}

func (n *interner) artifacts(a *bos.BootArtifacts) {
	n.opt(&a.Kernel)
	n.opt(&a.KernelParameters)
	n.opt(&a.Initrd)
}

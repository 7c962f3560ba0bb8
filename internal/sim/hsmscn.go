// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of change notification.
const (
	// scnQueue is how many messages wait for one subscriber; more are dropped.
	scnQueue = 10000
	// scnTries and scnPause are how HSM delivers; the pause is before scaling.
	scnTries = 3
	scnPause = 5 * time.Second
	// scnDelay is the time in which changes are put into one message, before
	// scaling.
	scnDelay = 5 * time.Millisecond
)

// subscription is one subscriber of state changes, as it was asked for.
type subscription struct {
	ID                  int      `json:"ID"`
	Subscriber          string   `json:"Subscriber"`
	Enabled             *bool    `json:"Enabled,omitempty"`
	Roles               []string `json:"Roles,omitempty"`
	SubRoles            []string `json:"SubRoles,omitempty"`
	SoftwareStatus      []string `json:"SoftwareStatus,omitempty"`
	States              []string `json:"States,omitempty"`
	URL                 string   `json:"Url"`
	queue               [][]byte
	delivering, deleted bool
}

// change is what happened to some components: one of the fields is set.
type change struct {
	state         string
	enabled       *bool
	role, subRole string
}

// pendingChange is a change and the components that wait to be told of.
type pendingChange struct {
	change
	members []int32
}

// scnState is who wants to hear of changes and what they have not heard yet.
type scnState struct {
	subs    []*subscription
	last    int
	pending []pendingChange
}

// notify tells subscribers of a change of these components, together with
// others of its kind that happen at about the same time. The lock must be held.
func (s *Site) notify(c change, members []int32) {
	if len(members) == 0 || len(s.scn.subs) == 0 {
		return
	}
	if n := len(s.scn.pending); n > 0 && s.scn.pending[n-1].same(c) {
		s.scn.pending[n-1].members = append(s.scn.pending[n-1].members, members...)
		return
	}
	if len(s.scn.pending) == 0 {
		s.after(s.scaled(scnDelay), s.flushChanges)
	}
	s.scn.pending = append(s.scn.pending, pendingChange{c, slices.Clone(members)})
}

func (p *pendingChange) same(c change) bool {
	return p.state == c.state && p.role == c.role && p.subRole == c.subRole &&
		p.enabled == nil && c.enabled == nil
}

// flushChanges queues one message per change for each subscriber that wants it.
// The lock must be held.
func (s *Site) flushChanges() {
	pending := s.scn.pending
	s.scn.pending = nil
	for _, p := range pending {
		var message []byte
		for _, sub := range s.scn.subs {
			if !sub.wants(p.change) || len(sub.queue) >= scnQueue {
				continue
			}
			if message == nil {
				message = p.message(s.ids(p.members))
			}
			sub.queue = append(sub.queue, message)
			if !sub.delivering {
				sub.delivering = true
				client := s.reports.client()
				s.wg.Go(func() { s.deliver(sub, client) })
			}
		}
	}
}

func (sub *subscription) wants(c change) bool {
	has := func(list []string, v string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(w, v) })
	}
	switch {
	case c.state != "":
		return has(sub.States, c.state)
	case c.enabled != nil:
		return sub.Enabled != nil && *sub.Enabled
	}
	return has(sub.Roles, c.role) || has(sub.SubRoles, c.subRole)
}

func (p *pendingChange) message(ids []string) []byte {
	type body struct {
		Components []string `json:"Components"`
		Enabled    *bool    `json:"Enabled,omitempty"`
		Flag       string   `json:"Flag,omitempty"`
		Role       string   `json:"Role,omitempty"`
		SubRole    string   `json:"SubRole,omitempty"`
		State      string   `json:"State,omitempty"`
	}
	m := body{Components: ids, Enabled: p.enabled, Role: p.role, SubRole: p.subRole, State: p.state}
	if p.state != "" {
		m.Flag = "OK"
	}
	return encoded(m)
}

// deliver sends what is queued for one subscriber and ends when nothing is.
func (s *Site) deliver(sub *subscription, client *http.Client) {
	for {
		s.mu.Lock()
		if len(sub.queue) == 0 || sub.deleted || s.closed {
			sub.delivering = false
			s.mu.Unlock()
			return
		}
		message, url := sub.queue[0], sub.URL
		sub.queue = sub.queue[1:]
		s.mu.Unlock()
		for try := range scnTries {
			if try > 0 && !s.sleep(s.ctx, s.scaled(scnPause)) {
				break
			}
			if s.postChange(client, url, message) {
				break
			}
		}
	}
}

// postChange reports whether the subscriber took the message: with 200 only.
func (s *Site) postChange(client *http.Client, url string, message []byte) bool {
	ctx, cancel := context.WithTimeout(s.ctx, reportTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", typeJSON)
	res, err := client.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// scnList is GET /Subscriptions/SCN.
func (s *Site) scnList(w http.ResponseWriter, _ *req) {
	s.mu.Lock()
	list := []subscription{}
	for _, sub := range s.scn.subs {
		list = append(list, *sub)
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string]any{"SubscriptionList": list})
}

// triggers reports whether the subscription asks for anything.
func (sub *subscription) triggers() bool {
	return sub.Enabled != nil || len(sub.Roles)+len(sub.SubRoles)+len(sub.SoftwareStatus)+len(sub.States) > 0
}

const noTrigger = "Missing trigger. Must subscribe to atleast one Enabled, Role, SubRole, SoftwareStatus, or State trigger."

// scnCreate is POST /Subscriptions/SCN.
func (s *Site) scnCreate(w http.ResponseWriter, q *req) {
	sub := &subscription{}
	if err := json.Unmarshal(q.body, sub); err != nil {
		undecodable(w, err)
		return
	}
	detail := ""
	s.mu.Lock()
	switch {
	case sub.Subscriber == "" || sub.URL == "":
		detail = "Missing subscriber or URL"
	case !sub.triggers():
		detail = noTrigger
	case slices.ContainsFunc(s.scn.subs, func(o *subscription) bool {
		return o.Subscriber == sub.Subscriber && o.URL == sub.URL
	}):
		detail = "Subscribe failed"
	default:
		s.scn.last++
		sub.ID = s.scn.last
		s.scn.subs = append(s.scn.subs, sub)
	}
	shown := *sub
	s.mu.Unlock()
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return
	}
	reply(w, http.StatusOK, typeJSON, shown)
}

// withSubscription runs f on the subscription in the path and shows the result.
func (s *Site) withSubscription(w http.ResponseWriter, q *req, f func(*subscription) string) {
	id, _ := strconv.Atoi(q.args[0])
	s.mu.Lock()
	i := slices.IndexFunc(s.scn.subs, func(sub *subscription) bool { return sub.ID == id })
	detail := ""
	var shown subscription
	if i >= 0 {
		detail = f(s.scn.subs[i])
		shown = *s.scn.subs[i]
	}
	s.mu.Unlock()
	switch {
	case i < 0:
		problem(w, http.StatusNotFound, "Subscription not found")
	case detail != "":
		problem(w, http.StatusBadRequest, detail)
	default:
		reply(w, http.StatusOK, typeJSON, shown)
	}
}

// scnOne is GET /Subscriptions/SCN/{id}.
func (s *Site) scnOne(w http.ResponseWriter, q *req) {
	s.withSubscription(w, q, func(*subscription) string { return "" })
}

// scnReplace is PUT /Subscriptions/SCN/{id}.
func (s *Site) scnReplace(w http.ResponseWriter, q *req) {
	var in subscription
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	s.withSubscription(w, q, func(sub *subscription) string {
		if !in.triggers() {
			return noTrigger
		}
		sub.Enabled, sub.Roles, sub.SubRoles = in.Enabled, in.Roles, in.SubRoles
		sub.SoftwareStatus, sub.States = in.SoftwareStatus, in.States
		if in.Subscriber != "" {
			sub.Subscriber = in.Subscriber
		}
		if in.URL != "" {
			sub.URL = in.URL
		}
		return ""
	})
}

// scnPatch is PATCH /Subscriptions/SCN/{id}: triggers are added or removed.
func (s *Site) scnPatch(w http.ResponseWriter, q *req) {
	var in struct {
		Op string
		subscription
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	s.withSubscription(w, q, func(sub *subscription) string {
		edit := func(have *[]string, words []string) {
			// Answers under way share the old list.
			*have = slices.Clone(*have)
			if strings.EqualFold(in.Op, "remove") {
				*have = slices.DeleteFunc(*have, func(v string) bool { return slices.Contains(words, v) })
				return
			}
			if strings.EqualFold(in.Op, "replace") {
				*have = nil
			}
			for _, v := range words {
				if !slices.Contains(*have, v) {
					*have = append(*have, v)
				}
			}
		}
		edit(&sub.Roles, in.Roles)
		edit(&sub.SubRoles, in.SubRoles)
		edit(&sub.SoftwareStatus, in.SoftwareStatus)
		edit(&sub.States, in.States)
		if in.Enabled != nil {
			sub.Enabled = in.Enabled
		}
		return ""
	})
}

// scnDelete is DELETE /Subscriptions/SCN/{id}.
func (s *Site) scnDelete(w http.ResponseWriter, q *req) {
	id, _ := strconv.Atoi(q.args[0])
	if !s.dropSubscriptions(func(sub *subscription) bool { return sub.ID == id }) {
		problem(w, http.StatusNotFound, "Subscription not found")
		return
	}
	replyBytes(w, http.StatusOK, typeJSON, []byte(`{"code":0,"message":"Subscription deleted"}`))
}

// scnDeleteAll is DELETE /Subscriptions/SCN.
func (s *Site) scnDeleteAll(w http.ResponseWriter, _ *req) {
	s.dropSubscriptions(func(*subscription) bool { return true })
	replyBytes(w, http.StatusOK, typeJSON, []byte(`{"code":0,"message":"Subscriptions deleted"}`))
}

func (s *Site) dropSubscriptions(which func(*subscription) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.scn.subs)
	s.scn.subs = slices.DeleteFunc(s.scn.subs, func(sub *subscription) bool {
		sub.deleted = sub.deleted || which(sub)
		return sub.deleted
	})
	return len(s.scn.subs) < before
}

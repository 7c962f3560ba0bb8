// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// reservation is a claim on a component; a locked one can't be reserved by a
// service.
type reservation struct {
	owner   string
	deputy  string
	created time.Duration
	// expires is 0 for a claim that does not end by itself.
	expires time.Duration
}

// reserved reports whether somebody holds the component.
func (c *component) reserved(now time.Duration) bool {
	return c.res != nil && (c.res.expires == 0 || c.res.expires > now)
}

// The refusals of the lock API.
const (
	lockUnknown  = "Component not found"
	lockBadXname = "Argument was not a valid xname ID"
	lockLocked   = "Component is Locked"
	lockUnlocked = "Component is Unlocked"
	lockReserved = "Component is Reserved"
)

// lockBody is a component as the lock API shows it.
type lockBody struct {
	ID         string `json:"ID"`
	Locked     bool   `json:"Locked"`
	Reserved   bool   `json:"Reserved"`
	Created    string `json:"CreationTime,omitempty"`
	Expires    string `json:"ExpirationTime,omitempty"`
	NoReserves bool   `json:"ReservationDisabled"`
}

// lockList is an answer of locks/status.
type lockList struct {
	Components []lockBody `json:"Components"`
	NotFound   []string   `json:"NotFound,omitempty"`
}

// lockBodies returns what the lock API shows; the lock must be held.
func (s *Site) lockBodies(found []int32) []lockBody {
	out := make([]lockBody, 0, len(found))
	now := s.now()
	for _, i := range found {
		c := &s.comps[i]
		b := lockBody{ID: c.id, Locked: c.locked, Reserved: c.reserved(now)}
		if b.Reserved {
			b.Created = s.wall(c.res.created).Format(time.RFC3339)
			if c.res.expires != 0 {
				b.Expires = s.wall(c.res.expires).Format(time.RFC3339)
			}
		}
		out = append(out, b)
	}
	return out
}

// hsmLockList is GET /locks/status.
func (s *Site) hsmLockList(w http.ResponseWriter, q *req) {
	f, err := newHSMFilter(q.URL.Query())
	if err != nil {
		if errors.Is(err, errNoValidInput) {
			problem(w, http.StatusInternalServerError, "operation 'GET' failed during query.")
			return
		}
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	found := s.filtered(f)
	if len(found) == 0 && s.cfg.LocksNoMatch == NoMatchError {
		problem(w, http.StatusBadRequest, lockUnknown)
		return
	}
	s.mu.Lock()
	out := lockList{Components: s.lockBodies(found)}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// hsmLockQuery is POST /locks/status.
func (s *Site) hsmLockQuery(w http.ResponseWriter, q *req) {
	var in struct{ ComponentIDs []string }
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return
	}
	if len(in.ComponentIDs) == 0 {
		s.judgeEmpty("hsm", "POST locks/status without ids shows all components")
		found := s.filtered(&hsmFilter{})
		s.mu.Lock()
		out := lockList{Components: s.lockBodies(found)}
		s.mu.Unlock()
		reply(w, http.StatusOK, typeJSON, out)
		return
	}
	found, unknown, detail := s.resolveLocks(in.ComponentIDs)
	if detail == "" && len(found) == 0 {
		detail = lockUnknown
	}
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return
	}
	s.mu.Lock()
	out := lockList{Components: s.lockBodies(found), NotFound: unknown}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// resolveLocks turns names into indexes, each once and in the site's order;
// detail says why the request as a whole is refused.
func (s *Site) resolveLocks(ids []string) (found []int32, unknown []string, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		_, normal, ok := xnameType(id)
		if !ok {
			return nil, nil, lockBadXname
		}
		i, known := s.index[normal]
		if known = known && !s.comps[i].gone; !known {
			unknown = append(unknown, id)
			continue
		}
		found = append(found, i)
	}
	slices.Sort(found)
	return slices.Compact(found), unknown, ""
}

// lockRequest is the body of the calls that change locks and reservations.
type lockRequest struct {
	ComponentIDs    []string
	ProcessingModel string
	// ReservationDuration is in minutes, before scaling.
	ReservationDuration int
}

// lockFailure is a component that a flexible request had to leave alone.
type lockFailure struct {
	ID     string `json:"ID"`
	Reason string `json:"Reason"`
}

// changeLocks decodes a request and applies change to each of its components.
// change returns why it refuses one: a rigid request then changes nothing.
func (s *Site) changeLocks(
	w http.ResponseWriter, q *req, refuse func(*component) string, change func(*component, *lockRequest),
) (done []int32, failed []lockFailure, ok bool) {
	var in lockRequest
	if err := json.Unmarshal(q.body, &in); err != nil {
		undecodable(w, err)
		return nil, nil, false
	}
	q.call.Nodes = in.ComponentIDs
	found, _, detail := s.resolveLocks(in.ComponentIDs)
	if detail == "" && len(found) == 0 {
		detail = lockUnknown
	}
	failed = []lockFailure{}
	s.mu.Lock()
	for _, i := range found {
		reason := refuse(&s.comps[i])
		switch {
		case reason == "":
			done = append(done, i)
		case strings.EqualFold(in.ProcessingModel, "flexible"):
			failed = append(failed, lockFailure{s.comps[i].id, reason})
		case detail == "":
			detail = reason
		}
	}
	if detail == "" {
		for _, i := range done {
			change(&s.comps[i], &in)
		}
	}
	s.mu.Unlock()
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return nil, nil, false
	}
	return done, failed, true
}

// lockCounts answers a request that changed locks.
func (s *Site) lockCounts(w http.ResponseWriter, done []int32, failed []lockFailure) {
	s.mu.Lock()
	ids := s.ids(done)
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string]any{
		"Counts":  map[string]int{"Total": len(ids) + len(failed), "Success": len(ids), "Failure": len(failed)},
		"Success": map[string]any{"ComponentIDs": ids},
		"Failure": failed,
	})
}

// hsmLock is POST /locks/lock.
func (s *Site) hsmLock(w http.ResponseWriter, q *req) {
	done, failed, ok := s.changeLocks(w, q,
		func(c *component) string { return pick(c.locked, lockLocked, "") },
		func(c *component, _ *lockRequest) { c.locked = true })
	if ok {
		s.lockCounts(w, done, failed)
	}
}

// hsmUnlock is POST /locks/unlock.
func (s *Site) hsmUnlock(w http.ResponseWriter, q *req) {
	done, failed, ok := s.changeLocks(w, q,
		func(c *component) string { return pick(c.locked, "", lockUnlocked) },
		func(c *component, _ *lockRequest) { c.locked = false })
	if ok {
		s.lockCounts(w, done, failed)
	}
}

// hsmReserve is POST /locks/reservations: an administrator's claim, which needs
// a locked component.
func (s *Site) hsmReserve(w http.ResponseWriter, q *req) {
	s.reserve(w, q, func(c *component) string { return pick(c.locked, "", lockUnlocked) })
}

// hsmServiceReserve is POST /locks/service/reservations.
func (s *Site) hsmServiceReserve(w http.ResponseWriter, q *req) {
	s.reserve(w, q, func(c *component) string { return pick(c.locked, lockLocked, "") })
}

func (s *Site) reserve(w http.ResponseWriter, q *req, refuse func(*component) string) {
	type success struct {
		ID             string `json:"ID"`
		DeputyKey      string `json:"DeputyKey"`
		ReservationKey string `json:"ReservationKey"`
		ExpirationTime string `json:"ExpirationTime,omitempty"`
	}
	granted := []success{}
	_, failed, ok := s.changeLocks(w, q,
		func(c *component) string {
			if c.reserved(s.now()) {
				return lockReserved
			}
			return refuse(c)
		},
		func(c *component, in *lockRequest) {
			g := success{
				ID: c.id, DeputyKey: c.id + ":dk:" + uuid.NewString(), ReservationKey: c.id + ":rk:" + uuid.NewString(),
			}
			c.res = &reservation{owner: g.ReservationKey, deputy: g.DeputyKey, created: s.now()}
			if in.ReservationDuration > 0 {
				c.res.expires = s.now() + s.scaled(time.Duration(in.ReservationDuration)*time.Minute)
				g.ExpirationTime = s.wall(c.res.expires).Format(time.RFC3339)
			}
			granted = append(granted, g)
		})
	if ok {
		reply(w, http.StatusOK, typeJSON, map[string]any{"Success": granted, "Failure": failed})
	}
}

// hsmUnreserve removes reservations, whoever made them: the keys that a real
// release names are not compared.
func (s *Site) hsmUnreserve(w http.ResponseWriter, q *req) {
	var keys struct {
		ComponentIDs    []string
		ReservationKeys []struct{ ID string }
	}
	if json.Unmarshal(q.body, &keys) == nil && len(keys.ReservationKeys) > 0 {
		for _, k := range keys.ReservationKeys {
			keys.ComponentIDs = append(keys.ComponentIDs, k.ID)
		}
		q.body = encoded(map[string]any{"ComponentIDs": keys.ComponentIDs})
	}
	done, failed, ok := s.changeLocks(w, q,
		func(c *component) string { return pick(c.reserved(s.now()), "", lockUnknown) },
		func(c *component, _ *lockRequest) { c.res = nil })
	if ok {
		s.lockCounts(w, done, failed)
	}
}

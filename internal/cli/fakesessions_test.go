// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"bos/internal/bos"
)

func (f *fake) session(c call) (int, any, error) {
	key := c.key()
	old, known := f.sessions[key]
	if !known && key.Name != "" {
		return 0, nil, bos.Errorf(bos.CodeNotFound, "%s", bos.NotFoundText("Session", key))
	}
	switch c.id {
	case "get_v2_sessions":
		list := []bos.Session{}
		for _, found := range f.matching(c, false) {
			list = append(list, f.sessions[found].Session)
		}
		return http.StatusOK, list, nil
	case "post_v2_session":
		return f.createSession(c)
	case "delete_v2_sessions":
		for _, found := range f.matching(c, true) {
			delete(f.sessions, found)
		}
		return http.StatusNoContent, nil, nil
	case "get_v2_session":
		return http.StatusOK, old.Session, nil
	case "patch_v2_session":
		var patch bos.SessionPatch
		if err := json.Unmarshal(c.body, &patch); err != nil {
			return 0, nil, err
		}
		changed, err := old.Patch(patch, "uid")
		if err != nil {
			return 0, nil, err
		}
		f.sessions[key] = changed
		return http.StatusOK, changed.Session, nil
	case "delete_v2_session":
		delete(f.sessions, key)
		return http.StatusNoContent, nil, nil
	case "get_v2_session_status":
		return http.StatusOK, f.sessionStatus(old.Session), nil
	}
	return 0, nil, fmt.Errorf("the fake does not have %s", c.id)
}

// matching returns the sessions that pass the filters of a query.
func (f *fake) matching(c call, remove bool) []bos.SessionKey {
	var filter bos.SessionFilter
	if status, ok := c.params.String("status"); ok {
		filter.Status = bos.SessionState(status)
	} else if remove {
		filter.Status = bos.SessionComplete
	}
	// The contract has checked what an age looks like.
	if text, ok := c.params.String("min_age"); ok {
		age, _ := bos.ParseAge(text)
		filter.MinAge = bos.Some(age)
	}
	if text, ok := c.params.String("max_age"); ok {
		age, _ := bos.ParseAge(text)
		filter.MaxAge = bos.Some(age)
	}
	var found []bos.SessionKey
	for _, key := range slices.SortedFunc(maps.Keys(f.sessions), bos.SessionKey.Compare) {
		session := f.sessions[key].Session
		ours := key.Tenant == c.params.Tenant() || c.params.Tenant() == "" && !remove
		if ours && filter.Match(&session, testTime) {
			found = append(found, key)
		}
	}
	return found
}

func (f *fake) createSession(c call) (int, any, error) {
	var create bos.SessionCreate
	if err := json.Unmarshal(c.body, &create); err != nil {
		return 0, nil, err
	}
	tenant := c.params.Tenant()
	if _, known := f.templates[bos.SessionKey{Tenant: tenant, Name: create.TemplateName}]; !known {
		return 0, nil, bos.Errorf(bos.CodeInvalid, "Session Template Name invalid: %s", create.TemplateName)
	}
	made := bos.NewSession(create, tenant, "c7a3c1a4-6ef8-4f9f-9ac2-5e4b4f6a8f11", testTime)
	key := made.Session.Key()
	if _, known := f.sessions[key]; known {
		return 0, nil, bos.Errorf(bos.CodeConflict, "Session '%s' already exists", key.Name)
	}
	f.sessions[key] = made
	return http.StatusCreated, made.Session, nil
}

func (f *fake) sessionStatus(session bos.Session) bos.ExtendedStatus {
	var active []*bos.Record
	staged := 0
	for _, id := range slices.Sorted(maps.Keys(f.components)) {
		r := f.components[id]
		if r.Component.Session.Value() == session.Name {
			active = append(active, &r)
		}
		if r.Component.StagedSession() == session.Name {
			staged++
		}
	}
	return bos.Summarize(&session, active, staged, testTime)
}

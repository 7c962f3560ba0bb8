// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"bos/internal/bos"
	"bos/internal/store"
)

// mostLimitShown is how many bytes of a limit are repeated in a problem or log.
const mostLimitShown = 1000

// sessionKey names the session of a request.
func sessionKey(x *exchange) bos.SessionKey {
	return bos.SessionKey{Tenant: x.tenant, Name: x.text("session_id")}
}

func noSession(key bos.SessionKey) error {
	return bos.Errorf(bos.CodeNotFound, "%s", bos.NotFoundText("Session", key))
}

// session returns the session of a request, no older than the request.
func (s *server) session(x *exchange) (*bos.SessionRecord, error) {
	if err := s.sync(x.ctx()); err != nil {
		return nil, err
	}
	rec, ok := s.view.Session(sessionKey(x))
	if !ok {
		return nil, noSession(sessionKey(x))
	}
	return rec, nil
}

// shown returns a session as clients see it: with the nodes that it was set up
// on.
func (s *server) shown(rec *bos.SessionRecord) bos.Session {
	session := rec.Session
	session.Components = s.view.Members(rec)
	return session
}

func (s *server) getSession(x *exchange) error {
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	// The tag is taken first: what it names is then no newer than what is shown.
	tag := s.view.SessionsTag()
	rec, ok := s.view.Session(sessionKey(x))
	if !ok {
		return noSession(sessionKey(x))
	}
	if x.unchanged(tag) {
		return nil
	}
	return x.json(http.StatusOK, s.shown(rec))
}

func (s *server) listSessions(x *exchange) error {
	filter, err := sessionFilter(x)
	if err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	// The ages of sessions change without anybody's doing.
	if tag := s.view.SessionsTag(); !filter.MinAge.IsSet() && !filter.MaxAge.IsSet() && x.unchanged(tag) {
		return nil
	}
	now := s.now()
	var passed []*bos.SessionRecord
	for _, rec := range s.view.Sessions(x.tenant) {
		if filter.Match(&rec.Session, now) {
			passed = append(passed, rec)
		}
	}
	return list(x, passed, func(dst []byte, rec *bos.SessionRecord) ([]byte, error) {
		data, err := json.Marshal(s.shown(rec))
		return append(dst, data...), err
	})
}

// sessionFilter reads the filter of a list of sessions.
func sessionFilter(x *exchange) (filter bos.SessionFilter, err error) {
	filter.Status = bos.SessionState(x.text("status"))
	if filter.MinAge, err = age(x, "min_age"); err != nil {
		return filter, err
	}
	filter.MaxAge, err = age(x, "max_age")
	return filter, err
}

func age(x *exchange, name string) (bos.Opt[time.Duration], error) {
	text, ok := x.params.String(name)
	if !ok {
		return bos.Opt[time.Duration]{}, nil
	}
	d, err := bos.ParseAge(text)
	if err != nil {
		return bos.Opt[time.Duration]{}, bos.Errorf(bos.CodeInvalid, "query parameter %s: %v", name, err)
	}
	return bos.Some(d), nil
}

// sessionCreate reads the body of a session that is to be created, or planned, and
// checks it.
func (s *server) sessionCreate(x *exchange) (create bos.SessionCreate, err error) {
	if err := s.tenantExists(x.ctx(), x.tenant); err != nil {
		return create, err
	}
	if err := decode(x.body, &create); err != nil {
		return create, err
	}
	if err := s.sync(x.ctx()); err != nil {
		return create, err
	}
	return create, s.checkSession(x, create)
}

// createSession stores a session as pending; setting it up is the operators'
// part.
func (s *server) createSession(x *exchange) error {
	create, err := s.sessionCreate(x)
	if err != nil {
		return err
	}
	uid, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make the identity of a session: %w", err)
	}
	rec := bos.NewSession(create, x.tenant, uid.String(), s.now())
	data, err := store.Encode(rec)
	if err != nil {
		return err
	}
	key := rec.Session.Key()
	x.about(key.Name)
	revision, err := s.store.Commit(x.ctx(), store.Txn{Ops: []store.Op{
		{Key: store.SessionKey(key), Value: data, Expect: store.Absent},
	}})
	var conflict *store.ConflictError
	switch {
	case errors.As(err, &conflict):
		return exists(key)
	case err != nil:
		return fits(fmt.Errorf("store a session: %w", err), "the session")
	}
	s.events.Record(bos.EventSessionCreated, key, fmt.Sprintf("%s of the template %s was asked for", create.Operation, create.TemplateName))
	s.settle(x.ctx(), revision)
	return x.json(http.StatusCreated, rec.Session)
}

func exists(key bos.SessionKey) error {
	e := bos.Errorf(bos.CodeConflict, "Session '%s' already exists", key.Name)
	if key.Tenant != "" {
		e.Message += fmt.Sprintf(" for tenant '%s'", key.Tenant)
	}
	e.Title = titleExists
	return e
}

// checkSession checks a session that is to be created beyond its schema: the
// limit, and the template for the operation.
func (s *server) checkSession(x *exchange, create bos.SessionCreate) error {
	options := s.view.Options()
	limit := ""
	if create.Limit != nil {
		limit = *create.Limit
	}
	if limit == "" && options.SessionLimitRequired {
		return bos.Errorf(bos.CodeInvalid, "session_limit_required option is set, but this session has no limit specified")
	}
	if len(bos.LimitNIDs(limit)) > 0 {
		shown := strings.ToValidUTF8(limit[:min(len(limit), mostLimitShown)], "")
		if options.RejectNIDs {
			return bos.Errorf(bos.CodeInvalid, "reject_nids: session limit appears to contain NIDs: %s", shown)
		}
		s.log.WarnContext(x.ctx(), "session limit appears to contain NIDs", slog.String("limit", shown),
			slog.String("tenant", x.tenant), slog.String("template", create.TemplateName))
	}
	if _, err := bos.ParseLimit(limit); err != nil {
		return err
	}
	key := bos.TemplateKey{Tenant: x.tenant, Name: create.TemplateName}
	t, ok := s.view.Template(key)
	if !ok {
		return bos.Errorf(bos.CodeInvalid, "Session Template Name invalid: %s", create.TemplateName)
	}
	if _, err := s.checkTemplate(x.ctx(), &t.Template, create.Operation, options); err != nil {
		if ctxErr := x.ctx().Err(); ctxErr != nil {
			return ctxErr
		}
		return bos.Errorf(bos.CodeInvalid, "Session template fails check: %s", err)
	}
	return nil
}

// patchSession changes what is sent. A session that is sent back to pending is
// set up anew, and what was planned for it is dropped.
func (s *server) patchSession(x *exchange) error {
	var patch bos.SessionPatch
	if err := decode(x.body, &patch); err != nil {
		return err
	}
	uid, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make the identity of a session: %w", err)
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	key := sessionKey(x)
	var written bos.SessionRecord
	former := ""
	revision, err := store.Update[*bos.SessionRecord]{
		Key:    store.SessionKey(key),
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(old *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists {
				return nil, nil, noSession(key)
			}
			var err error
			if written, err = old.Patch(patch, uid.String()); err != nil {
				return nil, nil, err
			}
			if err := changed(old, written); err != nil || written.Sealed.UID == old.Sealed.UID {
				if err == nil && written.Session.Status.Status == bos.SessionComplete && old.Session.Status.Status != bos.SessionComplete {
					ops, err := s.keepResult(old)
					return written, ops, err
				}
				return written, nil, err
			}
			former = old.Sealed.UID
			drop, err := s.dropPlan(x.ctx(), former)
			return written, drop, err
		},
	}.Run(x.ctx(), s.store)
	if err := unlessUnchanged(err); err != nil {
		return fits(err, "the session")
	}
	s.settle(x.ctx(), max(revision, s.dropRest(x.ctx(), former)))
	return x.json(http.StatusOK, s.shown(&written))
}

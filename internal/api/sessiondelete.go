// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"bos/internal/bos"
	"bos/internal/store"
)

const (
	// mostPlanOps is how many chunks of a plan are deleted with their session at
	// once; there is room for the session, its saved status and its result.
	mostPlanOps = store.MaxOps - 3
	// deleteRounds bounds how often a delete is tried anew because the session
	// changed meanwhile.
	deleteRounds = 100
)

func (s *server) deleteSession(x *exchange) error {
	key := sessionKey(x)
	revision, err := s.removeSession(x.ctx(), key, func(*bos.Session) bool { return true })
	if err != nil {
		return err
	}
	s.settle(x.ctx(), revision)
	x.none()
	return nil
}

// deleteSessions deletes the sessions that pass the filter: complete ones unless
// it names a state, the tenant's with a tenant and nobody's without one. Each is
// looked at once more when it is deleted, since it may have gone on.
func (s *server) deleteSessions(x *exchange) error {
	filter, err := sessionFilter(x)
	if err != nil {
		return err
	}
	if filter.Status == "" {
		filter.Status = bos.SessionComplete
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	now := s.now()
	passes := func(session *bos.Session) bool { return filter.Match(session, now) }
	var last int64
	var deleted []string
	defer func() { x.about(deleted...) }()
	for _, rec := range s.view.Sessions(x.tenant) {
		if rec.Session.Tenant != x.tenant || !passes(&rec.Session) {
			continue
		}
		revision, err := s.removeSession(x.ctx(), rec.Session.Key(), passes)
		if err != nil && !bos.IsNotFound(err) {
			return err
		}
		if err == nil {
			deleted = append(deleted, rec.Session.Name)
		}
		last = max(last, revision)
	}
	s.settle(x.ctx(), last)
	x.none()
	return nil
}

// removeSession deletes a session with its saved status and its plan, if it is
// one of those meant as it is now. The nodes go on.
func (s *server) removeSession(ctx context.Context, key bos.SessionKey, meant func(*bos.Session) bool) (int64, error) {
	for range deleteRounds {
		kv, err := s.store.Get(ctx, store.SessionKey(key))
		if bos.IsNotFound(err) {
			return 0, noSession(key)
		}
		if err != nil {
			return 0, fmt.Errorf("read a session: %w", err)
		}
		rec, err := store.DecodeSession(kv, key)
		if err != nil || !meant(&rec.Session) {
			// What can't be read is shown to nobody: it does not exist.
			return 0, noSession(key)
		}
		if rec.Stopped() {
			// Its nodes go on, with all their time.
			if err := s.steerer().Release(ctx, rec); err != nil {
				return 0, err
			}
		}
		ops, err := s.dropPlan(ctx, rec.Sealed.UID)
		if err != nil {
			return 0, err
		}
		ops = append(ops,
			store.Op{Key: kv.Key, Delete: true, Expect: kv.Revision},
			store.Op{Key: store.StatusKey(key), Delete: true, Expect: store.AnyRevision},
			store.Op{Key: store.ResultKey(key), Delete: true, Expect: store.AnyRevision})
		revision, err := s.store.Commit(ctx, store.Txn{Ops: ops})
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("delete a session: %w", err)
		}
		s.events.Record(bos.EventSessionDeleted, key, "a client deleted the session; its nodes go on")
		return max(revision, s.dropRest(ctx, rec.Sealed.UID)), nil
	}
	return 0, bos.Errorf(bos.CodeConflict, "a session is changed by others all the time")
}

// dropPlan returns what deletes the plan of a session along with something
// else: as much of it as fits into a transaction.
func (s *server) dropPlan(ctx context.Context, uid string) ([]store.Op, error) {
	if uid == "" {
		return nil, nil
	}
	chunks, _, err := s.store.List(ctx, store.PlanPrefix(uid))
	if err != nil {
		return nil, fmt.Errorf("read a session's plan: %w", err)
	}
	var ops []store.Op
	for _, kv := range chunks[:min(len(chunks), mostPlanOps)] {
		ops = append(ops, store.Op{Key: kv.Key, Delete: true, Expect: store.AnyRevision})
	}
	return ops, nil
}

// dropRest deletes what is left of the plan of a session that is gone. A failure
// leaves documents that nobody refers to.
func (s *server) dropRest(ctx context.Context, uid string) (last int64) {
	for {
		ops, err := s.dropPlan(ctx, uid)
		if err == nil && len(ops) == 0 {
			return last
		}
		if err == nil {
			last, err = s.store.Commit(ctx, store.Txn{Ops: ops})
		}
		if err != nil {
			s.log.WarnContext(ctx, "the plan of a session that is gone could not be deleted", slog.Any("error", err))
			return last
		}
	}
}

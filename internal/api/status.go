// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"bos/internal/bos"
	"bos/internal/store"
)

// getStatus tells how far a session is: as it was saved if it is complete, else
// as its nodes are now.
func (s *server) getStatus(x *exchange) error {
	rec, err := s.session(x)
	if err != nil {
		return err
	}
	if rec.Session.Status.Status == bos.SessionComplete {
		if saved, ok := s.view.SavedStatus(rec.Session.Key()); ok {
			x.bytes(http.StatusOK, contentTypeJSON, saved)
			return nil
		}
	}
	return x.json(http.StatusOK, s.summary(rec))
}

// summary computes the progress of a session from its nodes.
func (s *server) summary(rec *bos.SessionRecord) bos.ExtendedStatus {
	active, staged := s.view.Driven(rec.Session.Key())
	summary := bos.Summarize(&rec.Session, active, staged, s.now())
	summary.AddLost(&rec.Session, s.view.Lost(rec))
	return summary
}

// saveStatus computes the progress of a session and saves it. The session is
// written along with it, unchanged: so the progress of one that is deleted at
// the same moment is not left behind for the next of its name.
func (s *server) saveStatus(x *exchange) error {
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	key := sessionKey(x)
	var summary bos.ExtendedStatus
	revision, err := store.Update[*bos.SessionRecord]{
		Key:    store.SessionKey(key),
		Decode: func(kv store.KV) (*bos.SessionRecord, error) { return store.DecodeSession(kv, key) },
		Change: func(rec *bos.SessionRecord, exists bool) (any, []store.Op, error) {
			if !exists {
				return nil, nil, noSession(key)
			}
			summary = s.summary(rec)
			data, err := store.Encode(summary)
			return rec, []store.Op{{Key: store.StatusKey(key), Value: data, Expect: store.AnyRevision}}, err
		},
	}.Run(x.ctx(), s.store)
	if err != nil {
		return err
	}
	s.settle(x.ctx(), revision)
	return x.json(http.StatusOK, summary)
}

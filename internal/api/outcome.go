// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"bos/internal/bos"
	"bos/internal/store"
)

// getOutcome tells what the nodes of a session came to.
func (s *server) getOutcome(x *exchange) error {
	rec, err := s.session(x)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, s.outcome(rec))
}

// outcome tells what the nodes of a session came to: as it was when the session
// completed, else as it is now.
func (s *server) outcome(rec *bos.SessionRecord) bos.Outcome {
	if rec.Session.Status.Status == bos.SessionComplete {
		if result, ok := s.view.Result(rec); ok {
			return bos.OutcomeOf(rec, result)
		}
	}
	return bos.OutcomeOf(rec, bos.ResultOf(rec, s.view.Roster(rec)))
}

// keepResult returns what stores the result of a session that a client is
// completing.
func (s *server) keepResult(rec *bos.SessionRecord) ([]store.Op, error) {
	data, err := store.Encode(bos.StoredResult{UID: rec.Sealed.UID, Result: bos.ResultOf(rec, s.view.Roster(rec))})
	if err != nil {
		return nil, err
	}
	return []store.Op{{Key: store.ResultKey(rec.Session.Key()), Value: data, Expect: store.AnyRevision}}, nil
}

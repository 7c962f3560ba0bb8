// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"net/http"

	"bos/internal/bos"
	"bos/internal/steer"
)

func (s *server) cancelSession(x *exchange) error {
	return s.steered(x, (*steer.Steerer).Cancel, bos.EventSessionCancelled)
}

func (s *server) pauseSession(x *exchange) error {
	return s.steered(x, (*steer.Steerer).Pause, bos.EventSessionPaused)
}

func (s *server) resumeSession(x *exchange) error {
	return s.steered(x, (*steer.Steerer).Resume, bos.EventSessionResumed)
}

func (s *server) steerer() *steer.Steerer {
	return &steer.Steerer{Store: s.store, View: s.view, Write: func() bos.Write { return s.writer("") }}
}

// steered does something with the session of a request, and tells its outcome.
func (s *server) steered(
	x *exchange, do func(*steer.Steerer, context.Context, bos.SessionKey) (steer.Steered, error), event bos.EventType,
) error {
	if _, err := s.session(x); err != nil {
		return err
	}
	key := sessionKey(x)
	x.about(key.Name)
	did, err := do(s.steerer(), x.ctx(), key)
	if did.Any() {
		s.events.Record(event, key, bos.SteeredText(event, len(did.Nodes)), did.Nodes...)
	}
	if err != nil {
		return err
	}
	rec, ok := s.view.Session(key)
	if !ok {
		return noSession(key)
	}
	return x.json(http.StatusOK, s.outcome(rec))
}

// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"bos/internal/bos"
)

// planSession tells what a session would do. Nothing is written.
func (s *server) planSession(x *exchange) error {
	create, err := s.sessionCreate(x)
	if err != nil {
		return err
	}
	rec := bos.NewSession(create, x.tenant, "", s.now())
	if key := rec.Session.Key(); create.Name != "" {
		if _, taken := s.view.Session(key); taken {
			return exists(key)
		}
	}
	plan, err := s.plan(x.ctx(), &rec.Session)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, plan)
}

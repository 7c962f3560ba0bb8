// SPDX-License-Identifier: MIT

package api

import (
	"net/http"

	"bos/internal/bos"
)

// planSession tells what a session would do. Nothing is written.
func (s *server) planSession(x *exchange) error {
	if err := s.tenantExists(x.ctx(), x.tenant); err != nil {
		return err
	}
	var create bos.SessionCreate
	if err := decode(x.body, &create); err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	if err := s.checkSession(x, create); err != nil {
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

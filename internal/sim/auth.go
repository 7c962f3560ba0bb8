// SPDX-License-Identifier: MIT

package sim

import (
	"net/http"
	"strings"
)

// tokenCheck is the bearer token that the services want, and those that they
// wanted before.
type tokenCheck struct {
	valid   string
	expired map[string]bool
}

// maxExpiredTokens bounds what RotateToken remembers.
const maxExpiredTokens = 1000

// RotateToken replaces the bearer token that the services want. The former one
// has expired from now on. An empty token ends the check.
func (s *Site) RotateToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.valid != "" && len(s.token.expired) < maxExpiredTokens {
		if s.token.expired == nil {
			s.token.expired = map[string]bool{}
		}
		s.token.expired[s.token.valid] = true
	}
	s.token.valid = token
}

// authorised checks the bearer token where the site wants one, and answers where
// it is not right.
func (svc *service) authorised(w http.ResponseWriter, q *req) bool {
	s := svc.site
	if svc.name == "s3" || s.cfg.Flavour == OpenCHAMI && svc.openRoute(q.Request) {
		return true
	}
	given, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	valid, expired := s.token.valid, s.token.expired[given]
	s.mu.Unlock()
	if valid == "" || ok && given == valid {
		return true
	}
	if s.cfg.Flavour == Cray {
		plain(w, http.StatusUnauthorized, pick(ok, "Jwt verification fails", "Jwt is missing"))
		return false
	}
	text := "token is unauthorized\n"
	switch {
	case !ok:
		text = "no token found\n"
	case expired:
		text = "token is expired\n"
	}
	plain(w, http.StatusUnauthorized, text)
	return false
}

// openRoute reports whether OpenCHAMI asks no token for the request. CFS, IMS
// and TAPMS don't belong to it and ask for none.
func (svc *service) openRoute(r *http.Request) bool {
	path := strings.TrimRight(r.URL.Path, "/")
	switch svc.name {
	case "hsm":
		return r.Method == http.MethodGet && (path == "/hsm/v2/State/Components" ||
			path == "/hsm/v2/Inventory/EthernetInterfaces" || strings.HasPrefix(path, "/hsm/v2/service/"))
	case "bss":
		return path == "/boot/v1/bootscript" || path == "/boot/v1/endpoint-history"
	case "pcs":
		return strings.HasSuffix(path, "/liveness")
	}
	return true
}

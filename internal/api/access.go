// SPDX-License-Identifier: MIT

package api

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bos/internal/admission"
	"bos/internal/api/front"
	"bos/internal/audit"
	"bos/internal/auth"
	"bos/internal/bos"
)

// Access finds out who a request is from and decides what they may do. It must
// be safe for concurrent use.
type Access interface {
	// Identify says who a request is from, nil for somebody who did not say.
	Identify(r *http.Request) (*auth.Identity, error)
	// Decide says whether a request is allowed.
	Decide(q auth.Request) auth.Decision
	// Challenge returns the header WWW-Authenticate for a request that needs to
	// be authenticated, or for one whose authentication failed with an error.
	Challenge(err error) string
}

// Trail takes what was changed by whom. It must be safe for concurrent use and
// never wait.
type Trail interface {
	Write(e audit.Entry)
}

// probe reports whether an operation is asked by those who look after the
// process. They can't show who they are, and must get an answer from a process
// that is busy.
func probe(operation string) bool { return operation == "get_livez" || operation == "get_readyz" }

// admit finds out who a request is from, unless everybody may make it, and holds
// that against the rate.
func (s *server) admit(x *exchange, o *front.Operation) error {
	if probe(o.ID) {
		return nil
	}
	var err error
	anonymous := auth.Decision{Allowed: true}
	if s.access != nil {
		anonymous = s.access.Decide(auth.Request{Operation: o.ID})
	}
	if !anonymous.Allowed {
		x.identity, err = s.access.Identify(x.r)
	}
	if fast := s.count(x); fast != nil {
		return fast
	}
	switch {
	case err != nil:
		return s.unauthenticated(x, err)
	case !anonymous.Allowed && x.identity == nil:
		return s.unauthenticated(x, bos.Errorf(bos.CodeUnauthenticated, "%s", anonymous.Reason))
	}
	return nil
}

// count holds a request against the rate of its client: who it is from, or else
// its address. Of those who don't say who they are the ones on this host are not
// counted: they are a proxy that everybody comes through.
func (s *server) count(x *exchange) error {
	rates := s.limits.Rates
	if rates == nil {
		return nil
	}
	client, local := admission.Client(x.r.RemoteAddr)
	who := client
	switch {
	case x.identity != nil:
		client, who = x.identity.Key(), "you"
	case local:
		return nil
	}
	if wait := rates.Take(client, time.Now()); wait > 0 {
		s.refused(limitRate)
		return rates.Refusal(who, wait)
	}
	return nil
}

// unauthenticated answers somebody who did not prove who they are.
func (s *server) unauthenticated(x *exchange, err error) error {
	if bos.CodeOf(err) == bos.CodeUnauthenticated {
		x.denied = bos.UserText(err)
		x.w.Header().Set("WWW-Authenticate", s.access.Challenge(err))
	}
	return err
}

// permit asks whether a request of somebody who is known is allowed. shape is what is known of its body.
func (s *server) permit(x *exchange, o *front.Operation, shape *auth.Shape) error {
	if s.access == nil {
		return nil
	}
	d := s.access.Decide(x.question(o, shape))
	if d.Allowed {
		return nil
	}
	x.denied = d.Reason
	return bos.Errorf(bos.CodeForbidden, "%s", d.Reason)
}

// permitBody asks whether a request is allowed now that its body is known, if
// that matters.
func (s *server) permitBody(x *exchange, o *front.Operation) error {
	if s.access == nil || x.identity == nil || !x.question(o, nil).NeedsShape() {
		return nil
	}
	var members map[string]json.RawMessage
	if err := decode(x.body, &members); err != nil {
		return err
	}
	shape := auth.Shape{}
	for name := range members {
		shape.Fields = append(shape.Fields, name)
	}
	if id, ok := members["id"]; ok {
		if err := decode(id, &shape.ID); err != nil {
			return err
		}
	}
	return s.permit(x, o, &shape)
}

// question is what is asked about a request.
func (x *exchange) question(o *front.Operation, shape *auth.Shape) auth.Request {
	return auth.Request{Identity: x.identity, Operation: o.ID, Tenant: x.tenant, Target: x.target, Body: shape}
}

// about notes the names of what a request changes.
func (x *exchange) about(names ...string) { x.resources = names }

// maxRequestID bounds the id of a request that a client chose, in bytes.
const maxRequestID = 128

// requestIDHeader names a request for all that it passes through.
const requestIDHeader = "X-Request-Id"

// name gives a request its id, which the answer shows too: the client's, if it
// is a plain word.
func (x *exchange) name() {
	x.requestID = x.r.Header.Get(requestIDHeader)
	plain := strings.Trim(x.requestID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/+=") == ""
	if x.requestID == "" || len(x.requestID) > maxRequestID || !plain {
		x.requestID = rand.Text()
	}
	x.w.Header().Set(requestIDHeader, x.requestID)
}

// writes reports whether an operation may change something. A plan changes
// nothing, although it is POSTed.
func writes(o *front.Operation) bool {
	return o.Method != http.MethodGet && o.ID != "post_v2_session_plan"
}

// audited reports whether a request belongs into the audit trail: it is one that
// changes something and was let in, or one that was not allowed.
func (s *server) audited(x *exchange) bool {
	return s.trail != nil && x.operation != nil && (x.denied != "" || x.admitted && writes(x.operation))
}

// writeTrail writes a request into the audit trail.
func (s *server) writeTrail(x *exchange, began time.Time, took time.Duration) {
	e := audit.Entry{
		Time: began, Duration: took, RequestID: x.requestID, Method: string(auth.MethodNone), Roles: x.identity.RoleNames(),
		Address: x.r.RemoteAddr, ForwardedFor: strings.Join(x.r.Header.Values("X-Forwarded-For"), ", "),
		Tenant: x.tenant, Operation: x.operation.ID, Resources: x.resources, Status: x.w.status, Denied: x.denied,
	}
	if i := x.identity; i != nil {
		e.Who, e.Display, e.Issuer, e.Method = i.Name, i.Display, i.Issuer, string(i.Method)
	}
	if e.Resources == nil && x.target != "" {
		e.Resources = []string{x.target}
	}
	s.trail.Write(e)
}

// retryAfter tells when to try again, in whole seconds as the header wants it.
func (x *exchange) retryAfter(err error) {
	var e *bos.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
}

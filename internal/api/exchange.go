// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"bos/internal/api/front"
	"bos/internal/auth"
	"bos/internal/bos"
)

// exchange is one request and its answer.
type exchange struct {
	w answer
	r *http.Request
	// params are the checked parameters, tenant the one of the header, or "".
	params front.Params
	tenant string
	// body is the checked body: clean JSON, nil if the operation takes none.
	body []byte
	// prefixed says that the path had the prefix.
	prefixed bool

	// operation is nil until the request is routed; target is the one thing that
	// its path names, or "". identity is nil for somebody who did not say.
	operation *front.Operation
	target    string
	identity  *auth.Identity
	// For the audit trail: the request was let in, or was denied and why; what
	// it changed; its id.
	admitted  bool
	denied    string
	resources []string
	requestID string
}

func (x *exchange) ctx() context.Context { return x.r.Context() }

// text returns a parameter, "" if it was not sent.
func (x *exchange) text(name string) string {
	v, _ := x.params.String(name)
	return v
}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the first status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write notes that the answer is 200 if nobody said otherwise.
func (a *answer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(data)
}

// Unwrap lets [http.ResponseController] find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ServeHTTP answers a request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.outer.ServeHTTP(w, r) }

// answer answers a request that has passed the outer layers.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{w: answer{ResponseWriter: w}, r: r}
	operation, err := s.serveSafely(x)
	whole := err == nil || s.problem(x, err)
	took := time.Since(began)
	if s.audited(x) {
		s.writeTrail(x, began, took)
	}
	s.observe(r.Context(), operation, x.w.status, took)
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.log.DebugContext(r.Context(), "request", slog.String("operation", operation), slog.String("method", r.Method),
			slog.Int("status", x.w.status), slog.Duration("took", took))
	}
	if !whole {
		// Only breaking the connection tells the client that the answer ends too
		// early; this is net/http's way to do that.
		panic(http.ErrAbortHandler)
	}
}

// serveSafely turns a failure that nobody foresaw into an error of this one
// request.
func (s *server) serveSafely(x *exchange) (operation string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.ErrorContext(x.ctx(), "a handler failed", slog.Any("fault", fault), slog.String("stack", string(debug.Stack())))
			err = bos.Errorf(bos.CodeInternal, "a handler failed")
		}
	}()
	return s.serve(x)
}

// serve routes a request, has it checked in the order of the contract (path and
// method, parameters, content type, body) and lets the operation answer.
func (s *server) serve(x *exchange) (operation string, err error) {
	if err := s.limits.checkHeader(x.r); err != nil {
		return "", err
	}
	var path string
	path, x.prefixed = s.cutPrefix(x.r.URL.EscapedPath())
	n, values := s.routes.find(path)
	if n == nil {
		return "", &bos.Error{Code: bos.CodeNotFound, Title: titleNoPath, Message: "there is nothing at this path"}
	}
	e, ok := n.methods[x.r.Method]
	if !ok {
		x.w.Header().Set("Allow", n.allow)
		if x.r.Method == http.MethodOptions {
			x.w.Header().Set("Content-Length", "0")
			x.w.WriteHeader(http.StatusOK)
			return "", nil
		}
		return "", bos.Errorf(bos.CodeMethodNotAllowed, "this path takes %s", n.allow)
	}
	return e.operation.ID, s.perform(x, e, values)
}

// perform lets a request in, has it checked and lets the operation answer.
// Whether somebody may make it comes before everything that costs something.
func (s *server) perform(x *exchange, e *endpoint, path map[string]string) (err error) {
	o := e.operation
	x.operation = o
	for _, value := range path {
		x.target = value
	}
	if s.trail != nil {
		x.name()
	}
	if gate := s.limits.Requests; gate != nil && !probe(o.ID) {
		if err := gate.Enter(); err != nil {
			s.refused(limitRequests)
			return err
		}
		defer gate.Leave()
	}
	if err := s.admit(x, o); err != nil {
		return err
	}
	if x.params, err = o.Params(path, x.r.URL.RawQuery, x.r.Header); err != nil {
		return err
	}
	x.tenant = x.params.Tenant()
	if err := s.permit(x, o, nil); err != nil {
		return err
	}
	x.admitted = true
	var release func()
	x.body, release, err = s.bodies.take(x.w.ResponseWriter, x.r, e, s.limits.ReadTimeout)
	defer release()
	if err != nil {
		return err
	}
	if err := s.permitBody(x, o); err != nil {
		return err
	}
	if err := e.within(x); err != nil {
		return fmt.Errorf("%s: %w", o.ID, err)
	}
	return nil
}

// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"time"
)

const (
	// maxRetries bounds the requests after the first one.
	maxRetries = 2
	// The waits before them grow from retryFirstWait by retryFactor, up to
	// retryMaxWait.
	retryFirstWait = 100 * time.Millisecond
	retryMaxWait   = 2 * time.Second
	retryFactor    = 3
)

// Attempt sends a single request under the context that it is given. It returns
// the status of the answer, 0 without one, and nil, an [*Error] from [Answered]
// or [Garbage], or the error of the transport as it came.
type Attempt func(context.Context) (status int, err error)

// Run makes one call by way of attempt. It adds what all services share: the
// bound on parallel requests, the time-out of each request, the retries, the
// breaker, and the observation. Of req it uses the fields that describe the
// request, not those that hold its content.
//
// Reads and idempotent writes are repeated up to two times after a lost or
// refused connection and after 502, 503 and 504, if the caller's deadline
// leaves the time; a time-out is not, since the service may be busy with the
// request. The error is an [*Error].
func (s *Service) Run(ctx context.Context, req Request, attempt Attempt) error {
	start := time.Now()
	ctx, done := s.trace(ctx, req)
	status, e, retries := s.run(ctx, req, attempt)
	done(status, e, retries)
	if e != nil {
		e.Service, e.Operation = s.cfg.Name, req.Operation
	}
	s.observe(ctx, req, status, e, time.Since(start), retries)
	if e == nil {
		return nil
	}
	return e
}

func (s *Service) run(ctx context.Context, req Request, attempt Attempt) (status int, _ *Error, retries int) {
	if s.fault != nil {
		return 0, notSent("it is not configured correctly", s.fault), 0
	}
	gate := s.reads
	if req.Write {
		gate = s.writes
	}
	// Before the wait for a turn too: while a service hangs, every turn takes
	// a time-out.
	if next, shut := gate.closedUntil(time.Now()); shut {
		return 0, shutError(next), 0
	}
	if e := s.acquire(ctx); e != nil {
		return 0, e, 0
	}
	t, ok := gate.enter(time.Now())
	if !ok {
		s.release()
		next, _ := gate.closedUntil(time.Now())
		return 0, shutError(next), 0
	}
	v := unknown
	lastErr := ""
	defer func() { s.settle(ctx, gate, req, t, v, lastErr) }()

	status, e := s.once(ctx, req, attempt)
	mayRepeat := !t.probe && (!req.Write || req.Idempotent)
	for mayRepeat && retries < maxRetries && e != nil && e.transient {
		if !s.waitToRetry(ctx, gate, retries) {
			break
		}
		before := e
		if status, e = s.once(ctx, req, attempt); e != nil {
			e.MaybeDone = e.MaybeDone || before.MaybeDone
		}
		retries++
	}
	v, lastErr = judgeHealth(e)
	if req.Aside && v == failed {
		v, lastErr = unknown, ""
	}
	return status, e, retries
}

// waitToRetry waits and acquires a turn for another try. It returns false, and
// holds no turn, if there is no point in it.
func (s *Service) waitToRetry(ctx context.Context, gate *breaker, retries int) bool {
	wait := s.backoff(retries)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	if s.acquire(ctx) != nil {
		return false
	}
	if _, shut := gate.closedUntil(time.Now()); shut || tooLate(ctx) {
		s.release()
		return false
	}
	return true
}

// backoff is the wait before a retry: between a half and the whole of the
// step, so that callers that failed together don't come back together.
func (s *Service) backoff(retries int) time.Duration {
	d := retryFirstWait
	for range retries {
		d *= retryFactor
	}
	d = min(d, retryMaxWait)
	return time.Duration((0.5 + rand.Float64()/2) * float64(d) * s.cfg.TimeScale)
}

// acquire waits for one of the service's turns.
func (s *Service) acquire(ctx context.Context) *Error {
	if err := ctx.Err(); err != nil {
		return &Error{Kind: Canceled, Err: err}
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Kind: Canceled, Err: ctx.Err()}
	}
}

func (s *Service) release() { <-s.slots }

// once sends one request, for which the turn has been acquired.
func (s *Service) once(ctx context.Context, req Request, attempt Attempt) (int, *Error) {
	defer s.release()
	if tooLate(ctx) {
		return 0, &Error{Kind: Canceled, Err: ErrTooLate}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout(req))
	defer cancel()
	var w wire
	watched, unwatch := w.watch(bounded)
	defer unwatch()
	status, err := attempt(watched)
	if err == nil {
		return status, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return status, e
	}
	e := &Error{Err: err, MaybeDone: w.sent(err)}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Kind = Canceled
	case w.expired.Load():
		e.Kind, e.reason = Away, "no connection in time"
	case bounded.Err() != nil || isTimeout(err):
		// The caller's own deadline counts like ours: in the time that the
		// service was given it did not answer.
		e.Kind, e.reason, e.late = Away, "no answer in time", true
	default:
		e.Kind = Away
		e.reason, e.transient = explain(err)
	}
	return status, e
}

// settle books what the call says about the service's health.
func (s *Service) settle(ctx context.Context, gate *breaker, req Request, t ticket, v verdict, lastErr string) {
	now := time.Now()
	changed := gate.leave(t, v, now, lastErr)
	other := s.writes
	if req.Write {
		other = s.reads
	}
	switch v {
	case answered:
		// It is there again, so the other kind of call need not wait either.
		if other.signOfLife(now) {
			changed = true
		}
	case failed:
		other.signOfTrouble()
	case unknown:
	}
	if changed {
		s.changed(ctx)
	}
}

// judgeHealth says what a call's end means for the breaker.
func judgeHealth(e *Error) (verdict, string) {
	switch {
	case e == nil || e.Kind == Refused:
		return answered, ""
	case e.Kind == Away && !e.blameless:
		return failed, e.describe()
	default:
		return unknown, ""
	}
}

// shutError is what a call gets that a breaker doesn't let through.
func shutError(next time.Time) *Error {
	return &Error{
		Kind:      Away,
		reason:    "it has not been answering",
		blameless: true,
		Err:       fmt.Errorf("breaker open, next probe at %s", next.UTC().Format(time.RFC3339Nano)),
	}
}

func isConnectError(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return isTLSError(err)
}

func isTLSError(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// explain puts a transport's error in words for users and says whether it may
// pass by itself.
func explain(err error) (reason string, transient bool) {
	_, unknownName := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, errTooLong):
		return "its answer is too long", false
	case isTLSError(err):
		return "its certificate is not accepted", false
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", true
	case unknownName:
		return "its name can't be resolved", true
	case isConnectError(err):
		return "no connection", true
	default:
		return "connection lost", true
	}
}

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
	"net/http"
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
	_, err := s.call(ctx, req, false, func(ctx context.Context) (answer, error) {
		status, err := attempt(ctx)
		return answer{status: status}, err
	})
	return err
}

// call makes one call by way of send, with copies of the request if hedged says
// that it may be copied. The content of the answer that counts has been handed
// to the caller; its header is returned.
func (s *Service) call(ctx context.Context, req Request, hedged bool, send sender) (http.Header, error) {
	start := time.Now()
	c := &calling{Service: s, gate: s.reads, req: req, send: send, hedged: hedged}
	if req.Write {
		c.gate = s.writes
	}
	ctx, done := s.trace(ctx, req)
	r, e := c.run(ctx)
	done(r.status, e, c.retries)
	if e != nil {
		e.Service, e.Operation = s.cfg.Name, req.Operation
	}
	c.observe(ctx, r.status, e, time.Since(start))
	if e != nil {
		return r.header, e
	}
	if r.keep != nil {
		r.keep()
	}
	return r.header, nil
}

func (c *calling) run(ctx context.Context) (answer, *Error) {
	if c.fault != nil {
		return answer{}, notSent("it is not configured correctly", c.fault)
	}
	// Before the wait for a turn too: while a service hangs, every turn takes
	// a time-out.
	if next, shut := c.gate.closedUntil(time.Now()); shut {
		return answer{}, shutError(next)
	}
	if e := c.acquire(ctx); e != nil {
		return answer{}, e
	}
	t, ok := c.gate.enter(time.Now(), c.patience())
	if !ok {
		c.release()
		next, _ := c.gate.closedUntil(time.Now())
		return answer{}, shutError(next)
	}
	v := unknown
	lastErr := ""
	var took time.Duration
	defer func() { c.settle(ctx, t, v, lastErr, took >= c.timeout(c.req)/slowAnswer) }()

	r, e := c.try(ctx)
	mayRepeat := t.probe == 0 && (!c.req.Write || c.req.Idempotent)
	for mayRepeat && c.retries < maxRetries && e != nil && e.transient {
		repeated, ok := c.waitToRetry(ctx)
		if !ok {
			break
		}
		before := e
		if r, e = c.try(repeated); e != nil {
			e.MaybeDone = e.MaybeDone || before.MaybeDone
		}
		c.retries++
	}
	v, lastErr = judgeHealth(e)
	took = r.took
	if c.req.Aside && v == failed {
		v, lastErr = unknown, ""
	}
	return r, e
}

// patience is how long this call alone may find out whether the service is
// back; 0 is for as long as it takes. Calls of which copies are made find out
// anyway. Of others that may be carried out twice, another one may try when
// this one is not answered; a command that may not is kept from trying in vain.
func (c *calling) patience() time.Duration {
	if c.hedged || c.req.Write && !c.req.Idempotent {
		return 0
	}
	return c.hedgePause(c.timeout(c.req))
}

// waitToRetry waits and acquires a turn for another try, and returns the context
// to send it with. It returns false, and holds no turn, if there is no point in
// it.
func (c *calling) waitToRetry(ctx context.Context) (context.Context, bool) {
	wait := c.backoff(c.retries)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return nil, false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, false
	}
	if c.acquire(ctx) != nil {
		return nil, false
	}
	if _, shut := c.gate.closedUntil(time.Now()); shut {
		c.release()
		return nil, false
	}
	repeated, ok := again(ctx)
	if !ok {
		c.release()
	}
	return repeated, ok
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
func (s *Service) once(ctx context.Context, req Request, send sender) (answer, *Error) {
	defer s.release()
	if tooLate(ctx) {
		return answer{}, &Error{Kind: Canceled, Err: ErrTooLate}
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout(req))
	defer cancel()
	var w wire
	watched, unwatch := w.watch(bounded)
	defer unwatch()
	begun := time.Now()
	r, err := send(watched)
	r.took = time.Since(begun)
	if err == nil {
		return r, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return r, e
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
	return r, e
}

// settle books what the call says about the service's health.
func (c *calling) settle(ctx context.Context, t ticket, v verdict, lastErr string, slowly bool) {
	now := time.Now()
	other := c.writes
	if c.req.Write {
		other = c.reads
	}
	if v == answered {
		c.gate.answeredSlowly(slowly)
	}
	changed := c.gate.leave(t, v, now, lastErr)
	switch v {
	case answered:
		if !slowly {
			other.answeredSlowly(false)
		}
		// It is there again, so the other kind of call need not wait either.
		if other.signOfLife(now) {
			changed = true
		}
	case failed:
		other.signOfTrouble()
	case unknown:
	}
	if changed {
		c.changed(ctx)
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

// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// ErrTooLate says that a request was not sent because its time was over; see
// [SendBefore].
var ErrTooLate = errors.New("the time in which the request could be sent is over")

type sendBeforeKey struct{}

// permit is until when a request may go out.
type permit struct {
	until time.Time
	// renew asks for a later time; nil if there is none.
	renew func(context.Context) (time.Time, error)
}

// SendBefore returns a context with which a request goes out before a time, by
// the monotonic clock, or not at all: after the wait for a turn, before a
// repetition, and while a connection is being made. How long the answer may
// take is another matter. A request that is too late fails with [ErrTooLate],
// or, if it was the service that did not take the connection in time, as any
// that is away.
//
// Before the request goes out once more, because it failed or is not answered,
// renew is asked until when it may; an error says that it must not. It runs in
// the goroutine of the caller, who waits for the call. A nil renew leaves t.
func SendBefore(ctx context.Context, t time.Time, renew func(context.Context) (time.Time, error)) context.Context {
	return context.WithValue(ctx, sendBeforeKey{}, permit{t, renew})
}

// tooLate reports whether a request must not be sent any more.
func tooLate(ctx context.Context) bool {
	p, limited := ctx.Value(sendBeforeKey{}).(permit)
	return limited && !time.Now().Before(p.until)
}

// again returns the context with which a request goes out once more, false if it
// must not.
func again(ctx context.Context) (context.Context, bool) {
	p, limited := ctx.Value(sendBeforeKey{}).(permit)
	if limited && p.renew != nil {
		until, err := p.renew(ctx)
		if err != nil {
			return nil, false
		}
		ctx = SendBefore(ctx, until, p.renew)
	}
	return ctx, !tooLate(ctx)
}

// wire learns from the HTTP transport how far a request has come.
type wire struct {
	asked, wrote, expired atomic.Bool
}

// watch returns a context whose requests w follows, and which ends if there is
// no connection in the time that ctx has for sending. Whoever gets it must call
// cancel.
func (w *wire) watch(ctx context.Context) (watched context.Context, cancel func()) {
	ctx, stop := context.WithCancel(ctx)
	timer := time.AfterFunc(time.Hour, func() {
		w.expired.Store(true)
		stop()
	})
	timer.Stop()
	p, limited := ctx.Value(sendBeforeKey{}).(permit)
	trace := &httptrace.ClientTrace{
		GetConn: func(string) {
			w.asked.Store(true)
			if limited {
				timer.Reset(time.Until(p.until))
			}
		},
		GotConn:      func(httptrace.GotConnInfo) { timer.Stop() },
		WroteHeaders: func() { w.wrote.Store(true) },
	}
	return httptrace.WithClientTrace(ctx, trace), func() {
		timer.Stop()
		stop()
	}
}

// sent reports whether the request may have reached the service. A transport
// that doesn't say how far it came is not trusted, except with errors that
// only come from connecting.
func (w *wire) sent(err error) bool {
	if w.asked.Load() {
		return w.wrote.Load()
	}
	return !isConnectError(err)
}

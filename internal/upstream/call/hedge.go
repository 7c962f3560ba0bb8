// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// A service that was slow, or hung, and is well again does not know of the
// requests that it lost, and whoever waits for one of them waits until its
// time-out is over. So further copies of a request go out while the service is
// suspect (its breaker is not closed, or its last call has failed) and the first
// one is not answered. The first answer that can be used, also a refusal, is the call's; the
// other copies are given up. A service that is well gets no copies, however
// long it takes; one that has just become well gets at most one for each call
// that began before.
//
// Copies are made of reads, and of writes that are [Request.LateOK]: a copy that
// was given up may be carried out all the same, as a request may that timed out.
const (
	// maxCopies bounds the copies of one request, the first one included.
	maxCopies = 5
	// hedgePause is the time from one copy to the next, before scaling; with long
	// time-outs it is longer, so that the copies are spread over the whole time.
	hedgePause = 2 * time.Second
	// hedgeLife is after how many pauses a copy other than the first is given up:
	// at most three are under way at once, and other calls have turns too.
	hedgeLife = 2
	// slowAnswer is from which part of the time-out on an answer is a slow one.
	slowAnswer = 3
)

// answer is what one copy of a request brought. It belongs to that copy until
// the copy is known to be the one that counts.
type answer struct {
	status int
	header http.Header
	// took is how long the copy was under way.
	took time.Duration
	// keep hands the content to the caller; nil if there is none.
	keep func()
}

// sender sends one copy of a request. Its error is one that an [Attempt] returns.
type sender func(context.Context) (answer, error)

// calling is one call under way.
type calling struct {
	*Service
	gate *breaker
	req  Request
	send sender
	// hedged says that the request may be copied.
	hedged bool
	// retries and hedges count the requests after the first one: those that were
	// sent because another one had failed, and those because it was not answered.
	retries, hedges int
}

// mayHedge reports whether copies of a request do no harm.
func (r Request) mayHedge() bool { return !r.Write || r.Idempotent && r.LateOK }

// hedgePause is the time from one copy to the next.
func (s *Service) hedgePause(timeout time.Duration) time.Duration {
	return max(time.Duration(float64(hedgePause)*s.cfg.TimeScale), timeout/maxCopies)
}

// ending is how a copy ended.
type ending struct {
	answer
	err *Error
	// first says that it was the first one.
	first bool
	// fault is what the copy panicked with.
	fault any
}

// try sends the request, for which a turn has been acquired, and copies of it
// as long as they are called for. All of them together have the time-out of one.
func (c *calling) try(ctx context.Context) (answer, *Error) {
	if !c.hedged {
		return c.once(ctx, c.req, c.send)
	}
	timeout := c.timeout(c.req)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	var copies sync.WaitGroup
	defer copies.Wait()
	defer cancel()
	endings := make(chan ending, maxCopies)
	copies.Go(func() { c.sendCopy(ctx, true, endings) })

	pause := c.hedgePause(timeout)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	was := c.gate.mood()
	var failed failure
	for open, ticks := 1, 0; ; {
		select {
		case end := <-endings:
			open--
			switch {
			case end.fault != nil:
				panic(end.fault)
			case end.err == nil:
				return end.answer, nil
			case end.err.Kind == Refused:
				end.err.MaybeDone = end.err.MaybeDone || failed.maybeDone || open > 0
				return end.answer, end.err
			}
			if failed.add(end); open == 0 {
				return failed.answer, failed.error()
			}
			if end.first {
				// It is not lost, and the others will be over soon.
				ticker.Stop()
			}
		case <-ticker.C:
			if ticks++; ticks >= maxCopies {
				ticker.Stop()
				continue
			}
			is := c.gate.mood()
			if is == slow || is == well && was == well {
				continue
			}
			if copied, ok := c.turnForCopy(ctx); ok {
				// Once it is well, a single copy will do.
				was = is
				open++
				c.hedges++
				copies.Go(func() {
					ctx, cancel := context.WithTimeout(copied, hedgeLife*pause)
					defer cancel()
					c.sendCopy(ctx, false, endings)
				})
			}
		}
	}
}

// turnForCopy acquires a turn for a copy if one is free, and returns the context
// to send it with. It never waits for a turn: those who do have sent nothing yet.
func (c *calling) turnForCopy(ctx context.Context) (context.Context, bool) {
	select {
	case c.slots <- struct{}{}:
	default:
		return nil, false
	}
	copied, ok := again(ctx)
	if !ok {
		c.release()
	}
	return copied, ok
}

// errVanished is the fault of a copy whose goroutine was ended from inside.
var errVanished = errors.New("the goroutine of a request was ended")

// sendCopy sends one copy and tells how it ended. A panic is handed on to the
// caller's goroutine.
func (c *calling) sendCopy(ctx context.Context, first bool, endings chan<- ending) {
	end := ending{first: first, fault: errVanished}
	defer func() {
		if fault := recover(); fault != nil {
			end.fault = fault
		}
		endings <- end
	}()
	end.answer, end.err = c.once(ctx, c.req, c.send)
	end.fault = nil
}

// failure is what copies come to that all failed.
type failure struct {
	ending
	maybeDone, late bool
}

// add notes how another copy failed.
func (f *failure) add(end ending) {
	f.maybeDone = f.maybeDone || end.err.MaybeDone
	f.late = f.late || end.err.late
	if f.err == nil || end.err.weight() > f.err.weight() {
		f.ending = end
	}
}

// error is the error of the call: that of the copies which tells the most.
func (f *failure) error() *Error {
	f.err.MaybeDone = f.maybeDone
	// The service may be busy with a copy that was late.
	f.err.transient = f.err.transient && !f.late
	return f.err
}

// weight says how much a failure tells, compared with others of the same call:
// that the caller gave up, what the service said, that it did not answer, that
// the request was not sent.
func (e *Error) weight() int {
	switch {
	case errors.Is(e.Err, ErrTooLate), e.blameless:
		return 0
	case e.Kind == Canceled:
		return 3
	case e.Status != 0:
		return 2
	default:
		return 1
	}
}

// SPDX-License-Identifier: MIT

package call

import (
	"sync"
	"time"
)

const (
	// breakerThreshold is the number of failures in a row that opens a breaker.
	breakerThreshold = 5
	// breakerFirstWait and breakerMaxWait bound the time until a probe; it
	// doubles with each probe that fails. A probe every two seconds harms nobody,
	// and work that waits goes on soon after the service is back.
	breakerFirstWait = time.Second
	breakerMaxWait   = 2 * time.Second
)

// breakerState is what a breaker lets through.
type breakerState int

const (
	// breakerClosed lets everything through.
	breakerClosed breakerState = iota
	// breakerOpen lets nothing through until its time is over.
	breakerOpen
	// breakerHalfOpen lets one call at a time through, as a probe.
	breakerHalfOpen
)

// verdict is what a call says about the service's health.
type verdict int

const (
	// answered is any answer, a refusal too.
	answered verdict = iota
	// failed is no usable answer.
	failed
	// unknown is a call that says nothing, for example a canceled one.
	unknown
)

// mood is what the last calls say about the service.
type mood int

const (
	// well is a service that answers.
	well mood = iota
	// slow is one that takes a large part of its time-out to answer.
	slow
	// suspect is one that is not known to answer.
	suspect
)

// ticket is the right to make one call.
type ticket struct {
	// generation is that of the breaker when the call began.
	generation uint64
	// probe is the number of the probe; 0 for none.
	probe uint64
}

// breaker keeps calls from a service that doesn't answer. It opens after five
// failures in a row, lets one probe through after 1 s, and waits twice as long
// after each failed one, up to 2 s; all waits times scale. Another probe goes
// when the patience with the one under way is over, or after a sign of life;
// from then on only an answer to the earlier one counts.
//
// Calls that began before it opened or closed are told by their generation:
// what becomes of them neither counts as a probe nor closes it, but an answer
// to any of them is a sign of life, which ends the wait.
//
// A sign of life that led to a failed probe is not believed a second time,
// until the other kind of call has failed too: a service may go on to answer
// reads and none of the writes, and whoever is woken by each sign to try at
// once would keep it busy with nothing else.
type breaker struct {
	scale float64

	mu         sync.Mutex
	state      breakerState
	generation uint64
	failures   int
	// since is the time of the first of the failures in a row.
	since time.Time
	// wait is the time, not scaled, until the next probe; until is its end.
	wait  time.Duration
	until time.Time
	// probe is the number of the probe under way, 0 for none; probes is that of
	// the last one. lapse is when another one may go all the same; zero is never.
	probe, probes uint64
	lapse         time.Time
	// doubted says that a sign of life has been followed.
	doubted bool
	// slow says that the last answer was a slow one.
	slow    bool
	lastErr string
}

func newBreaker(scale float64) *breaker { return &breaker{scale: scale} }

// closedUntil returns the time of the next probe and true if a call now would
// not get through.
func (b *breaker) closedUntil(now time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case breakerOpen:
		return b.until, now.Before(b.until)
	case breakerHalfOpen:
		return b.until, b.probing(now)
	case breakerClosed:
		return time.Time{}, false
	default:
		return time.Time{}, false
	}
}

// probing reports whether a probe is under way that others have to wait for. The
// caller holds the lock.
func (b *breaker) probing(now time.Time) bool {
	return b.probe != 0 && (b.lapse.IsZero() || now.Before(b.lapse))
}

// mood returns how the service is.
func (b *breaker) mood() mood {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state != breakerClosed || b.failures > 0:
		return suspect
	case b.slow:
		return slow
	default:
		return well
	}
}

// answeredSlowly notes whether the last answer was a slow one.
func (b *breaker) answeredSlowly(slowly bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slow = slowly
}

// enter asks for the right to make a call. Whoever gets it must call leave. If
// the call is a probe, others wait for its end, or until patience is over unless
// that is 0.
func (b *breaker) enter(now time.Time, patience time.Duration) (ticket, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breakerClosed {
		return ticket{generation: b.generation}, true
	}
	if b.state == breakerOpen {
		if now.Before(b.until) {
			return ticket{}, false
		}
		b.state = breakerHalfOpen
	}
	if b.probing(now) {
		return ticket{}, false
	}
	b.probes++
	b.probe, b.lapse = b.probes, time.Time{}
	if patience > 0 {
		b.lapse = now.Add(patience)
	}
	return ticket{generation: b.generation, probe: b.probe}, true
}

// leave books the end of a call and reports whether the service has gone away
// or answers again by it. lastErr describes a failure.
func (b *breaker) leave(t ticket, v verdict, now time.Time, lastErr string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v == failed {
		b.lastErr = lastErr
	}
	if t.generation != b.generation {
		return v == answered && b.endWait(now)
	}
	if t.probe != 0 {
		last := t.probe == b.probe
		if last {
			b.probe = 0
		}
		switch {
		case v == answered:
			b.close()
			return true
		case v == failed && last:
			b.wait = min(2*b.wait, breakerMaxWait)
			b.open(now)
		default:
			// The next call may probe at once.
		}
		return false
	}
	switch v {
	case answered:
		b.failures = 0
	case failed:
		if b.failures == 0 {
			b.since = now
		}
		b.failures++
		if b.failures >= breakerThreshold {
			b.wait = breakerFirstWait
			b.open(now)
			return true
		}
	case unknown:
	}
	return false
}

// signOfLife ends the wait of an open breaker, because the service has
// answered to something else. It reports whether there was a wait to end.
func (b *breaker) signOfLife(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endWait(now)
}

// signOfTrouble has the next sign of life believed again.
func (b *breaker) signOfTrouble() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubted = false
}

// endWait has a probe go at once, also beside one under way, which may have been
// lost before. The caller holds the lock.
func (b *breaker) endWait(now time.Time) bool {
	if b.state == breakerClosed || b.state == breakerHalfOpen && b.probe == 0 || b.doubted {
		return false
	}
	b.state = breakerHalfOpen
	b.probe = 0
	b.doubted = true
	if b.until.After(now) {
		b.until = now
	}
	return true
}

// open starts a wait. The caller holds the lock.
func (b *breaker) open(now time.Time) {
	b.state = breakerOpen
	b.probe = 0
	b.generation++
	b.until = now.Add(time.Duration(float64(b.wait) * b.scale))
}

// close forgets the failures. The caller holds the lock.
func (b *breaker) close() {
	b.state = breakerClosed
	b.probe = 0
	b.generation++
	b.failures = 0
	b.doubted = false
	b.since, b.until = time.Time{}, time.Time{}
	b.lastErr = ""
}

// breakerView is what health shows of a breaker.
type breakerView struct {
	away        bool
	since, next time.Time
	lastErr     string
}

func (b *breaker) view() breakerView {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breakerClosed {
		return breakerView{}
	}
	return breakerView{away: true, since: b.since, next: b.until, lastErr: b.lastErr}
}

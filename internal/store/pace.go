// SPDX-License-Identifier: MIT

package store

import "time"

const (
	// mostPatience is how many times as long as a transaction takes a group waits for
	// company at most, and longestPatience how long in any case. Over HTTP clients
	// need about as long to come back as a transaction on a fast disk.
	mostPatience    = 2.0
	longestPatience = 2 * time.Millisecond
	// leastPatience is the same below which there is no waiting, but for one group in
	// tryAgain, to find out whether company comes again.
	leastPatience = 0.4
	tryAgain      = 64
	// paceWeight is the weight of the latest transaction in the time that one is
	// taken to need.
	paceWeight = 0.25
)

// pace decides how long a group waits for company. Clients that write one
// document after the other come back right after they were answered; without a
// wait the first of them would leave in a transaction of its own, and the others
// wait for the disk twice. It is for those alone: a write that is the only one
// never waits, and where the ones that were answered don't come back the wait is
// given up soon.
type pace struct {
	// expected is how many writes there will be if all come back.
	expected int
	// commit is how long a transaction takes, about.
	commit time.Duration
	// doubt counts the waits in a row that were in vain; each halves the next.
	doubt int
	// skipped counts the groups since the last wait.
	skipped int
}

// sent notes a transaction: how many writes were answered by it, how many wait
// already, and how long it took.
func (p *pace) sent(answered, waiting int, took time.Duration) {
	p.expected = answered + waiting
	if p.commit == 0 {
		p.commit = took
		return
	}
	p.commit += time.Duration(paceWeight * float64(took-p.commit))
}

// patience returns how long to wait for company, with so many writes there
// already.
func (p *pace) patience(waiting int) time.Duration {
	if waiting >= min(p.expected, MaxOps) {
		return 0
	}
	times := mostPatience / float64(int(1)<<min(p.doubt, 8))
	if times < leastPatience {
		if p.skipped++; p.skipped < tryAgain {
			return 0
		}
		times = mostPatience
	}
	p.skipped = 0
	return min(time.Duration(times*float64(p.commit)), longestPatience)
}

// waited notes what a wait has brought: it was in vain if less than half of those
// that were expected came.
func (p *pace) waited(before, after int) {
	if 2*(after-before) < p.expected-before {
		p.doubt++
		return
	}
	p.doubt = 0
}

// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"log/slog"
	"time"

	"bos/internal/view"
)

// sweep is the loop of an operator that is not about single components: it
// runs when something changed that concerns it, when it is asked to, and once
// an interval.
type sweep struct {
	deps *Deps
	role string
	// feed says that something changed; interval is how often it runs anyway, on
	// the fleet's clock.
	feed     *view.Feed
	interval func() time.Duration
	// run does the work and returns how many things it was about.
	run  func(ctx context.Context) (int, error)
	wake chan struct{}
}

func newSweep(d *Deps, role string, feed *view.Feed, interval func() time.Duration, run func(context.Context) (int, error)) *sweep {
	return &sweep{deps: d, role: role, feed: feed, interval: interval, run: run, wake: make(chan struct{}, 1)}
}

// poke has the sweep run soon.
func (s *sweep) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// loop runs until ctx ends. After a failure it runs again soon, and then less
// and less soon.
func (s *sweep) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.feed.C():
			gatherMore(ctx, s.feed.C())
		case <-s.wake:
		case <-timer.C:
		}
		s.feed.Take()
		pctx, done := s.deps.observe(ctx, s.role)
		n, err := s.run(pctx)
		done(n, err)
		next := s.interval()
		if err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("an operator did not finish; it will try again",
				slog.String("operator", s.role), slog.Any("error", err))
			next = min(next, maxBackoff, firstBackoff<<min(failures, 10))
			failures++
		} else {
			failures = 0
		}
		timer.Reset(s.deps.Clock.Real(next))
	}
}

// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Health says whether a service answers, as far as the calls to it have shown.
type Health struct {
	Service string
	// ReadsAway and WritesAway say which calls are kept from it.
	ReadsAway  bool
	WritesAway bool
	// Since is the time of the first of the failures that have not ended yet;
	// zero while the service answers.
	Since time.Time
	// NextProbe is the time from which a call will be let through to find out
	// whether it answers again; a time that is over means now. Zero while the
	// service answers.
	NextProbe time.Time
	// LastError describes the last failure in words for users.
	LastError string
}

// Away reports whether any calls are kept from the service.
func (h Health) Away() bool { return h.ReadsAway || h.WritesAway }

// Health returns the present state.
func (s *Service) Health() Health {
	r, w := s.reads.view(), s.writes.view()
	h := Health{Service: s.cfg.Name, ReadsAway: r.away, WritesAway: w.away}
	for _, v := range []breakerView{r, w} {
		if !v.away {
			continue
		}
		if h.Since.IsZero() || v.since.Before(h.Since) {
			h.Since = v.since
		}
		if h.NextProbe.IsZero() || v.next.Before(h.NextProbe) {
			h.NextProbe = v.next
		}
		if h.LastError == "" {
			h.LastError = v.lastErr
		}
	}
	return h
}

// OnChange has f called when the service goes away, when it answers again, and
// when a sign of life makes it worthwhile to try at once. f gets the state at
// the time it is called: changes that follow each other quickly may come as
// one, but the last call always shows the last state. It runs on the goroutine
// of some call, one f at a time, with no lock held, so it may use the service;
// it should be quick.
func (s *Service) OnChange(f func(Health)) {
	s.notify.mu.Lock()
	defer s.notify.mu.Unlock()
	// A new slice each time, because run reads the old one without the lock.
	s.notify.hooks = append(append([]func(Health){}, s.notify.hooks...), f)
}

// notifier calls hooks one at a time without holding a lock: who finds another
// goroutine at it leaves the work to that one.
type notifier struct {
	mu      sync.Mutex
	hooks   []func(Health)
	pending bool
	running bool
}

// changed tells the log and the hooks that the state may have changed.
func (s *Service) changed(ctx context.Context) {
	n := &s.notify
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = true
	if n.running {
		return
	}
	n.running = true
	defer func() { n.running = false }()
	for n.pending {
		n.pending = false
		hooks := n.hooks
		func() {
			n.mu.Unlock()
			defer n.mu.Lock()
			s.announce(ctx, hooks)
		}()
	}
}

// announce tells everybody the present state.
func (s *Service) announce(ctx context.Context, hooks []func(Health)) {
	h := s.Health()
	if h.Away() {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "service is away",
			slog.String("service", h.Service),
			slog.Bool("reads", h.ReadsAway),
			slog.Bool("writes", h.WritesAway),
			slog.Time("since", h.Since),
			slog.Time("next_probe", h.NextProbe),
			slog.String("reason", h.LastError))
	} else {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "service answers", slog.String("service", h.Service))
	}
	for _, f := range hooks {
		f(h)
	}
}

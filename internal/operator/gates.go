// SPDX-License-Identifier: MIT

package operator

import (
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/upstream/call"
)

const (
	// firstBackoff and maxBackoff bound how long a service that is away is left
	// alone, on the fleet's clock; the time doubles with each failure. Together
	// with the wait of the service's breaker it is how late the work goes on when
	// the service is back, which is to be less than 5 s.
	firstBackoff = time.Second
	maxBackoff   = 2 * time.Second
)

// gates keep an operator from calling services that are away. When a gate's
// time is over, one node is tried before all the others follow.
type gates struct {
	clock *clock.Clock
	// patience is how long, in real time, others wait for the command that tries
	// a service; 0 is until it is over.
	patience func(service string) time.Duration
	mu       sync.Mutex
	shut     map[gateKey]*gate
	// answers are when that was asked for which was answered.
	answers map[gateKey]time.Time
}

// gateKey tells a service's reads from its writes: one may work without the
// other.
type gateKey struct {
	service string
	write   bool
}

type gate struct {
	away     decide.Away
	since    time.Time
	failures int
	// trying is when the last command set out to find out whether the service is
	// back; zero if none is at it.
	trying time.Time
}

func newGates(c *clock.Clock, patience func(service string) time.Duration) *gates {
	return &gates{clock: c, patience: patience, shut: map[gateKey]*gate{}, answers: map[gateKey]time.Time{}}
}

// failed notes that a service is away, since it did not answer what it was asked
// at a time, and returns what a node that waits for it shows. A service that has
// answered what it was asked later is not away; if another command has set out
// later to try it, that will tell.
func (g *gates) failed(key gateKey, asked time.Time, err error) decide.Away {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answers[key].After(asked) {
		return decide.Away{
			Service: key.service, Text: observe.AwayText(key.service, asked, err), Next: g.clock.Now().Add(firstBackoff),
		}
	}
	s := g.shut[key]
	if s == nil {
		s = &gate{since: time.Now()}
		g.shut[key] = s
	}
	if s.trying.After(asked) {
		wait := s.away
		wait.Next = max(wait.Next, g.clock.Now().Add(firstBackoff))
		return wait
	}
	pause := min(maxBackoff, firstBackoff<<min(s.failures, 10))
	s.failures++
	s.trying = time.Time{}
	s.away = decide.Away{
		Service: key.service,
		Text:    observe.AwayText(key.service, s.since, err),
		Next:    g.clock.Now().Add(pause),
	}
	return s.away
}

// answered notes that a service answers what it was asked at a time; it reports
// whether it was away.
func (g *gates) answered(key gateKey, asked time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, was := g.shut[key]
	delete(g.shut, key)
	if asked.After(g.answers[key]) {
		g.answers[key] = asked
	}
	return was
}

// retry lets a service be tried at once, also by another command than the one
// that is at it: that may have been lost before.
func (g *gates) retry(service string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, s := range g.shut {
		if key.service == service {
			s.away.Next = g.clock.Now()
			s.trying = time.Time{}
		}
	}
}

// now returns the services that must not be called yet, and those that were
// away and may be tried again. Questions need no trial: they are asked once for
// all nodes.
func (g *gates) now(at bos.Instant) (away decide.Services, probes map[string]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	away, probes = decide.Services{}, map[string]bool{}
	for key, s := range g.shut {
		switch {
		case g.tryingFor(key, s) > 0:
			next := s.away
			next.Next = at.Add(g.tryingFor(key, s))
			away[key.service] = next
		case s.away.Next > at:
			next := s.away
			next.Next = max(next.Next, at.Add(firstBackoff))
			away[key.service] = next
		case key.write:
			probes[key.service] = true
		}
	}
	return away, probes
}

// tryingFor returns how long, on the fleet's clock, others wait for a command
// that is at it; 0 if there is none. Where that is until its end, they look again
// after a while.
func (g *gates) tryingFor(key gateKey, s *gate) time.Duration {
	if s.trying.IsZero() {
		return 0
	}
	patience := g.patience(key.service)
	if patience <= 0 {
		return firstBackoff
	}
	left := patience - time.Since(s.trying)
	return max(0, time.Duration(float64(left)*g.clock.Rate()))
}

// trying notes that a command is on its way that tries services, and returns
// since when.
func (g *gates) trying(services []string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for _, service := range services {
		if s := g.shut[gateKey{service, true}]; s != nil {
			s.trying = now
		}
	}
	return now
}

// tried notes that a command is over that was on its way since a time. What it has
// not found out, another one may; it reports whether there is such a thing.
func (g *gates) tried(services []string, since time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	open := false
	for _, service := range services {
		if s := g.shut[gateKey{service, true}]; s != nil && s.trying.Equal(since) {
			s.trying, open = time.Time{}, true
		}
	}
	return open
}

// recoveries tells operators when a service answers again.
type recoveries struct {
	mu        sync.Mutex
	listeners map[int]func(service string)
	next      int
}

func (r *recoveries) subscribe(f func(service string)) (unsubscribe func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listeners == nil {
		r.listeners = map[int]func(string){}
	}
	id := r.next
	r.next++
	r.listeners[id] = f
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.listeners, id)
	}
}

func (r *recoveries) tell(service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.listeners {
		f(service)
	}
}

// listen passes on that services answer again, or give a sign of life.
func (d *Deps) listen() {
	for name, service := range d.Services {
		service.OnChange(func(h call.Health) {
			if h.Away() && h.NextProbe.After(time.Now()) {
				return
			}
			switch {
			case name == decide.ServicePCS:
				d.Power.Retry()
			case name == decide.ServiceCFS && d.Config != nil:
				d.Config.Retry()
			}
			d.recovered.tell(name)
		})
	}
}

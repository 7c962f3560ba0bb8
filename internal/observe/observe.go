// SPDX-License-Identifier: MIT

// Package observe looks at the power and the configuration of the nodes in
// flight: often while something is expected to change, seldom otherwise, never
// with more than one request about a node on its way.
package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/xname"
)

// Cadence says how soon a node shall be looked at again.
type Cadence int

// The cadences. Now is once and at once; then it is Often.
const (
	// Seldom is at the pace of the option polling_frequency.
	Seldom Cadence = iota
	// Often is while a change is expected: after a second at first, then at
	// longer and longer intervals, up to polling_frequency.
	Often
	// Now is as soon as possible.
	Now
)

const (
	// fastest is the shortest interval of looks at a node, on the fleet's clock.
	fastest = time.Second
	// share is which part of the time that a change has been expected may pass
	// until the next look: what takes long is not asked for every second.
	share = 20
	// grace is how long a service may fail to answer before it counts as away.
	grace = 3 * time.Second
	// together: a look takes along the nodes that would be due within this part
	// of an interval.
	together = 4
)

// Seen is one look at a node. Since is the revision that the view had when the
// look began, At when that was; Look is its number, see [Observer.Begun].
type Seen[T any] struct {
	Value T
	Since int64
	At    bos.Instant
	Look  int64
}

// Config describes an observer.
type Config[T comparable] struct {
	// Service is the name of the service that is asked.
	Service string
	// Fetch asks about nodes. A node that is missing from the answer gets the
	// zero value; with an error, what is in the answer counts all the same.
	Fetch func(ctx context.Context, ids []string) (map[string]T, error)
	// Chunk is how many nodes one call of Fetch may be about.
	Chunk int
	// Revision is that of the view.
	Revision func() int64
	// Slowest is the interval of looks at nodes of which nothing is expected.
	Slowest func() time.Duration
	Clock   *clock.Clock
	Log     *slog.Logger
}

// Observer looks at nodes and remembers what it saw.
type Observer[T comparable] struct {
	cfg  Config[T]
	wake chan struct{}

	mu      sync.Mutex
	nodes   map[string]*watched[T]
	subs    map[*Subscription]struct{}
	since   time.Time // of the first failure in a row; zero while it answers
	sinceAt bos.Instant
	// begun is how many looks have begun.
	begun int64
	// quiet is until when a service that failed is not asked.
	quiet   time.Time
	lastErr error
}

// watched is a node that somebody wants to be looked at.
type watched[T any] struct {
	owners map[string]Cadence
	// began is since when a change is expected.
	began time.Time
	due   time.Time
	asked bool
	seen  bool
	last  Seen[T]
}

// New returns an observer that looks at nothing yet.
func New[T comparable](cfg Config[T]) *Observer[T] {
	return &Observer[T]{
		cfg: cfg, wake: make(chan struct{}, 1),
		nodes: map[string]*watched[T]{}, subs: map[*Subscription]struct{}{},
	}
}

// Subscription tells one user of an observer which nodes look different.
type Subscription struct {
	wake chan struct{}
	mu   sync.Mutex
	ids  map[string]struct{}
	drop func()
}

// Subscribe returns a subscription to what is seen.
func (o *Observer[T]) Subscribe() *Subscription {
	s := &Subscription{wake: make(chan struct{}, 1), ids: map[string]struct{}{}}
	s.drop = func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.subs, s)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.subs[s] = struct{}{}
	return s
}

// Close ends the subscription.
func (s *Subscription) Close() { s.drop() }

// C is signalled when there is something to take.
func (s *Subscription) C() <-chan struct{} { return s.wake }

// Take returns the nodes that look different, or that were asked for, since it
// was last called.
func (s *Subscription) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.Collect(maps.Keys(s.ids))
	s.ids = map[string]struct{}{}
	return ids
}

func (s *Subscription) tell(ids []string) {
	if len(ids) == 0 {
		return
	}
	s.mu.Lock()
	for _, id := range ids {
		s.ids[id] = struct{}{}
	}
	s.mu.Unlock()
	signal(s.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Get returns the last look at a node.
func (o *Observer[T]) Get(id string) (Seen[T], bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.nodes[id]
	if n == nil || !n.seen {
		return Seen[T]{}, false
	}
	return n.last, true
}

// Begun returns how many looks have begun. A look with a higher number began
// after the call, and shows what was done before it.
func (o *Observer[T]) Begun() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.begun
}

// Watch sets how soon an owner wants a node to be looked at.
func (o *Observer[T]) Watch(owner, id string, c Cadence) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.nodes[id]
	if n == nil {
		n = &watched[T]{owners: map[string]Cadence{}}
		o.nodes[id] = n
	}
	now := time.Now()
	was := n.cadence()
	if c == Now {
		n.asked = true
		n.due = now
		c = Often
	}
	n.owners[owner] = c
	if n.cadence() == Often && was != Often {
		n.began = now
	}
	if next := now.Add(o.interval(n, now)); n.due.IsZero() || next.Before(n.due) {
		n.due = next
	}
	signal(o.wake)
}

// Forget says that an owner has no more interest in a node. What was seen is
// forgotten with the last owner.
func (o *Observer[T]) Forget(owner, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.nodes[id]; n != nil {
		delete(n.owners, owner)
		if len(n.owners) == 0 {
			delete(o.nodes, id)
		}
	}
}

// ForgetAll says that an owner has no more interest in anything.
func (o *Observer[T]) ForgetAll(owner string) {
	o.mu.Lock()
	ids := slices.Collect(maps.Keys(o.nodes))
	o.mu.Unlock()
	for _, id := range ids {
		o.Forget(owner, id)
	}
}

func (n *watched[T]) cadence() Cadence {
	c := Seldom
	for _, owner := range n.owners {
		c = max(c, owner)
	}
	return c
}

// interval returns how long after a look the next one is due.
func (o *Observer[T]) interval(n *watched[T], now time.Time) time.Duration {
	slowest := o.cfg.Clock.Real(o.cfg.Slowest())
	if n.cadence() != Often {
		return slowest
	}
	waited := now.Sub(n.began)
	return min(slowest, max(o.cfg.Clock.Real(fastest), waited/share))
}

// Away reports whether the service has given no usable answer for a while, and
// what a node that waits for it shows.
func (o *Observer[T]) Away() (decide.Away, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Clock.Now()
	if o.lastErr == nil || now.Sub(o.sinceAt) < grace {
		return decide.Away{}, false
	}
	return decide.Away{
		Service: o.cfg.Service,
		Text:    AwayText(o.cfg.Service, o.since, o.lastErr),
		Next:    now.Add(fastest),
	}, true
}

// AwayText is the error of a node that waits for a service to answer.
func AwayText(service string, since time.Time, err error) string {
	text := fmt.Sprintf("waiting for %s, which has not answered since %s UTC", service, since.UTC().Format("15:04:05"))
	var e *bos.Error
	if errors.As(err, &e) && e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Retry asks again at once if the service was away: it may have come back.
func (o *Observer[T]) Retry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lastErr == nil {
		return
	}
	now := time.Now()
	o.quiet = now
	for _, n := range o.nodes {
		n.due = now
	}
	signal(o.wake)
}

// Run looks at nodes until ctx ends.
func (o *Observer[T]) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ids, wait := o.next()
		if len(ids) == 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-o.wake:
			case <-timer.C:
			}
			continue
		}
		o.look(ctx, ids)
		if ctx.Err() != nil {
			return
		}
	}
}

// next returns the nodes that are due, up to one chunk of them, or how long
// until one is.
func (o *Observer[T]) next() ([]string, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if wait := o.quiet.Sub(now); wait > 0 {
		return nil, wait
	}
	soonest := now.Add(time.Hour)
	var due, soon []string
	for id, n := range o.nodes {
		switch left := n.due.Sub(now); {
		case left <= 0:
			due = append(due, id)
		case left < o.interval(n, now)/together && len(soon) < o.cfg.Chunk:
			soon = append(soon, id)
		}
		if len(due) == o.cfg.Chunk {
			break
		}
		if n.due.Before(soonest) {
			soonest = n.due
		}
	}
	if len(due) == 0 {
		return nil, max(soonest.Sub(now), time.Millisecond)
	}
	due = append(due, soon[:min(o.cfg.Chunk-len(due), len(soon))]...)
	slices.SortFunc(due, xname.Compare)
	return due, 0
}

// look asks about nodes and takes note of the answer.
func (o *Observer[T]) look(ctx context.Context, ids []string) {
	o.mu.Lock()
	o.begun++
	look := Seen[T]{Since: o.cfg.Revision(), At: o.cfg.Clock.Now(), Look: o.begun}
	o.mu.Unlock()
	answer, err := o.cfg.Fetch(ctx, ids)
	if ctx.Err() != nil {
		return
	}
	changed := o.note(ids, answer, err, look)
	o.mu.Lock()
	subs := slices.Collect(maps.Keys(o.subs))
	o.mu.Unlock()
	for _, s := range subs {
		s.tell(changed)
	}
}

// note keeps an answer and returns the nodes to tell about: those that look
// different and those that somebody asked for.
func (o *Observer[T]) note(ids []string, answer map[string]T, err error, look Seen[T]) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.noteHealth(now, err)
	var changed []string
	for _, id := range ids {
		n := o.nodes[id]
		if n == nil {
			continue
		}
		value, told := answer[id]
		if err != nil && !told {
			// Nothing was learnt. Whoever asked shall know that it takes longer.
			if n.asked {
				changed = append(changed, id)
			}
			n.due = now.Add(o.cfg.Clock.Real(fastest))
			continue
		}
		if !n.seen || n.asked || n.last.Value != value {
			changed = append(changed, id)
		}
		if n.seen && n.last.Value != value {
			n.began = now
		}
		n.seen, n.asked = true, false
		n.last = look
		n.last.Value = value
		n.due = now.Add(o.interval(n, now))
	}
	return changed
}

func (o *Observer[T]) noteHealth(now time.Time, err error) {
	if err == nil {
		if o.lastErr != nil {
			o.cfg.Log.Info("a service answers again", slog.String("service", o.cfg.Service), slog.Duration("after", now.Sub(o.since)))
		}
		o.lastErr, o.quiet, o.since = nil, time.Time{}, time.Time{}
		return
	}
	if o.lastErr == nil {
		o.since, o.sinceAt = now, o.cfg.Clock.Now()
		o.cfg.Log.Warn("a look at nodes failed", slog.String("service", o.cfg.Service), slog.Any("error", err))
	}
	o.lastErr = err
	o.quiet = now.Add(o.cfg.Clock.Real(fastest))
}

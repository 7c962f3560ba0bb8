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
	"math"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
)

// Cadence says how soon a node shall be looked at again.
type Cadence int

// The cadences. Now is once and at once; then it is Often.
const (
	// Seldom is at the pace of the option polling_frequency.
	Seldom Cadence = iota
	// Often is while a change is expected: after a quarter of a second at first,
	// then at longer and longer intervals, up to polling_frequency.
	Often
	// Now is as soon as possible.
	Now
)

const (
	// fastest is the shortest interval of looks at a node, on the fleet's clock;
	// of many nodes the service's Spacing makes it longer.
	fastest = 250 * time.Millisecond
	// share is which part of the time that a change has been expected may pass
	// until the next look: what takes long is not asked for all the time.
	share = 40
	// retry is after how long, on the fleet's clock, a service that failed is asked
	// again.
	retry = time.Second
	// grace is how long a service may fail to answer before it counts as away.
	grace = 3 * time.Second
	// together: a look takes along the nodes that would be due within this part
	// of an interval.
	together = 4
	// idle is how many times as long as a look at a chunk the service is left
	// alone on average, those looks apart that somebody asked for: what can't keep
	// up is asked less often. The time of a look is the mean of the last few
	// (smooth).
	idle   = 4
	smooth = 8
	// longest is what of the time of a look counts at most, and long from when on a
	// mean soon comes down: a service that took that long was in trouble, and when
	// it is well again the nodes are not to wait for looks.
	longest = 1250 * time.Millisecond
	long    = 500 * time.Millisecond
	// hurry puts the nodes that somebody asked for before all that are due.
	hurry = 24 * time.Hour
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
	// Parallel is how many calls of Fetch may be under way at once, about
	// different nodes; 0 means 1. Further ones are made only about a whole chunk
	// of nodes that somebody asked for.
	Parallel int
	// Spacing is the time, on the fleet's clock, that the service gets at least
	// for each chunk of nodes: the more there are, the longer are the intervals.
	Spacing time.Duration
	// Revision is that of the view.
	Revision func() int64
	// Slowest is the interval of looks at nodes of which nothing is expected.
	Slowest func() time.Duration
	Clock   *clock.Clock
	Log     *slog.Logger
}

// Observer looks at nodes and remembers what it saw.
type Observer[T comparable] struct {
	cfg   Config[T]
	wake  chan struct{}
	epoch time.Time

	mu    sync.Mutex
	nodes map[string]*watched[T]
	queue queue[T]
	// owners are the bits of those who have ever watched.
	owners map[string]owners
	// often and asked count the nodes of which a change is expected, and those
	// that somebody asked for and that no look is under way about.
	often, asked int
	subs         map[*Subscription]struct{}
	since        time.Time // of the first failure in a row; zero while it answers
	sinceAt      bos.Instant
	// begun is how many looks have begun, flying how many are under way; took is
	// how long one takes.
	begun  int64
	flying int
	took   time.Duration
	// quiet is until when a service that failed is not asked.
	quiet   time.Duration
	lastErr error
}

// New returns an observer that looks at nothing yet.
func New[T comparable](cfg Config[T]) *Observer[T] {
	cfg.Parallel = max(cfg.Parallel, 1)
	return &Observer[T]{
		cfg: cfg, wake: make(chan struct{}, 1), epoch: time.Now(),
		nodes: map[string]*watched[T]{}, owners: map[string]owners{}, subs: map[*Subscription]struct{}{},
	}
}

// now is the time since the observer was made.
func (o *Observer[T]) now() time.Duration { return time.Since(o.epoch) }

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

// Each tells the last look at each of some nodes that there was one at; i is
// the node's place in ids. tell must not use the observer.
func (o *Observer[T]) Each(ids []string, tell func(i int, seen Seen[T])) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, id := range ids {
		if n := o.nodes[id]; n != nil && n.seen {
			tell(i, n.last)
		}
	}
}

// Begun returns how many looks have begun. A look with a higher number began
// after the call, and shows what was done before it.
func (o *Observer[T]) Begun() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.begun
}

// Watch sets how soon an owner wants nodes to be looked at. There may be up to
// eight owners.
func (o *Observer[T]) Watch(owner string, c Cadence, ids ...string) {
	if len(ids) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	bit, now := o.owner(owner), o.now()
	for _, id := range ids {
		n := o.watch(id, bit, now)
		often := n.often | bit
		if c == Seldom {
			often &^= bit
		}
		if often == n.often && n.due < now+hurry && c != Now {
			continue
		}
		o.expect(n, often, now)
		if c == Now {
			o.ask(n, now, math.MaxInt64)
		}
		o.plan(n, min(n.due, now+o.interval(n, now)))
	}
	signal(o.wake)
}

// Need is a node and the oldest look at it that will do: one that began when
// the view had a revision of at least Since.
type Need struct {
	ID    string
	Since int64
}

// Ask has nodes looked at as soon as possible, as [Now] does. A look that is
// under way is not repeated if it is new enough.
func (o *Observer[T]) Ask(owner string, needs []Need) {
	if len(needs) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	bit, now := o.owner(owner), o.now()
	for _, need := range needs {
		n := o.watch(need.ID, bit, now)
		o.expect(n, n.often|bit, now)
		o.ask(n, now, need.Since)
		o.plan(n, min(n.due, now+o.interval(n, now)))
	}
	signal(o.wake)
}

// watch returns a node that an owner wants; the lock is held.
func (o *Observer[T]) watch(id string, bit owners, now time.Duration) *watched[T] {
	n := o.nodes[id]
	if n == nil {
		n = &watched[T]{id: id, due: now + hurry, place: nowhere}
		o.nodes[id] = n
	}
	n.wanted |= bit
	return n
}

// Forget says that an owner has no more interest in nodes. What was seen is
// forgotten with the last owner.
func (o *Observer[T]) Forget(owner string, ids ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	bit := o.owner(owner)
	for _, id := range ids {
		if n := o.nodes[id]; n != nil {
			o.forget(n, bit)
		}
	}
}

// ForgetAll says that an owner has no more interest in anything.
func (o *Observer[T]) ForgetAll(owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	bit := o.owner(owner)
	for _, n := range o.nodes {
		o.forget(n, bit)
	}
}

// interval returns how long after a look the next one is due.
func (o *Observer[T]) interval(n *watched[T], now time.Duration) time.Duration {
	slowest := max(o.cfg.Clock.Real(o.cfg.Slowest()), o.spaced(len(o.nodes)))
	if n.often == 0 {
		return slowest
	}
	return min(slowest, max(o.cfg.Clock.Real(fastest), o.spaced(o.often), (now-n.began)/share))
}

// spaced returns the time that the service shall have for so many nodes.
func (o *Observer[T]) spaced(nodes int) time.Duration {
	chunks := 1 + max(0, nodes-1)/o.cfg.Chunk
	return time.Duration(chunks) * max(o.cfg.Clock.Real(o.cfg.Spacing), idle*o.took)
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
		Next:    now.Add(retry),
	}, true
}

// AwayText is the error of a node that waits for a service to answer.
func AwayText(service string, since time.Time, err error) string {
	text := fmt.Sprintf("%sanswered since %s UTC", AwayPrefix(service), since.UTC().Format("15:04:05"))
	var e *bos.Error
	if errors.As(err, &e) && e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// AwayPrefix is how [AwayText] begins for a service, whenever it went away.
func AwayPrefix(service string) string { return "waiting for " + service + ", which has not " }

// Retry asks again at once if the service was away: it may have come back.
func (o *Observer[T]) Retry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lastErr == nil {
		return
	}
	now := o.now()
	o.quiet = now
	for _, n := range o.nodes {
		o.plan(n, min(n.due, now))
	}
	signal(o.wake)
}

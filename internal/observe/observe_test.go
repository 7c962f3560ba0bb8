// SPDX-License-Identifier: MIT

package observe_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service answers with a text for every node and remembers when it was asked.
type service struct {
	mu     sync.Mutex
	state  map[string]string
	err    error
	asked  []time.Duration
	sizes  []int
	begin  time.Time
	inside int
	most   int
	// takes is how long an answer takes; 0 is a millisecond.
	takes time.Duration
}

func (s *service) fetch(_ context.Context, ids []string) (map[string]string, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Since(s.begin))
	s.sizes = append(s.sizes, len(ids))
	s.inside++
	s.most = max(s.most, s.inside)
	takes := max(s.takes, time.Millisecond)
	s.mu.Unlock()
	time.Sleep(takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	if s.err != nil {
		return nil, s.err
	}
	answer := map[string]string{}
	for _, id := range ids {
		if v, ok := s.state[id]; ok {
			answer[id] = v
		}
	}
	return answer, nil
}

func (s *service) set(id, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[id] = value
}

func (s *service) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *service) times() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := slices.Clone(s.asked)
	s.asked = nil
	return t
}

// counts returns how many nodes each request since the last call was about, and
// how many requests there ever were at once.
func (s *service) counts() ([]int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := s.sizes
	s.sizes = nil
	return sizes, s.most
}

func run(t *testing.T, f func(t *testing.T, s *service, o *observe.Observer[string])) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{state: map[string]string{}, begin: time.Now()}
		var revision int64
		o := observe.New(observe.Config[string]{
			Service: "pcs", Fetch: s.fetch, Chunk: 100, Clock: clock.New(1), Log: slog.New(slog.DiscardHandler),
			Revision: func() int64 { revision++; return revision }, Slowest: func() time.Duration { return 15 * time.Second },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		f(t, s, o)
		cancel()
		wg.Wait()
	})
}

func TestLooksAreAdaptive(t *testing.T) {
	run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
		s.set("x1", "off")
		sub := o.Subscribe()
		defer sub.Close()
		o.Watch("status", observe.Now, "x1")
		<-sub.C()
		if diff := cmp.Diff([]string{"x1"}, sub.Take()); diff != "" {
			t.Error(diff)
		}
		seen, ok := o.Get("x1")
		if !ok || seen.Value != "off" || seen.Since != 1 {
			t.Errorf("%+v", seen)
		}
		// A change is expected: looks every quarter of a second at first, later at a
		// fortieth of the time that it has been expected.
		time.Sleep(10 * time.Minute)
		times := s.times()
		if times[1].Round(10*time.Millisecond) != 250*time.Millisecond {
			t.Errorf("the second look is after %v", times[1])
		}
		last := times[len(times)-1] - times[len(times)-2]
		if last < 14*time.Second || last > 16*time.Second {
			t.Errorf("after ten minutes a look every %v", last)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap > 16*time.Second {
				t.Errorf("a gap of %v", gap)
			}
		}
		if len(sub.Take()) != 0 {
			t.Error("told although nothing changed")
		}
		s.set("x1", "on")
		time.Sleep(16 * time.Second)
		if diff := cmp.Diff([]string{"x1"}, sub.Take()); diff != "" {
			t.Error(diff)
		}
		o.Watch("status", observe.Seldom, "x1")
		time.Sleep(time.Minute)
		s.times()
		time.Sleep(time.Minute)
		if n := len(s.times()); n < 3 || n > 5 {
			t.Errorf("%d looks in a minute at a node of which nothing is expected", n)
		}
		o.Forget("status", "x1")
		s.times()
		time.Sleep(time.Minute)
		if n := len(s.times()); n != 0 {
			t.Errorf("%d looks at a node that nobody wants", n)
		}
		if _, ok := o.Get("x1"); ok {
			t.Error("an old look is remembered")
		}
	})
}

func TestLooksAreInChunks(t *testing.T) {
	run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
		for i := range 1050 {
			o.Watch("status", observe.Now, fmt.Sprintf("x%d", i))
		}
		time.Sleep(200 * time.Millisecond)
		sizes, most := s.counts()
		if most != 1 {
			t.Errorf("%d requests at once", most)
		}
		total := 0
		for _, n := range sizes {
			if total += n; n > 100 {
				t.Errorf("a request about %d nodes", n)
			}
		}
		if total != 1050 {
			t.Errorf("%d looks at 1,050 nodes", total)
		}
		// From then on those that are due at about the same time go together.
		time.Sleep(250 * time.Millisecond)
		if sizes, _ = s.counts(); len(sizes) < 11 || len(sizes) > 13 {
			t.Errorf("%d requests for a second look at 1,050 nodes", len(sizes))
		}
	})
}

func TestTwoOwners(t *testing.T) {
	run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
		o.Watch("status", observe.Seldom, "x1")
		o.Watch("configuration", observe.Now, "x1")
		time.Sleep(100 * time.Millisecond)
		o.ForgetAll("configuration")
		if _, ok := o.Get("x1"); !ok {
			t.Error("forgotten although the other owner still wants it")
		}
		s.times()
		time.Sleep(14 * time.Second)
		if n := len(s.times()); n > 2 {
			t.Errorf("%d looks after the hurried owner left", n)
		}
	})
}

func TestServiceAway(t *testing.T) {
	run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
		sub := o.Subscribe()
		defer sub.Close()
		s.fail(bos.Unavailable("pcs", errors.New("inside")))
		o.Watch("status", observe.Now, "x1")
		time.Sleep(time.Second)
		if _, away := o.Away(); away {
			t.Error("away after a second")
		}
		time.Sleep(5 * time.Second)
		away, is := o.Away()
		if !is || away.Service != "pcs" || !strings.Contains(away.Text, "pcs") || strings.Contains(away.Text, "inside") {
			t.Errorf("%v %+v", is, away)
		}
		if len(sub.Take()) != 1 {
			t.Error("who asked is not told that it takes longer")
		}
		// Whatever happens meanwhile, it is asked once a second.
		s.times()
		for range 100 {
			o.Watch("status", observe.Now, "x1")
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(s.times()); n > 11 {
			t.Errorf("%d questions in 10 s to a service that is away", n)
		}
		s.fail(nil)
		s.set("x1", "on")
		o.Retry()
		time.Sleep(10 * time.Millisecond)
		if seen, ok := o.Get("x1"); !ok || seen.Value != "on" {
			t.Errorf("not asked again at once: %+v", seen)
		}
		if _, is := o.Away(); is {
			t.Error("still away")
		}
	})
}

// A node that is missing from the answer is one of which nothing is known.
// A service that was slow for a while is looked at as before soon after it is
// quick again, whether it answered late or not at all.
func TestQuickAgain(t *testing.T) {
	for _, fault := range []error{nil, bos.Unavailable("pcs", errors.New("inside"))} {
		run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
			slow := func(takes time.Duration, err error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.takes, s.err = takes, err
			}
			o.Watch("status", observe.Often, "x1")
			time.Sleep(5 * time.Second)
			slow(10*time.Second, fault)
			time.Sleep(95 * time.Second)
			slow(0, nil)
			s.set("x1", "on")
			sub := o.Subscribe()
			defer sub.Close()
			healed := time.Now()
			<-sub.C()
			// What is under way is waited for, and the next look is soon.
			if took := time.Since(healed); took > 15*time.Second {
				t.Errorf("seen %v after it was quick again", took)
			}
			s.times()
			time.Sleep(20 * time.Second)
			if n := len(s.times()); n < 12 {
				t.Errorf("%d looks in 20 s", n)
			}
		})
	}
}

func TestMissingFromTheAnswer(t *testing.T) {
	run(t, func(t *testing.T, s *service, o *observe.Observer[string]) {
		s.set("x1", "on")
		o.Watch("status", observe.Now, "x1")
		o.Watch("status", observe.Now, "x2")
		time.Sleep(100 * time.Millisecond)
		if seen, ok := o.Get("x2"); !ok || seen.Value != "" {
			t.Errorf("%v %+v", ok, seen)
		}
	})
}

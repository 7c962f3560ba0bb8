// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakerOpensAfterFiveFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 4)
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Fatal(err)
		}
		fail(t, s, sc, read, 5)
		before := sc.count()
		e := asError(t, do(t, s, read))
		if sc.count() != before {
			t.Error("a request went out through an open breaker")
		}
		if e.Kind != Away || e.MaybeDone || e.Status != 0 {
			t.Errorf("got %+v, want away, not done, no status", e)
		}
		if h := s.Health(); !h.ReadsAway || h.WritesAway || h.LastError != "status 500: no luck" {
			t.Errorf("health %+v", h)
		}
	})
}

func TestBreakersOfReadsAndWritesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, write, 5)
		sc.set(status(400))
		if err := do(t, s, read); !IsRefused(err) {
			t.Errorf("read: got %v, want refused by the service", err)
		}
	})
}

func TestRefusalsDoNotOpenABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 4)
		sc.set(status(404))
		for range 20 {
			if err := do(t, s, read); !IsRefused(err) {
				t.Fatalf("got %v", err)
			}
		}
		fail(t, s, sc, read, 4)
		if s.Health().Away() {
			t.Error("refusals did not break the row of failures")
		}
	})
}

func TestBreakerWaitsDoubleUpToTwoSeconds(t *testing.T) {
	for _, scale := range []float64{0, 1, 0.01} {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{TimeScale: scale})
			if scale == 0 {
				scale = 1
			}
			fail(t, s, sc, read, 5)
			for _, seconds := range []float64{1, 2, 2, 2} {
				wait := time.Duration(seconds * scale * float64(time.Second))
				if got := time.Until(s.Health().NextProbe); got != wait {
					t.Fatalf("next probe in %v, want %v", got, wait)
				}
				before := sc.count()
				time.Sleep(wait - 1)
				_ = do(t, s, read)
				if sc.count() != before {
					t.Fatalf("probed before %v", wait)
				}
				time.Sleep(time.Nanosecond)
				_ = do(t, s, read)
				if sc.count() != before+1 {
					t.Fatalf("%d probes after %v, want 1", sc.count()-before, wait)
				}
			}
			sc.set(nil)
			time.Sleep(time.Duration(2 * scale * float64(time.Second)))
			if err := do(t, s, read); err != nil {
				t.Fatal(err)
			}
			if s.Health().Away() {
				t.Error("still away after a good probe")
			}
			// The wait begins anew.
			fail(t, s, sc, read, 5)
			if got, want := time.Until(s.Health().NextProbe), time.Duration(scale*float64(time.Second)); got != want {
				t.Errorf("next probe in %v, want %v", got, want)
			}
		})
	}
}

func TestOneProbeAtATimeWithoutRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 5)
		time.Sleep(time.Second)
		before := sc.count()
		sc.set(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(503, "", ""), nil
		})
		done := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := s.Do(t.Context(), read, nil)
				done <- err
			}()
		}
		for range 10 {
			if err := <-done; !IsAway(err) {
				t.Errorf("got %v", err)
			}
		}
		if got := sc.count() - before; got != 1 {
			t.Errorf("%d requests, want one probe", got)
		}
	})
}

func TestCanceledProbeLeavesThePlaceToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 5)
		time.Sleep(time.Second)
		sc.set(hang)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Millisecond)
			cancel()
		}()
		_, err := s.Do(ctx, read, nil)
		if e := asError(t, err); e.Kind != Canceled {
			t.Fatalf("got %v, want canceled", e.Kind)
		}
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Errorf("the next probe: %v", err)
		}
		if s.Health().Away() {
			t.Error("still away")
		}
	})
}

func TestLateFailuresAreNoProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{Timeout: func() time.Duration { return time.Minute }})
		late := make(chan int)
		sc.set(func(*http.Request) (*http.Response, error) { return reply(<-late, "", ""), nil })
		done := make(chan error)
		for range 2 {
			go func() {
				_, err := s.Do(t.Context(), read, nil)
				done <- err
			}()
		}
		synctest.Wait()
		fail(t, s, sc, read, 5)
		next := s.Health().NextProbe
		late <- 500
		<-done
		if got := s.Health().NextProbe; !got.Equal(next) {
			t.Errorf("a late failure moved the next probe from %v to %v", next, got)
		}
		// But a late answer shows that the service is there.
		late <- 404
		<-done
		if got := s.Health().NextProbe; got.After(time.Now()) {
			t.Errorf("next probe at %v after a sign of life", got)
		}
		if !s.Health().ReadsAway {
			t.Error("a call from before the failures closed the breaker")
		}
	})
}

func TestReadSuccessLetsWritesTryAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		var got []Health
		s.OnChange(func(h Health) { got = append(got, h) })
		fail(t, s, sc, write, 5)
		if err := do(t, s, write); !IsAway(err) {
			t.Fatal(err)
		}
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Fatal(err)
		}
		if h := s.Health(); !h.WritesAway || h.NextProbe.After(time.Now()) {
			t.Errorf("health after a good read: %+v", h)
		}
		if err := do(t, s, write); err != nil {
			t.Errorf("write after a good read: %v", err)
		}
		if len(got) != 3 {
			t.Fatalf("got %d changes %+v, want away, sign of life, back", len(got), got)
		}
		if !got[0].WritesAway || !got[1].WritesAway || got[2].Away() || !got[2].Since.IsZero() {
			t.Errorf("changes %+v", got)
		}
	})
}

func TestProbeThatFailsAfterASignOfLifeWaitsLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, write, 5)
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Fatal(err)
		}
		fail(t, s, sc, write, 1)
		if got := time.Until(s.Health().NextProbe); got != 2*time.Second {
			t.Errorf("next probe in %v, want 2s", got)
		}
	})
}

// Reads that work and writes that don't, with somebody who tries both at every
// sign of life, must not become a busy loop.
func TestSignsOfLifeAreNotBelievedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		writes, readsWork := 0, true
		sc.set(func(r *http.Request) (*http.Response, error) {
			if r.Method == write.Method {
				writes++
				return reply(500, "", ""), nil
			}
			if !readsWork {
				return reply(500, "", ""), nil
			}
			return reply(200, "", "{}"), nil
		})
		pass := func(n int) {
			for range n {
				_ = do(t, s, read)
				_ = do(t, s, write)
				time.Sleep(100 * time.Millisecond)
			}
		}
		pass(600)
		// Five to open it, one for the sign of life, and one every two seconds.
		if writes != 35 {
			t.Errorf("%d writes in a minute", writes)
		}
		readsWork = false
		pass(1)
		readsWork = true
		before := writes
		pass(1)
		if writes != before+1 {
			t.Errorf("%d writes after the reads came back, want 1", writes-before)
		}
	})
}

func TestHooksMayUseTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		var states []bool
		s.OnChange(func(h Health) {
			states = append(states, h.Away())
			if h.Away() {
				sc.set(nil)
				time.Sleep(time.Second)
				if _, err := s.Do(t.Context(), read, nil); err != nil {
					t.Errorf("from a hook: %v", err)
				}
			}
		})
		fail(t, s, sc, read, 5)
		if len(states) != 2 || !states[0] || states[1] {
			t.Errorf("states %v, want away and back", states)
		}
	})
}

func TestSinceIsTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		began := time.Now()
		for range 5 {
			fail(t, s, sc, read, 1)
			time.Sleep(time.Second)
		}
		if got := s.Health().Since; !got.Equal(began) {
			t.Errorf("since %v, want %v", got, began)
		}
	})
}

// A write of which no copies are made does not keep others from finding out
// whether the service is back.
func TestAnotherProbeGoesWhenOneIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, idempotent, 5)
		time.Sleep(time.Second)
		sc.set(hang)
		lost := make(chan error, 1)
		go func() {
			_, err := s.Do(t.Context(), idempotent, nil)
			lost <- err
		}()
		synctest.Wait()
		sc.set(nil)
		time.Sleep(2*time.Second - 1)
		if err := do(t, s, idempotent); !IsAway(err) {
			t.Errorf("beside a probe: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := do(t, s, idempotent); err != nil {
			t.Error(err)
		}
		if err := <-lost; !IsAway(err) || s.Health().Away() {
			t.Errorf("%v, %+v", err, s.Health())
		}
	})
}

// A command that must not be sent twice waits for its time-out. That reads are
// answered meanwhile is a reason to send others.
func TestASignOfLifeLetsAnotherProbeGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, write, 5)
		time.Sleep(time.Second)
		sc.set(hang)
		lost := make(chan error, 2)
		command := func() {
			_, err := s.Do(t.Context(), write, nil)
			lost <- err
		}
		go command()
		time.Sleep(5 * time.Second)
		if err := do(t, s, write); !IsAway(err) {
			t.Errorf("beside a probe: %v", err)
		}
		told := 0
		s.OnChange(func(Health) { told++ })
		sc.set(nil)
		if err := do(t, s, read); err != nil || told != 1 {
			t.Errorf("%v, told %d times", err, told)
		}
		// It is believed once.
		sc.set(hang)
		go command()
		synctest.Wait()
		sc.set(nil)
		before := sc.count()
		if err := do(t, s, read); err != nil {
			t.Error(err)
		}
		if err := do(t, s, write); !IsAway(err) || sc.count() != before+1 {
			t.Errorf("%v, %d requests", err, sc.count()-before)
		}
		// The first one's end says nothing any more, that of the second does.
		<-lost
		if next := s.Health().NextProbe; next.After(time.Now()) {
			t.Errorf("next probe at %v", next)
		}
		<-lost
		if wait := time.Until(s.Health().NextProbe); wait != 2*time.Second {
			t.Errorf("next probe in %v", wait)
		}
	})
}

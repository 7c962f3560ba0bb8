// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var late = Request{Operation: "store", Method: http.MethodPut, Path: "/thing", Body: 1, Write: true, Idempotent: true, LateOK: true}

// copies is a service whose requests are numbered, from 1 on.
type copies struct {
	*script
	n, inside, most, lost atomic.Int32
}

// answers has each request wait for a time, which depends on its number, and
// be answered with that number; a negative time is for ever.
func answers(sc *script, after func(n int) time.Duration) *copies {
	c := &copies{script: sc}
	sc.set(func(r *http.Request) (*http.Response, error) {
		n := c.n.Add(1)
		c.most.Store(max(c.most.Load(), c.inside.Add(1)))
		defer c.inside.Add(-1)
		wait := after(int(n))
		if wait < 0 {
			wait = time.Hour
		}
		select {
		case <-time.After(wait):
			return reply(200, "application/json", fmt.Sprintf(`{"n":%d}`, n)), nil
		case <-r.Context().Done():
			c.lost.Add(1)
			return nil, r.Context().Err()
		}
	})
	return c
}

type numbered struct {
	N int `json:"n"`
}

// sentAt are the times of the last n requests, after a time.
func (s *script) sentAt(begun time.Time, n int) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for _, at := range s.times[len(s.times)-n:] {
		out = append(out, at.Sub(begun))
	}
	return out
}

func TestAServiceThatIsWellGetsNoCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 4)
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Fatal(err)
		}
		fail(t, s, sc, write, 5)
		c := answers(sc, func(int) time.Duration { return 9 * time.Second })
		if err := do(t, s, read); err != nil {
			t.Error(err)
		}
		if c.n.Load() != 1 {
			t.Errorf("%d requests", c.n.Load())
		}
	})
}

func TestCopiesAreSpreadOverTheTimeOut(t *testing.T) {
	tests := []struct {
		timeout time.Duration
		scale   float64
		want    []time.Duration
	}{
		{10 * time.Second, 1, []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}},
		{20 * time.Second, 1, []time.Duration{0, 4 * time.Second, 8 * time.Second, 12 * time.Second, 16 * time.Second}},
		{5 * time.Second, 1, []time.Duration{0, 2 * time.Second, 4 * time.Second}},
		{10 * time.Second, 0.05, []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}},
		{time.Second, 0.05, []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond, 800 * time.Millisecond}},
	}
	for _, tt := range tests {
		for _, req := range []Request{read, late} {
			t.Run(fmt.Sprint(tt.timeout, tt.scale, req.Method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var sample Sample
					s, sc := newScripted(Config{
						Timeout: func() time.Duration { return tt.timeout }, TimeScale: tt.scale, Observe: func(got Sample) { sample = got },
					})
					fail(t, s, sc, req, 1)
					c := answers(sc, func(int) time.Duration { return -1 })
					begun := time.Now()
					var most atomic.Int32
					// Between the moments at which one is sent and another given up.
					for at := s.hedgePause(tt.timeout) / 2; at < tt.timeout; at += s.hedgePause(tt.timeout) {
						time.AfterFunc(at, func() { most.Store(max(most.Load(), c.inside.Load())) })
					}
					e := asError(t, do(t, s, req))
					if e.Kind != Away || !e.late || !e.MaybeDone || time.Since(begun) != tt.timeout {
						t.Errorf("%+v after %v", e, time.Since(begun))
					}
					if got := sc.sentAt(begun, int(c.n.Load())); !slices.Equal(got, tt.want) {
						t.Errorf("copies at %v, want %v", got, tt.want)
					}
					if sample.Hedges != len(tt.want)-1 || sample.Retries != 0 {
						t.Errorf("sample %+v", sample)
					}
					synctest.Wait()
					if most.Load() > hedgeLife+1 || len(s.slots) != 0 {
						t.Errorf("%d at once, %d turns still taken", most.Load(), len(s.slots))
					}
				})
			})
		}
	}
}

func TestTheFirstAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 1)
		c := answers(sc, func(n int) time.Duration {
			if n == 3 {
				return 500 * time.Millisecond
			}
			return -1
		})
		begun := time.Now()
		var out numbered
		if _, err := s.Do(t.Context(), read, &out); err != nil || out.N != 3 || time.Since(begun) != 4500*time.Millisecond {
			t.Errorf("%v, %+v after %v", err, out, time.Since(begun))
		}
		if c.n.Load() != 3 || c.lost.Load() != 2 || len(s.slots) != 0 {
			t.Errorf("%d requests, %d given up, %d turns taken", c.n.Load(), c.lost.Load(), len(s.slots))
		}
		if s.reads.mood() != well {
			t.Error("still suspect")
		}
	})
}

// What copies bring at the same moment must not get mixed up.
func TestCopiesDoNotShareAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 1)
		answers(sc, func(n int) time.Duration { return 6*time.Second - time.Duration(n-1)*2*time.Second })
		var out numbered
		if _, err := s.Do(t.Context(), read, &out); err != nil || out.N == 0 {
			t.Errorf("%v, %+v", err, out)
		}
		before := out
		time.Sleep(time.Minute)
		if out != before {
			t.Error("written after the call")
		}
	})
}

func TestARefusalCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, late, 1)
		var n atomic.Int32
		sc.set(func(r *http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				return hang(r)
			}
			return reply(400, "application/problem+json", `{"title":"no luck"}`), nil
		})
		begun := time.Now()
		if e := asError(t, do(t, s, late)); e.Kind != Refused || !e.MaybeDone || time.Since(begun) != 2*time.Second {
			t.Errorf("%+v after %v", e, time.Since(begun))
		}
	})
}

func TestTheMostTellingFailureCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sample Sample
		s, sc := newScripted(Config{Observe: func(got Sample) { sample = got }})
		fail(t, s, sc, read, 1)
		var n atomic.Int32
		sc.set(func(r *http.Request) (*http.Response, error) {
			switch n.Add(1) {
			case 2:
				return nil, errRefused()
			case 3:
				return status(503)(r)
			default:
				return hang(r)
			}
		})
		e := asError(t, do(t, s, read))
		// It is not repeated, since the service may be busy with the first one.
		if e.Status != 503 || e.Words != "no luck" || !e.MaybeDone || sample.Retries != 0 || n.Load() != 5 {
			t.Errorf("%+v, %d requests, %d retries", e, n.Load(), sample.Retries)
		}
	})
}

func TestNoCopiesOnceTheFirstHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 5)
		time.Sleep(time.Second)
		before := sc.count()
		sc.set(func(*http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return reply(503, "", ""), nil
		})
		begun := time.Now()
		if e := asError(t, do(t, s, read)); e.Status != 503 || time.Since(begun) != 5*time.Second || sc.count() != before+2 {
			t.Errorf("%v after %v, %d requests", e, time.Since(begun), sc.count()-before)
		}
	})
}

func TestWritesThatMustNotComeLateGetNoCopies(t *testing.T) {
	for _, req := range []Request{write, idempotent} {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{})
			fail(t, s, sc, req, 1)
			before := sc.count()
			sc.set(hang)
			if err := do(t, s, req); !IsAway(err) || sc.count() != before+1 {
				t.Errorf("%s: %v, %d requests", req.Operation, err, sc.count()-before)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 1)
		n := 0
		err := s.Run(t.Context(), read, func(ctx context.Context) (int, error) {
			n++
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !IsAway(err) || n != 1 {
			t.Errorf("a client's own library: %v, %d requests", err, n)
		}
	})
}

func TestCopiesTakeOnlyFreeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{Timeout: func() time.Duration { return 10 * time.Second }})
		fail(t, s, sc, read, 1)
		c := answers(sc, func(int) time.Duration { return -1 })
		done := make(chan error)
		for range maxInFlight - 1 {
			go func() {
				_, err := s.Do(t.Context(), read, nil)
				done <- err
			}()
		}
		time.Sleep(3 * time.Second)
		if c.n.Load() != maxInFlight {
			t.Errorf("%d requests", c.n.Load())
		}
		for range maxInFlight - 1 {
			<-done
		}
		if c.most.Load() != maxInFlight {
			t.Errorf("%d at once", c.most.Load())
		}
	})
}

// A probe that was lost finds out soon that the service is back.
func TestAProbeIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 5)
		time.Sleep(time.Second)
		begun := time.Now()
		answers(sc, func(int) time.Duration {
			if time.Since(begun) < 3*time.Second {
				return -1
			}
			return 0
		})
		errs := make(chan error, 1)
		go func() {
			_, err := s.Do(t.Context(), read, nil)
			errs <- err
		}()
		time.Sleep(time.Second)
		if err := do(t, s, read); !IsAway(err) {
			t.Errorf("beside a probe: %v", err)
		}
		if err := <-errs; err != nil || time.Since(begun) != 4*time.Second || s.Health().Away() {
			t.Errorf("%v after %v, %+v", err, time.Since(begun), s.Health())
		}
	})
}

// A call that began before the service was well again gets one copy more.
func TestOneCopyOnceItIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 1)
		c := answers(sc, func(n int) time.Duration {
			if n == 2 {
				return 0
			}
			return -1
		})
		errs := make(chan error, 1)
		go func() {
			_, err := s.Do(t.Context(), read, nil)
			errs <- err
		}()
		time.Sleep(time.Second)
		if err := do(t, s, read); err != nil {
			t.Error(err)
		}
		if err := <-errs; !IsAway(err) || c.n.Load() != 3 {
			t.Errorf("%v, %d requests", err, c.n.Load())
		}
	})
}

// A service that is merely slow gets no copies, which would make it slower. What
// began while it was gets one when something else was answered quickly.
func TestOneCopyWhenASlowServiceIsQuickAgain(t *testing.T) {
	for _, other := range []Request{read, write} {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{})
			answers(sc, func(int) time.Duration { return 9 * time.Second })
			if err := do(t, s, read); err != nil {
				t.Error(err)
			}
			c := answers(sc, func(int) time.Duration { return 9 * time.Second })
			begun := time.Now()
			took := make(chan time.Duration, 1)
			go func() {
				if _, err := s.Do(t.Context(), read, nil); err != nil {
					t.Error(err)
				}
				took <- time.Since(begun)
			}()
			time.Sleep(5 * time.Second)
			if c.n.Load() != 1 {
				t.Errorf("%d requests to a slow service", c.n.Load())
			}
			c = answers(sc, func(int) time.Duration { return 0 })
			if err := do(t, s, other); err != nil {
				t.Error(err)
			}
			if got := <-took; got != 6*time.Second || c.n.Load() != 2 {
				t.Errorf("after %v, %d requests", got, c.n.Load())
			}
		})
	}
}

func TestCopiesNeedLeave(t *testing.T) {
	refused := errors.New("no")
	tests := []struct {
		name string
		// leave says how long a copy may still go out, the n-th time.
		leave func(n int) (time.Duration, error)
		want  int32
	}{
		{"none is asked for", nil, 2},
		{"given each time", func(int) (time.Duration, error) { return time.Second, nil }, 5},
		{"too late", func(int) (time.Duration, error) { return 0, nil }, 1},
		{"taken back", func(n int) (time.Duration, error) {
			if n > 2 {
				return 0, refused
			}
			return time.Second, nil
		}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, sc := newScripted(Config{})
				fail(t, s, sc, late, 1)
				c := answers(sc, func(int) time.Duration { return -1 })
				n := 0
				var renew func(context.Context) (time.Time, error)
				if tt.leave != nil {
					renew = func(context.Context) (time.Time, error) {
						n++
						d, err := tt.leave(n)
						return time.Now().Add(d), err
					}
				}
				_, err := s.Do(SendBefore(t.Context(), time.Now().Add(3*time.Second), renew), late, nil)
				if !IsAway(err) || c.n.Load() != tt.want || len(s.slots) != 0 {
					t.Errorf("%v, %d requests, %d turns taken", err, c.n.Load(), len(s.slots))
				}
			})
		})
	}
}

func TestCallersMayGiveUpACallWithCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 1)
		c := answers(sc, func(int) time.Duration { return -1 })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		begun := time.Now()
		_, err := s.Do(ctx, read, nil)
		if e := asError(t, err); e.Kind != Canceled || time.Since(begun) != 5*time.Second || c.lost.Load() != 3 {
			t.Errorf("%v after %v, %d given up", e, time.Since(begun), c.lost.Load())
		}
	})
}

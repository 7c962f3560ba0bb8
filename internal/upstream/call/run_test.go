// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetries(t *testing.T) {
	lost := func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	garbage := func(*http.Request) (*http.Response, error) { return reply(200, "text/html", "<html>"), nil }
	tests := []struct {
		name string
		req  Request
		act  func(*http.Request) (*http.Response, error)
		want int
	}{
		{"read, refused connections", read, refuseConnections, 3},
		{"read, lost connections", read, lost, 3},
		{"read 502", read, status(502), 3},
		{"read 503", read, status(503), 3},
		{"read 504", read, status(504), 3},
		{"read 500", read, status(500), 1},
		{"read 429", read, status(429), 1},
		{"read 408", read, status(408), 1},
		{"read 404", read, status(404), 1},
		{"read 302", read, status(302), 1},
		{"read time-out", read, hang, 1},
		{"read garbage", read, garbage, 1},
		{"write, refused connections", write, refuseConnections, 1},
		{"write 503", write, status(503), 1},
		{"idempotent write, lost connections", idempotent, lost, 3},
		{"idempotent write 503", idempotent, status(503), 3},
		{"idempotent write time-out", idempotent, hang, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sample Sample
				s, sc := newScripted(Config{Observe: func(got Sample) { sample = got }})
				sc.set(tt.act)
				var out struct{}
				_, err := s.Do(t.Context(), tt.req, &out)
				if err == nil {
					t.Fatal("no error")
				}
				if sc.count() != tt.want {
					t.Errorf("%d requests, want %d", sc.count(), tt.want)
				}
				if sample.Retries != tt.want-1 || sample.Err == None || sample.Operation != tt.req.Operation {
					t.Errorf("sample %+v", sample)
				}
			})
		})
	}
}

func TestRetrySucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		tries := 0
		sc.set(func(*http.Request) (*http.Response, error) {
			if tries++; tries < 3 {
				return reply(503, "text/plain", "busy"), nil
			}
			return reply(200, "application/json", `{"a":7}`), nil
		})
		var out struct {
			A int `json:"a"`
		}
		if _, err := s.Do(t.Context(), read, &out); err != nil || out.A != 7 {
			t.Errorf("got %v, %v", out, err)
		}
	})
}

func TestBackoffGrowsWithJitter(t *testing.T) {
	for _, scale := range []float64{1, 0.1} {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{TimeScale: scale})
			sc.set(refuseConnections)
			_ = do(t, s, read)
			for i, step := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} {
				longest := time.Duration(scale * float64(step))
				if got := sc.gaps()[i]; got < longest/2 || got > longest {
					t.Errorf("wait %d is %v, want %v to %v", i, got, longest/2, longest)
				}
			}
		})
	}
}

func TestNoRetryBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		sc.set(refuseConnections)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := s.Do(ctx, read, nil)
		e := asError(t, err)
		if e.Kind != Away || e.Error() != "pcs look: connection refused" {
			t.Errorf("got %v (%v), want the connection's error", e, e.Kind)
		}
		if took := time.Since(start); took != 0 || sc.count() != 1 {
			t.Errorf("waited %v, %d requests", took, sc.count())
		}
	})
}

func TestMaybeDone(t *testing.T) {
	lost := func(*http.Request) (*http.Response, error) { return nil, io.EOF }
	tests := []struct {
		name string
		act  func(*http.Request) (*http.Response, error)
		kind Kind
		want bool
	}{
		{"connection refused", refuseConnections, Away, false},
		{"connection lost", lost, Away, true},
		{"time-out", hang, Away, true},
		{"500", status(500), Away, true},
		{"429", status(429), Away, false},
		{"400", status(400), Refused, false},
		{"garbage", func(*http.Request) (*http.Response, error) { return reply(200, "", "no"), nil }, Away, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, sc := newScripted(Config{})
				sc.set(tt.act)
				var out struct{}
				_, err := s.Do(t.Context(), write, &out)
				if e := asError(t, err); e.Kind != tt.kind || e.MaybeDone != tt.want {
					t.Errorf("got %v, maybe done %v; want %v, %v", e.Kind, e.MaybeDone, tt.kind, tt.want)
				}
			})
		})
	}
}

// A request that was lost after sending may have been carried out, even if the
// next one never left.
func TestMaybeDoneIsRememberedOverRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		sc.set(func(*http.Request) (*http.Response, error) {
			sc.set(refuseConnections)
			return nil, io.EOF
		})
		e := asError(t, do(t, s, idempotent))
		if !e.MaybeDone || sc.count() != 3 {
			t.Errorf("maybe done %v after %d requests", e.MaybeDone, sc.count())
		}
	})
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		option := 3 * time.Second
		s, sc := newScripted(Config{Timeout: func() time.Duration { return option }})
		sc.set(hang)
		measure := func(ctx context.Context, req Request) (time.Duration, *Error) {
			start := time.Now()
			_, err := s.Do(ctx, req, nil)
			return time.Since(start), asError(t, err)
		}
		if took, e := measure(t.Context(), read); took != 3*time.Second || e.Kind != Away {
			t.Errorf("%v after %v", e, took)
		}
		option = time.Second
		if took, _ := measure(t.Context(), read); took != time.Second {
			t.Errorf("a changed option took effect as %v", took)
		}
		longer := read
		longer.MinTimeout = 30 * time.Second
		if took, _ := measure(t.Context(), longer); took != 30*time.Second {
			t.Errorf("a request that needs 30s got %v", took)
		}
		option = 0
		if took, _ := measure(t.Context(), read); took != 10*time.Second {
			t.Errorf("the default is %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		took, e := measure(ctx, write)
		if took != 20*time.Millisecond || e.Kind != Away || !e.MaybeDone || e.Error() != "pcs change: no answer in time" {
			t.Errorf("at the caller's deadline: %v (%v) after %v", e, e.Kind, took)
		}
	})
}

func TestCancelledCallsAreNobodysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		sc.set(hang)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := s.Do(ctx, write, nil)
			if e := asError(t, err); e.Kind != Canceled || !e.MaybeDone || !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, %v", e.Kind, err)
			}
		}
		if s.Health().Away() {
			t.Error("callers that gave up opened the breaker")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := sc.count()
		_, err := s.Do(ctx, write, nil)
		if e := asError(t, err); e.Kind != Canceled || e.MaybeDone || sc.count() != before {
			t.Errorf("after the end: %+v, %d requests", e, sc.count()-before)
		}
	})
}

func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		let := make(chan struct{})
		sc.set(func(*http.Request) (*http.Response, error) {
			<-let
			return reply(200, "", "{}"), nil
		})
		done := make(chan error, 20)
		for range 20 {
			go func() {
				_, err := s.Do(t.Context(), read, nil)
				done <- err
			}()
		}
		synctest.Wait()
		if got := sc.count(); got != 8 {
			t.Fatalf("%d requests in flight, want 8", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Do(ctx, read, nil)
		if e := asError(t, err); e.Kind != Canceled || e.MaybeDone || time.Since(start) != time.Second {
			t.Errorf("waiting for a turn: %v (%v) after %v", e, e.Kind, time.Since(start))
		}
		let <- struct{}{}
		synctest.Wait()
		if got := sc.count(); got != 9 {
			t.Errorf("%d requests after one answer, want 9", got)
		}
		close(let)
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// While a service hangs, those who wait for a turn must not each wait a
// time-out once the breaker is open.
func TestQueueDrainsWhenTheBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		sc.set(hang)
		done := make(chan error, 100)
		start := time.Now()
		for range 100 {
			go func() {
				_, err := s.Do(t.Context(), read, nil)
				done <- err
			}()
		}
		for range 100 {
			if err := <-done; !IsAway(err) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(start); took > 2*defaultTimeout {
			t.Errorf("100 calls to a service that hangs took %v", took)
		}
	})
}

func TestPanicInAnAttemptFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := newScripted(Config{})
		fail(t, s, sc, read, 5)
		time.Sleep(time.Second)
		sc.set(func(*http.Request) (*http.Response, error) { panic("boom") })
		for range 20 {
			func() {
				defer func() { _ = recover() }()
				_ = do(t, s, read)
			}()
		}
		sc.set(nil)
		if err := do(t, s, read); err != nil {
			t.Error(err)
		}
	})
}

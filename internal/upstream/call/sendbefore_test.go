// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func send(t *testing.T, s *Service, req Request, within time.Duration) error {
	t.Helper()
	_, err := s.Do(SendBefore(t.Context(), time.Now().Add(within), nil), req, nil)
	return err
}

func TestSendBefore(t *testing.T) {
	t.Run("in time, a slow answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{})
			sc.set(func(*http.Request) (*http.Response, error) {
				time.Sleep(5 * time.Second)
				return reply(200, "application/json", "{}"), nil
			})
			if err := send(t, s, write, time.Second); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{})
			err := send(t, s, write, 0)
			if e := asError(t, err); !errors.Is(err, ErrTooLate) || e.Kind != Canceled || e.MaybeDone || sc.count() != 0 {
				t.Errorf("%v, %d requests", err, sc.count())
			}
		})
	})
	t.Run("over while others take all turns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{Timeout: func() time.Duration { return time.Minute }})
			sc.set(hang)
			for range maxInFlight {
				go func() { _, _ = s.Do(t.Context(), read, nil) }()
			}
			synctest.Wait()
			sc.set(nil)
			if err := send(t, s, write, 5*time.Second); !errors.Is(err, ErrTooLate) || sc.count() != maxInFlight {
				t.Errorf("%v, %d requests", err, sc.count())
			}
		})
	})
	t.Run("no repetition too late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, sc := newScripted(Config{})
			sc.set(status(503))
			err := send(t, s, idempotent, 40*time.Millisecond)
			if e := asError(t, err); e.Kind != Away || sc.count() != 1 {
				t.Errorf("%v, %d requests", err, sc.count())
			}
		})
	})
	t.Run("no connection in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dial := func(context.Context, string, string) (net.Conn, error) {
				<-ctx.Done()
				return nil, errRefused()
			}
			s := New(Config{Name: "pcs", BaseURL: "http://pcs", Transport: &http.Transport{DialContext: dial}})
			begun := time.Now()
			err := send(t, s, write, 3*time.Second)
			if e := asError(t, err); e.Kind != Away || e.MaybeDone || time.Since(begun) != 3*time.Second {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
		})
	})
}

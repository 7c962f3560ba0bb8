// SPDX-License-Identifier: MIT

package clock_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"bos/internal/clock"
	"bos/internal/store"
	"bos/internal/store/mem"
)

func TestClockFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(1)
		start := c.Now()
		time.Sleep(3 * time.Second)
		if got := c.Now().Sub(start); got != 3*time.Second {
			t.Errorf("3 s took %v", got)
		}
		c.Follow(start)
		if got := c.Now().Sub(start); got != 3*time.Second {
			t.Errorf("an old reading set the clock back to %v", got)
		}
		c.Follow(start.Add(time.Hour))
		time.Sleep(time.Second)
		if got := c.Now().Sub(start); got != time.Hour+time.Second {
			t.Errorf("a later reading was not followed: %v", got)
		}
		if got := c.Until(c.Now().Add(time.Minute)); got != time.Minute {
			t.Errorf("until a minute from now: %v", got)
		}
		if got := c.Until(start); got != 0 {
			t.Errorf("until the past: %v", got)
		}
	})
}

func TestClockRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(100)
		start := c.Now()
		time.Sleep(time.Second)
		if got := c.Now().Sub(start); got != 100*time.Second {
			t.Errorf("a second took %v", got)
		}
		if got := c.Until(c.Now().Add(time.Minute)); got != 600*time.Millisecond {
			t.Errorf("until a minute from now: %v", got)
		}
	})
}

// The clock goes on where it stood when nobody kept it.
func TestClockSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.New(mem.New())
		defer func() { _ = s.Close() }()
		first := clock.New(1)
		l, err := s.Campaign(t.Context(), clock.Role, "one")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			first.Keep(t.Context(), s, l, slog.New(slog.DiscardHandler))
		}()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		kept := first.Now()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-done
		time.Sleep(time.Hour)
		kv, err := s.Get(t.Context(), store.KeyClock)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := clock.Decode(kv.Value)
		if err != nil {
			t.Fatal(err)
		}
		second := clock.New(1)
		second.Follow(stored)
		if lost := kept.Sub(second.Now()); lost < 0 || lost > time.Second {
			t.Errorf("the clock lost %v in a restart", lost)
		}
	})
}

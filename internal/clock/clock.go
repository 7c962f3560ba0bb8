// SPDX-License-Identifier: MIT

// Package clock keeps the fleet's one clock. Waits are measured on it: its
// reading is stored once a second by whoever leads the role, every process
// follows it by its own monotonic clock, and it stands still while no process
// is up. A machine's wall clock plays no part.
package clock

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
)

// Role is the role whose leader stores the clock's reading.
const Role = "clock"

// heartbeat is how often the reading is stored; a crash of everything loses at
// most that much of every wait's progress.
const heartbeat = time.Second

// Clock is one process's view of the fleet's clock. The zero value is not
// usable; see [New].
type Clock struct {
	rate float64

	mu   sync.Mutex
	base bos.Instant
	at   time.Time
}

// New returns a clock at its beginning that runs rate times as fast as time: 1,
// or more with a simulated site whose hardware is sped up by as much.
func New(rate float64) *Clock {
	if rate <= 0 {
		rate = 1
	}
	// Instant 0 means never.
	return &Clock{rate: rate, base: 1, at: time.Now()}
}

// Now returns the present instant.
func (c *Clock) Now() bos.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() bos.Instant {
	elapsed := float64(time.Since(c.at)) * c.rate
	return c.base.Add(time.Duration(elapsed))
}

// Until returns how long to wait, in time, until an instant: 0 if it is past.
func (c *Clock) Until(i bos.Instant) time.Duration {
	return max(0, c.Real(i.Sub(c.Now())))
}

// Real turns a duration on this clock into one of time.
func (c *Clock) Real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.rate)
}

// Rate returns how many times as fast as time the clock runs.
func (c *Clock) Rate() float64 { return c.rate }

// Follow takes note of a stored reading: the clock never runs behind it.
func (c *Clock) Follow(stored bos.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); stored > now {
		c.base, c.at = stored, time.Now()
	}
}

// Reading is the stored document.
type Reading struct {
	Instant bos.Instant `json:"instant"`
}

// Decode reads the stored document.
func Decode(value []byte) (bos.Instant, error) {
	var r Reading
	if err := json.Unmarshal(value, &r); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return r.Instant, nil
}

// Keep stores the clock's reading once a second for as long as the leadership
// holds and ctx lasts.
func (c *Clock) Keep(ctx context.Context, s *store.Store, l store.Leadership, log *slog.Logger) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	fence := l.Fence()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.Lost():
			return
		case <-ticker.C:
		}
		if _, err := s.PutDoc(ctx, store.KeyClock, Reading{c.Now()}, &fence); err != nil && ctx.Err() == nil {
			log.Warn("the clock's reading could not be stored", slog.Any("error", err))
		}
	}
}

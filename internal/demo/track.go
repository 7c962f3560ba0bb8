// SPDX-License-Identifier: MIT

package demo

import (
	"fmt"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/xname"
)

// tracker remembers what was seen of the components of one session while BOS
// drove them.
type tracker struct {
	// patience is how long nothing may change about a component, in real time.
	patience time.Duration
	seen     map[string]*sighting
	// known says that all components in flight have been seen at least once.
	known bool
}

// sighting is what was seen of one component.
type sighting struct {
	flying bool
	status bos.StatusName
	// stamp is everything that changes while BOS gets anywhere with it.
	stamp string
	since time.Time
	// cancelled is the status in which it was given up.
	cancelled bos.StatusName
}

func newTracker(stuck time.Duration, scale float64) *tracker {
	return &tracker{patience: time.Duration(float64(stuck) * scale), seen: map[string]*sighting{}}
}

// note takes note of a look.
func (t *tracker) note(l look, now time.Time) {
	shown := make(map[string]bool, len(l.inFlight))
	last := l.from
	for i := range l.inFlight {
		c := &l.inFlight[i]
		shown[c.ID] = true
		last = c.ID
		t.sight(c, now)
	}
	for id, s := range t.seen {
		if s.flying && !shown[id] && id > l.from && (l.whole || id <= last) {
			s.flying = false
		}
	}
	if l.whole && l.from == "" || l.status.Status == bos.SessionComplete {
		t.known = l.status.Status != bos.SessionPending
	}
}

func (t *tracker) sight(c *bos.Component, now time.Time) {
	s := t.seen[c.ID]
	if s == nil {
		s = &sighting{}
		t.seen[c.ID] = s
	}
	stats := c.EventStats.Value()
	stamp := fmt.Sprint(c.StatusNow(), c.Error.Value(), stats.Attempts(bos.ActionPoweringOn),
		stats.Attempts(bos.ActionPoweringOffGracefully), stats.Attempts(bos.ActionPoweringOffForcefully))
	if !s.flying || s.stamp != stamp {
		s.flying, s.stamp, s.since = true, stamp, now
	}
	s.status = c.StatusNow()
}

// inFlight returns the components that BOS is not done with; nil while not all
// of them have been seen.
func (t *tracker) inFlight() []string {
	if !t.known {
		return nil
	}
	ids := []string{}
	for id, s := range t.seen {
		if s.flying {
			ids = append(ids, id)
		}
	}
	return ids
}

// giveUp returns the components about which nothing has changed for longer than
// BOS waits for anything, and counts them as given up.
func (t *tracker) giveUp(now time.Time) []string {
	var ids []string
	for id, s := range t.seen {
		if s.flying && now.Sub(s.since) > t.patience {
			s.cancelled, s.since = s.status, now
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, xname.Compare)
	return ids
}

// SPDX-License-Identifier: MIT

package cli

import (
	"fmt"
	"time"
)

const (
	// paceWindow is the time that counts for the pace of a session at the
	// least; it grows with the session, so that a short rest of a long one does
	// not make it look endless.
	paceWindow = 30 * time.Second
	// paceSamples bounds what is remembered of a session.
	paceSamples = 256
)

// pace is how fast a session gets its nodes through, measured from what was
// seen of it. Nodes boot side by side, so there is no pace before the first is
// through.
type pace struct {
	// start is when the session began.
	start   time.Time
	samples []sample
}

// leastRest is how long no node gets through until that is worth a word.
const leastRest = 15 * time.Second

// sample is how many nodes were through at a time.
type sample struct {
	at   time.Time
	done int
}

// see notes how many nodes are through.
func (p *pace) see(at time.Time, done int) {
	if n := len(p.samples); n > 0 {
		last := &p.samples[n-1]
		if done < last.done {
			// It began anew.
			p.samples = nil
		} else if done == last.done {
			return
		}
	}
	p.samples = append(p.samples, sample{at, done})
	if len(p.samples) > paceSamples {
		// Every second one is enough of what is long ago.
		kept := p.samples[:0]
		for i, s := range p.samples {
			if i%2 == 0 || i >= paceSamples/2 {
				kept = append(kept, s)
			}
		}
		p.samples = kept
	}
}

// leastPace is how long nodes must have been seen to get through for a pace.
const leastPace = 2 * time.Second

// rate returns how many nodes get through in a second, or 0 while that can't be
// told: before the first is through, and when none has been for a while.
func (p *pace) rate(now time.Time) float64 {
	if len(p.samples) == 0 {
		return 0
	}
	// It counts from when the first was through, or from where the window
	// begins.
	window := max(paceWindow, now.Sub(p.start)/4)
	var base *sample
	for i := range p.samples {
		s := &p.samples[i]
		if s.done > 0 && (base == nil || now.Sub(s.at) >= window) {
			base = s
		}
	}
	if base == nil {
		return 0
	}
	last := p.samples[len(p.samples)-1]
	if took := now.Sub(base.at); last.done > base.done && took >= leastPace {
		return float64(last.done-base.done) / took.Seconds()
	}
	// Who comes late to a session has nothing but its age at first.
	first := p.samples[0]
	if late := base.at.Equal(first.at) && now.Sub(base.at) < window; late && base.at.Sub(p.start) >= leastPace {
		return float64(last.done) / now.Sub(p.start).Seconds()
	}
	return 0
}

// rest returns how long no node has got through, if some have; 0 if that is
// nothing to speak of.
func (p *pace) rest(now time.Time) time.Duration {
	n := len(p.samples)
	if n == 0 || p.samples[n-1].done == 0 {
		return 0
	}
	if d := now.Sub(p.samples[n-1].at); d >= leastRest {
		return d
	}
	return 0
}

// left returns how long so many nodes more will take at this pace. It is false
// while that can't be told.
func (p *pace) left(now time.Time, nodes int) (time.Duration, bool) {
	if nodes <= 0 {
		return 0, true
	}
	rate := p.rate(now)
	if rate == 0 {
		return 0, false
	}
	seconds := float64(nodes) / rate
	if now.Sub(p.samples[len(p.samples)-1].at).Seconds() > 2*seconds+leastPace.Seconds() {
		// Those that are left are not like those before.
		return 0, false
	}
	const most = 100 * 24 * 3600
	return time.Duration(min(seconds, most) * float64(time.Second)), true
}

// roughly says a duration as people would: 45s, 1m05s, 2h10m.
func roughly(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

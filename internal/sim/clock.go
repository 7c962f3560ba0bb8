// SPDX-License-Identifier: MIT

package sim

import (
	"container/heap"
	"time"
)

// event is something that will happen at the site. run is called with the
// site's lock held.
type event struct {
	at  time.Duration
	seq uint64
	run func()
}

// events is a heap by time; seq keeps events of one moment in order.
type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds an event, for container/heap.
func (h *events) Push(x any) { *h = append(*h, x.(event)) }

// Pop removes the last event, for container/heap.
func (h *events) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return last
}

// maxEventsPerTurn bounds how long the clock holds the lock while requests wait.
const maxEventsPerTurn = 512

// now is the time since the site was created.
func (s *Site) now() time.Duration { return time.Since(s.t0) }

// wall turns a site time into the time that messages show.
func (s *Site) wall(at time.Duration) time.Time { return s.t0.Add(at).UTC() }

// scaled multiplies a faithful duration with the site's time scale.
func (s *Site) scaled(d time.Duration) time.Duration { return scaleBy(d, s.cfg.TimeScale) }

// after lets run happen in d (already scaled). The lock must be held.
func (s *Site) after(d time.Duration, run func()) {
	s.seq++
	e := event{at: s.now() + max(d, 0), seq: s.seq, run: run}
	heap.Push(&s.events, e)
	if s.events[0].seq == e.seq {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// startClock starts the goroutine that lets time pass, once. Without it nothing
// happens at the site by itself.
func (s *Site) startClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticking || s.closed {
		return
	}
	s.ticking = true
	s.wg.Go(s.runClock)
}

func (s *Site) runClock() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, due := s.runDueEvents()
		if due && s.ctx.Err() == nil {
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// runDueEvents runs events whose time has come and returns how long to wait for
// the next one; due is true where more of them are waiting already.
func (s *Site) runDueEvents() (wait time.Duration, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range maxEventsPerTurn {
		if len(s.events) == 0 {
			return time.Hour, false
		}
		if wait = s.events[0].at - s.now(); wait > 0 {
			return wait, false
		}
		heap.Pop(&s.events).(event).run()
	}
	return 0, true
}

// mix is a 64-bit finalizer: close inputs give unrelated outputs.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// purpose keeps the random numbers of one node apart.
type purpose uint64

const (
	purposeSoftOff purpose = iota + 1
	purposeBoot
	purposeConfigure
	purposeReport
	purposeFault
	purposeImage
)

// draw returns a number in [0, 1) that depends on the seed, the node and the
// purpose alone.
func (s *Site) draw(i int32, p purpose) float64 {
	h := mix(s.cfg.Seed ^ mix(uint64(p)<<32|uint64(uint32(i))))
	return float64(h>>11) / (1 << 53)
}

// spread returns the node's own duration between lo and hi.
func (s *Site) spread(i int32, p purpose, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(s.draw(i, p)*float64(hi-lo))
}

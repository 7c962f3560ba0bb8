// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
)

// carryOut starts a session and follows it until it is complete. Nodes about
// which nothing changes any more are given up, so that it always ends.
func (d *Demo) carryOut(ctx context.Context, index int, s step) (Operation, error) {
	d.show(func(p *Progress) { p.begin(index) })
	seen := d.witness(s.session)
	defer seen.close()
	begun := time.Now()
	if err := d.createSession(ctx, s); err != nil {
		return Operation{}, err
	}
	meter := d.measure(begun)
	defer meter.stop()
	log := newTracker(d.waits.stuck, d.cfg.TimeScale)
	if err := d.follow(ctx, index, s, log, seen, meter); err != nil {
		return Operation{}, err
	}
	seconds, hardware := time.Since(begun).Seconds(), meter.stop().Seconds()
	session, err := d.session(ctx, s.session)
	if err != nil {
		return Operation{}, err
	}
	comps, err := d.components(ctx, url.Values{"session": {s.session}})
	if err != nil {
		return Operation{}, fmt.Errorf("list what became of the components: %w", err)
	}
	result := judge(s, d.nodes, d.faults, session, comps, log, seen, d.site.Node)
	result.Seconds, result.HardwareSeconds = seconds, hardware
	d.show(func(p *Progress) { p.end(index, result) })
	return result, nil
}

// follow looks at a session until it is complete.
func (d *Demo) follow(ctx context.Context, index int, s step, log *tracker, seen *witness, meter *meter) error {
	after := ""
	for {
		l, err := d.look(ctx, s.session, after)
		if err != nil {
			return err
		}
		now := time.Now()
		log.note(l, now)
		meter.about(log.inFlight())
		total, hardware := meter.so()
		d.show(func(p *Progress) { p.look(index, l, total, hardware) })
		if l.status.Status == bos.SessionComplete {
			return nil
		}
		if stuck := log.giveUp(now); len(stuck) > 0 {
			if err := d.cancel(ctx, stuck); err != nil {
				return err
			}
		}
		after = ""
		if !l.whole {
			after = l.inFlight[len(l.inFlight)-1].ID
		}
		if err := seen.pause(ctx, pauseAfter(l.took)); err != nil {
			return err
		}
	}
}

// meter measures for how much of an operation the simulated hardware was at
// work for a node that the operation wasn't done with.
type meter struct {
	begun   time.Time
	site    *sim.Site
	broken  map[string]sim.Fault
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup

	mu       sync.Mutex
	nodes    []string
	hardware time.Duration
}

// meterEvery is how often the meter looks at the site; with many nodes less
// often, so that looking takes no more than a part (meterShare) of the time.
const (
	meterEvery = 10 * time.Millisecond
	meterShare = 50
)

func (d *Demo) measure(begun time.Time) *meter {
	m := &meter{begun: begun, site: d.site, broken: d.faults, done: make(chan struct{}), nodes: d.nodes}
	m.running.Go(m.run)
	return m
}

func (m *meter) run() {
	timer := time.NewTimer(meterEvery)
	defer timer.Stop()
	last := m.begun
	for {
		select {
		case <-m.done:
			return
		case <-timer.C:
		}
		m.mu.Lock()
		nodes := m.nodes
		m.mu.Unlock()
		looked := time.Now()
		working := m.atWork(nodes)
		now := time.Now()
		timer.Reset(max(meterEvery, meterShare*now.Sub(looked)))
		m.mu.Lock()
		if working {
			m.hardware += now.Sub(last)
		}
		m.mu.Unlock()
		last = now
	}
}

// atWork reports whether hardware is what is waited for. A broken node that BOS
// has not given up counts: it is waited for in vain.
func (m *meter) atWork(nodes []string) bool {
	for _, n := range nodes {
		if _, broken := m.broken[n]; broken {
			return true
		}
	}
	return m.site.Working(nodes)
}

// about says which nodes the operation is not done with.
func (m *meter) about(nodes []string) {
	if nodes == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = nodes
}

// so returns how long the operation takes so far, and how much of that was
// hardware.
func (m *meter) so() (total, hardware time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.begun), m.hardware
}

// stop ends the measuring and returns how much of the time was hardware.
func (m *meter) stop() time.Duration {
	m.stopped.Do(func() { close(m.done) })
	m.running.Wait()
	_, hardware := m.so()
	return hardware
}

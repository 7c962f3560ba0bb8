// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bos/internal/bos"
	"bos/internal/view"
)

const (
	// maxShownSessions bounds how many running sessions have series of their own:
	// those that began last.
	maxShownSessions = 20
	// countedFor is how long the counts of running sessions are used again: two
	// scrapers cost no more than one.
	countedFor = 5 * time.Second
)

// progress measures how long nodes stay in phases, and sessions take, as the view
// shows it. Every process sees all of the fleet, whoever operates it.
type progress struct {
	phases   *prometheus.HistogramVec
	sessions *prometheus.HistogramVec
}

func newProgress() progress {
	return progress{
		// From a second to 4.5 hours.
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bos_phase_seconds", Help: "Time that components were in a phase, by its status and whether they failed in it.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 15),
		}, []string{"phase", "failed"}),
		// From 15 seconds to 8.5 hours.
		sessions: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bos_session_seconds", Help: "Time from a session's creation to its end, by operation and outcome.",
			Buckets: prometheus.ExponentialBuckets(15, 2, 12),
		}, []string{"operation", "outcome"}),
	}
}

// isPhase reports whether nodes are in this status for as long as something is done
// with them.
func isPhase(status bos.StatusName) bool {
	switch status {
	case bos.StatusPowerOnPending, bos.StatusPowerOnCalled, bos.StatusPowerOffPending, bos.StatusPowerOffGracefullyCalled,
		bos.StatusPowerOffForcefullyCalled, bos.StatusConfiguring:
		return true
	case bos.StatusStable, bos.StatusOnHold, bos.StatusFailed:
	}
	return false
}

// stay is since when a node is in a phase; known says that its beginning was seen.
type stay struct {
	phase bos.StatusName
	since bos.Instant
	known bool
}

// follow measures until ctx ends.
func (m *metrics) follow(ctx context.Context) {
	v := m.app.view
	feed := v.Subscribe(view.Interest{
		Node: func(old, next *view.Node) bool {
			return old == nil || next == nil || old.Status != next.Status
		},
		Sessions: true,
	})
	defer feed.Close()
	stays := map[string]stay{}
	open := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-feed.C():
		}
		changes := feed.Take()
		if changes.Everything {
			// What is going on already began at a time that is not known.
			m.begin(stays, open)
			continue
		}
		now := m.app.clock.Now()
		for _, id := range changes.Nodes {
			m.moved(stays, id, now)
		}
		for _, key := range changes.Sessions {
			m.went(open, key)
		}
	}
}

// begin takes note of what is going on.
func (m *metrics) begin(stays map[string]stay, open map[string]bool) {
	clear(stays)
	clear(open)
	v := m.app.view
	for _, id := range v.EnabledIDs() {
		if node, ok := v.Node(id); ok && isPhase(node.Status) {
			stays[id] = stay{phase: node.Status}
		}
	}
	for _, state := range []bos.SessionState{bos.SessionPending, bos.SessionRunning} {
		for _, rec := range v.SessionsIn(state) {
			open[rec.Sealed.UID] = true
		}
	}
}

// moved measures the phase that a node has left.
func (m *metrics) moved(stays map[string]stay, id string, now bos.Instant) {
	status := bos.StatusName("")
	if node, ok := m.app.view.Node(id); ok {
		status = node.Status
	}
	was, in := stays[id]
	if in && was.phase == status {
		return
	}
	if in && was.known && status != "" && status != bos.StatusOnHold {
		failed := "false"
		if status == bos.StatusFailed {
			failed = "true"
		}
		m.progress.phases.WithLabelValues(string(was.phase), failed).Observe(now.Sub(was.since).Seconds())
	}
	delete(stays, id)
	if isPhase(status) {
		stays[id] = stay{phase: status, since: now, known: true}
	}
}

// went measures a session that has come to its end. Those whose beginning was not
// seen count too: their documents tell it.
func (m *metrics) went(open map[string]bool, key bos.SessionKey) {
	rec, ok := m.app.view.Session(key)
	if !ok {
		return
	}
	uid := rec.Sealed.UID
	if rec.Session.Status.Status != bos.SessionComplete {
		open[uid] = true
		return
	}
	if !open[uid] {
		return
	}
	delete(open, uid)
	result, ok := m.app.view.Result(rec)
	if !ok {
		result = bos.ResultOf(rec, m.app.view.Roster(rec))
	}
	outcome := bos.OutcomeOf(rec, result).Outcome
	begun, err := bos.ParseTimestamp(rec.Session.Status.StartTime)
	if outcome == nil || err != nil || rec.Session.Status.EndTime == nil {
		return
	}
	ended, err := bos.ParseTimestamp(*rec.Session.Status.EndTime)
	if err != nil {
		return
	}
	m.progress.sessions.WithLabelValues(string(rec.Session.Operation), string(*outcome)).Observe(max(0, ended.Sub(begun).Seconds()))
}

var (
	sessionNodesDesc = prometheus.NewDesc("bos_session_nodes",
		"Nodes of the sessions that run (the newest twenty), each in one standing.", []string{"session", "tenant", "standing"}, nil)
	sessionAgeDesc = prometheus.NewDesc("bos_session_age_seconds",
		"Age of the sessions that run (the newest twenty).", []string{"session", "tenant", "operation"}, nil)
)

// running collects how far each session is that runs.
type running struct {
	app *App

	mu      sync.Mutex
	at      time.Time
	counted []sessionCounts
}

// sessionCounts is one session as it was counted.
type sessionCounts struct {
	key       bos.SessionKey
	operation bos.Operation
	begun     time.Time
	counts    bos.Counts
}

// Describe implements [prometheus.Collector].
func (r *running) Describe(ch chan<- *prometheus.Desc) {
	ch <- sessionNodesDesc
	ch <- sessionAgeDesc
}

// Collect implements [prometheus.Collector].
func (r *running) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, s := range r.count(now) {
		for standing, n := range standings(s.counts) {
			ch <- prometheus.MustNewConstMetric(sessionNodesDesc, prometheus.GaugeValue, float64(n), s.key.Name, s.key.Tenant, string(standing))
		}
		ch <- prometheus.MustNewConstMetric(sessionAgeDesc, prometheus.GaugeValue, max(0, now.Sub(s.begun).Seconds()),
			s.key.Name, s.key.Tenant, string(s.operation))
	}
}

// count counts the nodes of the newest sessions that run.
func (r *running) count(now time.Time) []sessionCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && now.Sub(r.at) < countedFor {
		return r.counted
	}
	r.at = now
	recs := slices.Clone(r.app.view.SessionsIn(bos.SessionRunning))
	slices.SortFunc(recs, func(a, b *bos.SessionRecord) int {
		return strings.Compare(b.Session.Status.StartTime, a.Session.Status.StartTime)
	})
	recs = recs[:min(len(recs), maxShownSessions)]
	r.counted = make([]sessionCounts, 0, len(recs))
	for _, rec := range recs {
		begun, err := bos.ParseTimestamp(rec.Session.Status.StartTime)
		if err != nil {
			begun = now
		}
		r.counted = append(r.counted, sessionCounts{
			key: rec.Session.Key(), operation: rec.Session.Operation, begun: begun,
			counts: bos.ResultOf(rec, r.app.view.Roster(rec)).Counts,
		})
	}
	return r.counted
}

// standings returns counts by what they are of.
func standings(c bos.Counts) map[bos.Standing]int {
	return map[bos.Standing]int{
		bos.StandingSucceeded: c.Succeeded, bos.StandingFailed: c.Failed, bos.StandingCancelled: c.Cancelled,
		bos.StandingTakenOver: c.TakenOver, bos.StandingLeftOut: c.LeftOut, bos.StandingWaiting: c.Waiting,
		bos.StandingPoweringOff: c.PoweringOff, bos.StandingPoweringOn: c.PoweringOn, bos.StandingBooting: c.Booting,
		bos.StandingConfiguring: c.Configuring, bos.StandingStaged: c.Staged,
	}
}
